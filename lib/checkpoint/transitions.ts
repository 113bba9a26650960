import type { CheckpointRef, Pending } from "../model/checkpoints.js";
import { invariant } from "../model/errors.js";
import { type Failure, failuresMax, type Head, type Status } from "../model/head.js";
import { checkpointId, type Generation, generation, type Millis, millis, type Sha256 } from "../model/ids.js";

// The head's transitions, pure. Each is carried out by compare-and-set from the version that was read, so that its condition
// holds at the moment of the change (section 3: "under the condition X").

export interface Opening {
  readonly generationRecord: Sha256;
  readonly origin: CheckpointRef | null;
  readonly now: Millis;
  readonly failure: Failure | null;
}

/** The head of a pipeline that never ran: generation 1 from no checkpoint. */
export function createHead(incarnation: string, opening: Opening): Head {
  return {
    format: 1,
    incarnation,
    generation: generation(1),
    generationRecord: opening.generationRecord,
    openedAt: opening.now,
    origin: null,
    pending: null,
    completed: null,
    lastTriggeredAt: millis(0),
    settledAt: opening.now,
    endedAt: null,
    nextCheckpointId: checkpointId(1),
    status: "running",
    consecutiveAborts: 0,
    left: [],
    floor: checkpointId(0),
    savepoints: [],
    failures: [],
  };
}

/** R2: opening the next generation fences this one. What was complete before it stays so; what was pending never completes. */
export function openGeneration(head: Head, opening: Opening): Head {
  const leaves = head.completed !== null && !sameRef(head.completed, opening.origin);
  return {
    ...head,
    generation: nextGeneration(head),
    generationRecord: opening.generationRecord,
    openedAt: opening.now,
    settledAt: opening.now,
    origin: opening.origin,
    pending: null,
    completed: opening.origin,
    endedAt: null,
    status: "running",
    consecutiveAborts: 0,
    left: leaves && head.completed !== null ? [...head.left, head.completed] : head.left,
    // A life that a person began has no failures yet: the series of the one before must not count against it.
    failures: opening.failure === null ? [] : withFailure(head.failures, opening.failure),
  };
}

export const nextGeneration = (head: Head): Generation => generation(head.generation + 1);

/** B1. */
export function trigger(head: Head, pending: Pending): Head {
  invariant(
    head.pending === null && head.status === "running",
    "B1: triggered while a checkpoint is pending or not running",
  );
  invariant(pending.checkpointId === head.nextCheckpointId, "B1: a checkpoint id is never reused");
  return {
    ...head,
    pending,
    nextCheckpointId: checkpointId(head.nextCheckpointId + 1),
    lastTriggeredAt: pending.triggeredAt,
  };
}

const statusAfter: Readonly<Record<Pending["andThen"], Status>> = {
  continue: "running",
  suspend: "suspending",
  stop: "stopping",
  finish: "finishing",
};

/** R1, the commit point: null where its condition `generation = g and pending.checkpointId = c` does not hold. */
export function complete(head: Head, ref: CheckpointRef, now: Millis): Head | null {
  if (head.pending === null || head.generation !== ref.generation || head.pending.checkpointId !== ref.checkpointId)
    return null;
  return {
    ...head,
    completed: ref,
    pending: null,
    settledAt: now,
    consecutiveAborts: 0,
    status: statusAfter[head.pending.andThen],
  };
}

/** B5: a checkpoint is completed or aborted, never both. */
export function abort(head: Head, now: Millis): Head {
  invariant(head.pending !== null, "B5: nothing to abort");
  return { ...head, pending: null, settledAt: now, consecutiveAborts: head.consecutiveAborts + 1 };
}

/** C3: the checkpoint that ends the pipeline is committed by every task. */
export function settle(head: Head, status: "suspended" | "stopped" | "finished", now: Millis): Head {
  return { ...head, status, endedAt: now };
}

/** No restart can help: the pipeline rests with its causes until a person starts it again. Checkpoints stay as they were. */
export function fail(head: Head, failure: Failure, now: Millis): Head {
  return { ...head, status: "failed", pending: null, endedAt: now, failures: withFailure(head.failures, failure) };
}

export function sameRef(a: CheckpointRef | null, b: CheckpointRef | null): boolean {
  return a?.generation === b?.generation && a?.checkpointId === b?.checkpointId && a?.sha256 === b?.sha256;
}

const withFailure = (failures: readonly Failure[], failure: Failure) => [...failures, failure].slice(-failuresMax);
