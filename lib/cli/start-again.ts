import { closedRanges } from "../checkpoint/inherit.js";
import { type CheckpointStore, readGenerationRecord, readManifest } from "../checkpoint/store.js";
import { sameRef } from "../checkpoint/transitions.js";
import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import { modeOf, type SinkModes, whyNot } from "../pipeline/sink-modes.js";
import type { OpenedStore } from "./checkpoints.js";

/** Whether nothing lies behind: it is the last checkpoint, or one with other state that was written from it. */
async function isSamePlace(store: CheckpointStore, head: Head, from: CheckpointRef): Promise<boolean> {
  if (head.completed === null || sameRef(from, head.completed)) return true;
  const [there, last] = await Promise.all(
    [from, head.completed].map((ref) => readManifest(store, head.incarnation, ref)),
  );
  return there !== undefined && last !== undefined && placeOf(there) === placeOf(last);
}

/** Positions, and what was on its way. */
const placeOf = (manifest: Manifest): string => JSON.stringify([manifest.shards, closedRanges(manifest)]);

/**
 * W2: what a start does with output, where it goes back: tables are overwritten. Nothing is said of the last checkpoint.
 *
 * @throws StreamError `invalid`: a sink cannot overwrite, so that somebody must say what becomes of its output
 */
export async function modesOfStart(
  { store, plan }: Pick<OpenedStore, "store" | "plan">,
  head: Head,
  from: CheckpointRef | null,
): Promise<SinkModes> {
  if (from === null || (await isSamePlace(store, head, from))) return {};
  const { sinks: modes } = await readGenerationRecord(store, head);
  const written = [...plan.sinks].filter(([name]) => ["normal", "overwrite"].includes(modeOf(modes, name).kind));
  const refusing = written.flatMap(([name, sink]) => {
    const why = whyNot(sink, "overwrite");
    return why === null ? [] : [`  ${name} (${sink.kind}): ${why}`];
  });
  if (refusing.length === 0) return Object.fromEntries(written.map(([name]) => [name, { kind: "overwrite" }]));
  throw new StreamError(
    "invalid",
    `checkpoint ${from.checkpointId} of pipeline "${store.pipeline}" is not its last one, so that output behind it is written again, and not every sink can take its place:\n${refusing.join("\n")}\nsay what becomes of it with "tidemark replay", --from-checkpoint ${from.checkpointId} and --sinks (W2). Nothing was changed`,
  );
}
