import type { Head } from "../model/head.js";
import type { SnapshotRef } from "../model/snapshots.js";
import { restoreInto } from "../state/snapshot-reader.js";
import { stagedOf } from "./committer.js";
import { readRange } from "./cut.js";
import type { Start } from "./restore.js";
import type { SessionParts } from "./session-parts.js";

/**
 * Puts into the task's tables what it takes over (E4).
 *
 * @returns what the next delta may be added to; null: the next snapshot must be a base
 */
export async function restoreState(
  { store, task, record, place }: SessionParts,
  { snapshots }: Start,
): Promise<SnapshotRef | null> {
  const leaveOut = [...record.dropped, ...place.elsewhere];
  let last: SnapshotRef | null = null;
  for (const { ref, keyGroups, isWhole } of snapshots) {
    const restored = await restoreInto(task.tables, ref, keyGroups, readRange(store), leaveOut);
    last = isWhole ? restored : null;
  }
  return snapshots.length === 1 ? last : null;
}

/**
 * C4: what earlier generations have staged goes, unless the checkpoint lists it, for whichever task; or a lineage that a restore has
 * left may, for that may be gone back to. A hand-over leaves nothing behind that is not listed (N1).
 */
export async function sweepStaged({ writers }: SessionParts, { left }: Head, start: Start): Promise<void> {
  if (left.length > 0 || start.fromHandover) return;
  for (const [name, opened] of writers) {
    if (opened.delivery === "two-phase") await opened.writer.sweep(stagedOf(start.listed, name));
  }
}
