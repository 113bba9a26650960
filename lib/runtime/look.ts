import { coordinateInSession } from "../checkpoint/coordinator.js";
import { cachedManifest } from "../checkpoint/facts.js";
import { putProgress, readHead } from "../checkpoint/store.js";
import { readProgressOf } from "../checkpoint/task-facts.js";
import type { Manifest } from "../model/checkpoints.js";
import { asStreamError } from "../model/errors.js";
import type { Head, Progress } from "../model/head.js";
import { coordinatorTask } from "../model/ids.js";
import type { Identity } from "./cut.js";
import type { SessionParts } from "./session-parts.js";

/** What a session sees once a second. `gone`: its generation is over. */
export type Seen =
  | {
      readonly kind: "observed";
      readonly head: Head;
      readonly manifest: Manifest | null;
      /** E5: the slowest consumer is so many frames behind. */
      readonly framesBehind: number;
    }
  | { readonly kind: "gone" };

/** Says how far the task is, lets the coordinator act, and reads the head with what it completed. */
export async function lookAround(parts: SessionParts, me: Identity, progress: Progress): Promise<Seen> {
  const { store, coordinator } = parts;
  await putProgress(store, me.incarnation, progress).catch(passing);
  const [head, framesBehind] = await Promise.all([
    me.task === coordinatorTask ? coordinateInSession(coordinator, progress) : readHead(store),
    pressureOf(parts, me),
  ]);
  if (head === null || head.value.generation !== me.generation || head.value.incarnation !== me.incarnation)
    return { kind: "gone" };
  if (head.value.status === "failed") return { kind: "gone" };
  const manifest = await cachedManifest(store, coordinator.memory.facts, head.value);
  return { kind: "observed", head: head.value, manifest, framesBehind };
}

/** E5, by what the consumers have told last. */
async function pressureOf({ store, place, channels }: SessionParts, me: Identity): Promise<number> {
  const consumers = new Set(place.outputs.flatMap((output) => output.consumers.map(({ task }) => task)));
  if (consumers.size === 0) return 0;
  const progress = await readProgressOf(store, me.incarnation, me.generation, [...consumers]);
  return channels.framesBehind((task) => progress.get(task)?.taken ?? {});
}

/** Progress is news, and the next look has it: but not where it can never be written, such as without a permission. */
function passing(error: unknown): void {
  if (asStreamError(error).kind === "invalid") throw error;
}
