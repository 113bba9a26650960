import type { CheckpointRef } from "../model/checkpoints.js";
import { encodeDocument } from "./documents.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

// R7: the names of savepoints stand in the bucket too, so that a lost head takes none along, and brings none back that was deleted. A mark
// is made before the head has the name, and removed before the head loses it: one without the head's word is of a checkpoint that was to
// be a savepoint, and is a checkpoint like any other, or none.

export async function writeSavepointMark(
  store: CheckpointStore,
  incarnation: string,
  ref: CheckpointRef,
  name: string,
): Promise<void> {
  const { generation, checkpointId, sha256 } = ref;
  const key = names.savepointKey(store.pipeline, incarnation, ref, name);
  const text = encodeDocument({ format: 1, generation, checkpointId, sha256, name });
  await repeat(store.clock, () => store.blobs.put(key, Buffer.from(text, "utf8")));
}

/** Of that name, whichever checkpoint it was to be. */
export async function removeSavepointMarks(store: CheckpointStore, incarnation: string, name: string): Promise<void> {
  const prefix = names.savepointPrefix(store.pipeline, incarnation);
  await repeat(store.clock, async () => {
    const keys: string[] = [];
    for await (const { key } of store.blobs.list(prefix)) if (key.endsWith(`/${name}`)) keys.push(key);
    if (keys.length > 0) await store.blobs.remove(keys);
  });
}
