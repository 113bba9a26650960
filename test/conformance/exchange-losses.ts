import type { Note } from "../../lib/model/frames.js";
import type { Blobs } from "../../lib/ports/blobs.js";

function keyOf({ body }: Note): string {
  if (body?.kind !== "object") throw new Error("the frame lies in its note");
  return body.key;
}

/** How frames get lost and damaged that lie in objects. */
export const waysToLose = (blobs: Blobs) => ({
  lose: (note: Note) => blobs.remove([keyOf(note)]),
  async damage(note: Note) {
    const bytes = await blobs.get(keyOf(note));
    if (bytes === null) throw new Error("there is no such frame");
    const at = note.slices[0]?.offset ?? 0;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await blobs.put(keyOf(note), bytes);
  },
});
