import { closedRanges } from "../checkpoint/inherit.js";
import { type CheckpointStore, readGenerationRecord, readManifest } from "../checkpoint/store.js";
import { sameRef } from "../checkpoint/transitions.js";
import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import { modeOf, type SinkModes, whyNot } from "../pipeline/sink-modes.js";
import type { OpenedStore } from "./checkpoints.js";
import { isWriting } from "./replay/back-to-normal.js";

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
 * W2: what a start does with output, where it goes back: tables are overwritten. Nothing is said of the last checkpoint of a pipeline that
 * rests; of one that runs, another may be complete before the start is carried out.
 *
 * @throws StreamError `invalid`: a sink cannot overwrite, so that somebody must say what becomes of its output
 */
export async function modesOfStart(
  opened: Pick<OpenedStore, "store" | "plan" | "isAlone">,
  head: Head,
  from: CheckpointRef | null,
): Promise<SinkModes> {
  if (from === null) return {};
  const { store, plan } = opened;
  const isLast = await isSamePlace(store, head, from);
  if (isLast && !isWriting(opened, head)) return {};
  const { sinks: modes } = await readGenerationRecord(store, head);
  // Redirected output has readers, too: it is written again where it was.
  const shown = [...plan.sinks].filter(([name]) => modeOf(modes, name).kind !== "dry-run");
  const refusing = shown.flatMap(([name, sink]) => {
    const why = whyNot(sink, "overwrite");
    return why === null ? [] : [`  ${name} (${sink.kind}): ${why}`];
  });
  const written = shown.filter(([name]) => modeOf(modes, name).kind !== "redirect");
  if (refusing.length === 0)
    return isLast ? {} : Object.fromEntries(written.map(([name]) => [name, { kind: "overwrite" }]));
  const why = isLast
    ? "is its last one for now, but what runs goes on until the start is carried out"
    : "is not its last one";
  const advice = isLast
    ? "stop it first, or leave out --from to go on from the last one"
    : `say what becomes of it with "tidemark replay", --from-checkpoint ${from.checkpointId} and --sinks (W2)`;
  throw new StreamError(
    "invalid",
    `checkpoint ${from.checkpointId} of pipeline "${store.pipeline}" ${why}, so that output behind it is written again, and not every sink can take its place:\n${refusing.join("\n")}\n${advice}. Nothing was changed`,
  );
}
