import type { CommitPermit, Committable } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";

/** C2: the one place that makes a permit. A head that was read is the observation of R1. */
export function observeCompletion(head: Head): CommitPermit | null {
  return head.completed === null ? null : ({ completed: head.completed } as CommitPermit);
}

/**
 * What of a task's list the completed checkpoint covers (C2): the list was handed down its own lineage, and an ack lists all
 * that is older (C1), so the id decides. In order of (checkpoint, index).
 */
export function coveredBy(permit: CommitPermit, committables: readonly Committable[]): readonly Committable[] {
  return committables
    .filter((item) => item.checkpointId <= permit.completed.checkpointId)
    .sort((a, b) => a.checkpointId - b.checkpointId || a.index - b.index);
}
