import type { CheckpointRef } from "../../model/checkpoints.js";
import type { Desired, Head, Status } from "../../model/head.js";

export const sameRef = (a: CheckpointRef | null, b: CheckpointRef | null): boolean => a?.sha256 === b?.sha256;

/** What stands behind a move. */
export interface MoveContext {
  /** That the new generation's record names: a person may have asked for something else by now. */
  readonly request: Desired["request"];
  /** G3: may be opened, by the head before. */
  readonly isRestorable: (ref: CheckpointRef) => boolean;
}

/** What is wrong with a move of the head, by the rules' own words: independent of the code that makes the moves. */
export function checkHeadMove(before: Head | null, after: Head, context: MoveContext): readonly string[] {
  if (before === null)
    return after.generation === 1 && after.completed === null ? [] : ["R2: a first head with a past"];
  const wrong: string[] = [];
  const must = (holds: boolean, rule: string) => {
    if (!holds) wrong.push(rule);
  };
  must(after.incarnation === before.incarnation, "W1: another incarnation");
  must(after.nextCheckpointId >= before.nextCheckpointId, "B1: ids of checkpoints go back");
  must(after.floor >= before.floor, "G2: the floor goes down");
  const triggered = after.pending !== null && after.pending.checkpointId !== before.pending?.checkpointId;
  if (triggered)
    must(after.pending?.checkpointId === before.nextCheckpointId, "B1: an id of a checkpoint is used again");
  if (after.generation === before.generation) wrong.push(...withinGeneration(before, after));
  else wrong.push(...toNextGeneration(before, after, context));
  return wrong;
}

/** C3, N2: what may follow in one generation. */
const following: Readonly<Record<Status, readonly Status[]>> = {
  running: ["suspending", "stopping", "finishing", "failed"],
  suspending: ["suspended", "failed"],
  suspended: ["stopped", "failed"],
  stopping: ["stopped", "failed"],
  stopped: [],
  finishing: ["finished", "failed"],
  finished: [],
  failed: [],
};

/** R1, B5. */
function withinGeneration(before: Head, after: Head): readonly string[] {
  const wrong: string[] = [];
  const { pending, completed } = after;
  if (!sameRef(after.origin, before.origin)) wrong.push("R2: another origin within a generation");
  if (after.generationRecord !== before.generationRecord) wrong.push("R2: another record within a generation");
  // Where neither the code that it stopped for can go on, nor its own (P4).
  const isLeftAlone = before.status === "stopped" && before.deploying && after.status === "failed";
  if (after.status !== before.status && !isLeftAlone && !following[before.status].includes(after.status))
    wrong.push(`C3: ${after.status} after ${before.status}`);
  if (!sameRef(completed, before.completed)) {
    const isPending = completed?.checkpointId === before.pending?.checkpointId;
    if (!isPending || completed?.generation !== before.generation) wrong.push("R1: complete what was not pending");
    if (pending !== null) wrong.push("R1: pending after completion");
  }
  if (pending !== null && before.pending !== null && pending.checkpointId !== before.pending.checkpointId)
    wrong.push("B1: triggered while another is pending");
  if (pending !== null && after.status !== "running") wrong.push(`B1: a checkpoint is pending while ${after.status}`);
  return wrong;
}

/** R2. */
function toNextGeneration(before: Head, after: Head, context: MoveContext): readonly string[] {
  const wrong: string[] = [];
  if (after.generation !== before.generation + 1) wrong.push("R2: a generation is left out");
  if (after.pending !== null) wrong.push("R2: pending at an opening");
  if (after.status !== "running") wrong.push(`R2: ${after.status} at an opening`);
  if (!sameRef(after.completed, after.origin))
    wrong.push("R2: an opening completes another checkpoint than its origin");
  const { request } = context;
  if (sameRef(after.origin, before.completed)) return wrong;
  if (request?.kind !== "restore" || !sameRef(after.origin, request.from))
    wrong.push("R2: an opening from another checkpoint than the last, that nobody asked for");
  if (after.origin !== null && !context.isRestorable(after.origin))
    wrong.push(`G3: an opening from checkpoint ${after.origin.checkpointId}, which is not restorable`);
  if (before.completed !== null && !after.left.some((tip) => sameRef(tip, before.completed)))
    wrong.push("R2: an opening forgets the tip that it leaves");
  return wrong;
}
