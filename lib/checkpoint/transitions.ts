import type { CheckpointRef, Pending } from "../model/checkpoints.js";
import { invariant } from "../model/errors.js";
import {
  type Failure,
  failuresMax,
  type GenerationRecord,
  type Head,
  rejectedKind,
  type Status,
} from "../model/head.js";
import {
  type CheckpointId,
  checkpointId,
  type Generation,
  generation,
  type Millis,
  millis,
  type Sha256,
} from "../model/ids.js";
import { countOne } from "./limits.js";

// The head's transitions, pure. Each is carried out by compare-and-set from the version that was read, so that its condition
// holds at the moment of the change (section 3: "under the condition X").

export interface Opening {
  readonly generationRecord: Sha256;
  readonly reason: GenerationRecord["reason"];
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
    openings: countOne(null, opening.now),
    origin: null,
    pending: null,
    completed: null,
    lastTriggeredAt: millis(0),
    settledAt: opening.now,
    endedAt: null,
    idleSince: null,
    nextCheckpointId: checkpointId(1),
    status: "running",
    consecutiveAborts: 0,
    left: [],
    deploying: false,
    floor: checkpointId(0),
    savepoints: [],
    asked: null,
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
    // What a person asked for begins anew: what was before must not count against it.
    openings: countOne(isByItself(opening) ? (head.openings ?? null) : null, opening.now),
    settledAt: opening.now,
    // Whatever woke the pipeline, or whoever started it: it is idle from now on at the earliest (N2).
    idleSince: opening.reason === "failure" && !leaves ? (head.idleSince ?? null) : null,
    origin: opening.origin,
    pending: null,
    completed: opening.origin,
    endedAt: null,
    deploying: false,
    status: "running",
    consecutiveAborts: 0,
    left: leaves && head.completed !== null ? [...head.left, head.completed] : head.left,
    failures: failuresAfter(head, opening),
  };
}

const isByItself = ({ reason }: Opening): boolean => reason === "failure" || reason === "wake";

/** A life that a person began has no failures yet: the series of the one before must not count against it. */
function failuresAfter(head: Head, opening: Opening): readonly Failure[] {
  // P4: the failures of code that was taken back are no failures of what ran before it.
  if (opening.failure?.kind === rejectedKind)
    return withFailure(
      head.failures.filter(({ kind }) => kind === rejectedKind),
      opening.failure,
    );
  if (opening.failure !== null) return withFailure(head.failures, opening.failure);
  return isByItself(opening) ? head.failures : [];
}

export const nextGeneration = (head: Head): Generation => generation(head.generation + 1);

/** P4: a deployment was taken back, and what runs goes on as if it had not been. */
export const noteRejection = (head: Head, failure: Failure): Head => ({
  ...head,
  failures: withFailure(head.failures, failure),
});

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

/**
 * R1, the commit point: null where its condition `generation = g and pending.checkpointId = c` does not hold.
 *
 * @param idleSince what the checkpoint says of it (N2)
 */
export function complete(head: Head, ref: CheckpointRef, now: Millis, idleSince: Millis | null): Head | null {
  if (head.pending === null || head.generation !== ref.generation || head.pending.checkpointId !== ref.checkpointId)
    return null;
  return {
    ...head,
    completed: ref,
    pending: null,
    settledAt: now,
    idleSince,
    consecutiveAborts: 0,
    status: statusAfter[head.pending.andThen],
    deploying: head.pending.reason === "deploy",
    ...(head.pending.savepoint === null ? {} : withSavepoint(head, head.pending.savepoint, ref)),
  };
}

/** By the very change that makes the checkpoint complete: no moment at which it is one and not the other. */
const withSavepoint = (
  head: Head,
  { name, requestId }: NonNullable<Pending["savepoint"]>,
  { generation: of, checkpointId: id, sha256 }: CheckpointRef,
): Pick<Head, "savepoints" | "asked"> => ({
  savepoints: [...head.savepoints, { generation: of, checkpointId: id, sha256, name, requestId }],
  asked: { requestId, aborts: 0, ended: { kind: "made" } },
});

/** A pipeline that rests makes no checkpoint: its last one is it. */
export function nameSavepoint(head: Head, savepoint: NonNullable<Pending["savepoint"]>): Head {
  invariant(
    head.completed !== null && head.endedAt !== null,
    "a savepoint of a pipeline that rests is its last checkpoint",
  );
  return { ...head, ...withSavepoint(head, savepoint, head.completed) };
}

/** The request is answered: there will be no such savepoint. */
export const refuseSavepoint = (head: Head, requestId: string, message: string): Head => ({
  ...head,
  asked: {
    requestId,
    aborts: head.asked?.requestId === requestId ? head.asked.aborts : 0,
    ended: { kind: "failed", message },
  },
});

/** Not kept any more on account of this name: what nothing else keeps is garbage (G1). The same head where there is none. */
export function deleteSavepoint(head: Head, name: string): Head {
  const savepoints = head.savepoints.filter((one) => one.name !== name);
  const isUnderWay = head.pending?.savepoint?.name === name;
  if (savepoints.length === head.savepoints.length && !isUnderWay) return head;
  // The checkpoint goes on, as one like any other.
  const pending = head.pending === null || !isUnderWay ? head.pending : { ...head.pending, savepoint: null };
  return { ...head, savepoints, pending };
}

/** B5: a checkpoint is completed or aborted, never both. */
export function abort(head: Head, now: Millis): Head {
  invariant(head.pending !== null, "B5: nothing to abort");
  const aborted = { ...head, pending: null, settledAt: now, consecutiveAborts: head.consecutiveAborts + 1 };
  const { savepoint, andThen } = head.pending;
  // A stop is tried again whatever becomes of its savepoint, so that the savepoint need not give up before it.
  if (savepoint === null || andThen !== "continue") return aborted;
  const { requestId } = savepoint;
  const aborts = (head.asked?.requestId === requestId ? head.asked.aborts : 0) + 1;
  return { ...aborted, asked: { requestId, aborts, ended: null } };
}

/** C3: the checkpoint that ends the pipeline is committed by every task. One that sleeps may stop as it is: it holds no session. */
export function settle(head: Head, status: "suspended" | "stopped" | "finished", now: Millis): Head {
  return { ...head, status, endedAt: now };
}

/** No restart can help: the pipeline rests with its causes until a person starts it again. Checkpoints stay as they were. */
export function fail(head: Head, failure: Failure, now: Millis): Head {
  return { ...head, status: "failed", pending: null, endedAt: now, failures: withFailure(head.failures, failure) };
}

/** G2: never lowered. Tips that an opening left below it lead to nothing that may be restored (R7). The same head where nothing changes. */
export function raiseFloor(head: Head, floor: CheckpointId): Head {
  invariant(floor >= head.floor, "G2: the floor is never lowered");
  const left = head.left.filter((tip) => tip.checkpointId >= floor);
  return floor === head.floor && left.length === head.left.length ? head : { ...head, floor, left };
}

export function sameRef(a: CheckpointRef | null, b: CheckpointRef | null): boolean {
  return a?.generation === b?.generation && a?.checkpointId === b?.checkpointId && a?.sha256 === b?.sha256;
}

const withFailure = (failures: readonly Failure[], failure: Failure) => [...failures, failure].slice(-failuresMax);
