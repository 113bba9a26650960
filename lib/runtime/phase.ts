import type { Pending } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";
import type { CheckpointId } from "../model/ids.js";

/**
 * What a session may do. `leaving`: it has cut for the last time and begins nothing from that cut on (N1).
 * `waiting`: it has cut for a checkpoint after which the pipeline rests, and waits whether that is completed or aborted (C3).
 */
export type Phase =
  | { readonly kind: "running" }
  | { readonly kind: "leaving"; readonly checkpointId: CheckpointId }
  | { readonly kind: "waiting"; readonly checkpointId: CheckpointId };

/** How a session ends. */
export type SessionEnding =
  | { readonly kind: "fenced" }
  | { readonly kind: "handover"; readonly ack: CheckpointId }
  | { readonly kind: "done"; readonly ack: CheckpointId; readonly committed: CheckpointId };

/** A successor that starts from the ack of a checkpoint after which the pipeline rests waits as its predecessor did (C3). */
export function firstPhase(head: Head, handedOver: CheckpointId | null): Phase {
  return handedOver !== null && endsWith(head, handedOver)
    ? { kind: "waiting", checkpointId: handedOver }
    : { kind: "running" };
}

/** After a look at the head: a wait ends with the abort of its checkpoint; a session that leaves hands on its ack all the same. */
export function afterHead(phase: Phase, head: Head): Phase {
  if (phase.kind !== "waiting") return phase;
  return endsWith(head, phase.checkpointId) ? phase : { kind: "running" };
}

/** The checkpoint is pending, or complete, and the pipeline rests after it. */
function endsWith(head: Head, checkpointId: CheckpointId): boolean {
  if (head.pending?.checkpointId === checkpointId) return head.pending.andThen !== "continue";
  return head.completed?.checkpointId === checkpointId && head.status !== "running";
}

/** N1: a session knows before the cut that it is its last. Every session within twice its reserve ends at the same cut. */
export function afterCut(pending: Pending, time: { readonly remaining: number; readonly reserve: number }): Phase {
  if (pending.andThen !== "continue") return { kind: "waiting", checkpointId: pending.checkpointId };
  if (time.remaining <= 2 * time.reserve) return { kind: "leaving", checkpointId: pending.checkpointId };
  return { kind: "running" };
}

/** N1: a look falls on the beginning of the reserve, of which a whole pause would take a large part where it is short. */
export function untilLook(pause: number, time: { readonly remaining: number; readonly reserve: number }): number {
  const left = time.remaining - time.reserve;
  return left > 0 ? Math.min(pause, left) : pause;
}

export interface EndingFacts {
  readonly acked: CheckpointId;
  readonly completed: CheckpointId;
  /** Something that the completed checkpoint covers is not committed yet. */
  readonly uncommitted: boolean;
  /** An ack or a commit is under way (N4: it is awaited first). */
  readonly busy: boolean;
  readonly remaining: number;
  readonly reserve: number;
}

/** Whether the session ends now, and how. A session that waits for long hands on its ack before its time is up (C3, N1). */
export function ending(phase: Phase, facts: EndingFacts): SessionEnding | null {
  if (phase.kind === "running" || facts.busy || facts.acked < phase.checkpointId) return null;
  if (phase.kind === "leaving") return { kind: "handover", ack: phase.checkpointId };
  if (facts.completed >= phase.checkpointId && !facts.uncommitted) {
    return { kind: "done", ack: phase.checkpointId, committed: facts.completed };
  }
  return facts.remaining <= facts.reserve / 2 ? { kind: "handover", ack: phase.checkpointId } : null;
}
