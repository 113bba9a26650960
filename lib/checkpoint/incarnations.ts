import { StreamError } from "../model/errors.js";
import { incarnationIn, markerPrefix, pipelinePrefix } from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readHead } from "./store.js";

/** The incarnations of a pipeline that left complete checkpoints in the bucket (R7), in the order of their names. */
export async function* markedIncarnations(
  store: Omit<CheckpointStore, "registers">,
): AsyncGenerator<string, void, void> {
  let last: string | null = null;
  for await (const { key } of store.blobs.list(pipelinePrefix(store.pipeline))) {
    const incarnation = incarnationIn(store.pipeline, key);
    if (incarnation === null || incarnation === last) continue;
    last = incarnation;
    if (await hasMarkers(store, incarnation)) yield incarnation;
  }
}

async function hasMarkers(store: Omit<CheckpointStore, "registers">, incarnation: string): Promise<boolean> {
  for await (const _ of store.blobs.list(markerPrefix(store.pipeline, incarnation))) return true;
  return false;
}

/**
 * A pipeline without a head is new, or has lost it. Begun anew, a lost one would read its input again and count it twice.
 *
 * @throws StreamError `invalid` where the bucket has complete checkpoints of the pipeline
 */
export async function checkNeverRan(store: CheckpointStore): Promise<void> {
  const { pipeline } = store;
  const incarnation = await repeat(store.clock, async () => (await markedIncarnations(store).next()).value ?? null);
  if (incarnation === null) return;
  // Another one made the head meanwhile, and its first checkpoint is complete already: the caller will lose to it.
  if ((await readHead(store)) !== null) return;
  throw new StreamError(
    "invalid",
    `pipeline "${pipeline}" has checkpoints in the bucket (${markerPrefix(pipeline, incarnation)}), but the table has no head for it: begun anew, it would take its input again, and results would count twice. "tidemark recover" rebuilds the head, and the pipeline goes on from its last checkpoint. To begin anew on purpose give the pipeline another name, or remove everything under ${pipelinePrefix(pipeline)} from the bucket`,
  );
}
