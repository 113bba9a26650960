import { readList } from "../checkpoint/inventory.js";
import { type CheckpointStore, readManifest } from "../checkpoint/store.js";
import type { Committable } from "../model/checkpoints.js";
import type { GenerationRecord, Head } from "../model/head.js";
import type { SnapshotRef } from "../model/snapshots.js";
import { modeOf } from "../pipeline/sink-modes.js";
import { keyTypesIn } from "../state/known-state.js";
import { restoreInto } from "../state/snapshot-reader.js";
import type { StateTable } from "../state/table.js";
import { stagedOf } from "./committer.js";
import { readRange } from "./cut.js";
import { everyRecords } from "./quarantine.js";
import type { Start } from "./restore.js";
import type { SessionParts } from "./session-parts.js";

/**
 * Puts into the task's tables what it takes over (E4).
 *
 * @returns what the next delta may be added to; null: the next snapshot must be a base
 */
export async function restoreState(
  { store, task, record, place }: SessionParts,
  { snapshots, fromHandover }: Start,
): Promise<SnapshotRef | null> {
  const leaveOut = [...record.dropped, ...place.elsewhere];
  let last: SnapshotRef | null = null;
  for (const { ref, keyGroups, isWhole } of snapshots) {
    const restored = await restoreInto(task.tables, ref, keyGroups, readRange(store), leaveOut);
    last = isWhole ? restored : null;
  }
  if (isByPerson(record) && !fromHandover) expectKeys(task.tables, snapshots);
  return snapshots.length === 1 ? last : null;
}

/** P2: a failure and a waking go on with the code that was there; a start, a replay or a deploy may bring other code. */
const isByPerson = ({ reason }: GenerationRecord): boolean => reason !== "failure" && reason !== "wake";

function expectKeys(tables: readonly StateTable[], snapshots: Start["snapshots"]): void {
  const refs = snapshots.map(({ ref }) => ref);
  for (const table of tables) {
    const types = table.keys === 0 ? null : keyTypesIn(refs, table.operator);
    if (types !== null) table.expectKeys(types, everyRecords);
  }
}

/**
 * C4: what earlier generations have staged goes, unless the checkpoint lists it, for whichever task, or a savepoint does; or a lineage
 * that a restore has left may, for that may be gone back to. A hand-over leaves nothing behind that is not listed (N1).
 */
export async function sweepStaged({ store, writers, record }: SessionParts, head: Head, start: Start): Promise<void> {
  if (head.left.length > 0 || start.fromHandover) return;
  const staging = [...writers].flatMap(([name, { delivery, writer }]) =>
    delivery === "two-phase" && modeOf(record.sinks, name).kind !== "dry-run" ? [{ name, writer }] : [],
  );
  if (staging.length === 0) return;
  const kept = await listedBySavepoints(store, head).catch(() => null);
  // One was deleted meanwhile, or cannot be read now: the next generation sweeps.
  if (kept === null) return;
  for (const { name, writer } of staging) await writer.sweep(stagedOf([...start.listed, ...kept], name));
}

/** Below the floor: it may be of a lineage that was left long ago, whose tip is forgotten. Others are listed, or were committed since. */
async function listedBySavepoints(store: CheckpointStore, head: Head): Promise<readonly Committable[]> {
  const found: Committable[] = [];
  for (const ref of head.savepoints.filter(({ checkpointId }) => checkpointId < head.floor)) {
    const { tasks } = await readManifest(store, head.incarnation, ref);
    for (const ack of tasks) found.push(...(await readList(store, ack)));
  }
  return found;
}
