import type { CheckpointRef } from "../../model/checkpoints.js";
import type { Head } from "../../model/head.js";

export const sameRef = (a: CheckpointRef | null, b: CheckpointRef | null): boolean => a?.sha256 === b?.sha256;

/** What is wrong with a move of the head, by the rules' own words: independent of the code that makes the moves. */
export function checkHeadMove(before: Head | null, after: Head): readonly string[] {
  if (before === null)
    return after.generation === 1 && after.completed === null ? [] : ["R2: a first head with a past"];
  const wrong: string[] = [];
  const must = (holds: boolean, rule: string) => {
    if (!holds) wrong.push(rule);
  };
  must(after.incarnation === before.incarnation, "W1: another incarnation");
  must(after.nextCheckpointId >= before.nextCheckpointId, "B1: ids of checkpoints go back");
  const triggered = after.pending !== null && after.pending.checkpointId !== before.pending?.checkpointId;
  if (triggered)
    must(after.pending?.checkpointId === before.nextCheckpointId, "B1: an id of a checkpoint is used again");
  if (after.generation === before.generation) wrong.push(...withinGeneration(before, after));
  else wrong.push(...toNextGeneration(before, after));
  return wrong;
}

/** R1, B5. */
function withinGeneration(before: Head, after: Head): readonly string[] {
  const wrong: string[] = [];
  const { pending, completed } = after;
  if (!sameRef(after.origin, before.origin)) wrong.push("R2: another origin within a generation");
  if (after.generationRecord !== before.generationRecord) wrong.push("R2: another record within a generation");
  if (!sameRef(completed, before.completed)) {
    const isPending = completed?.checkpointId === before.pending?.checkpointId;
    if (!isPending || completed?.generation !== before.generation) wrong.push("R1: complete what was not pending");
    if (pending !== null) wrong.push("R1: pending after completion");
  }
  if (pending !== null && before.pending !== null && pending.checkpointId !== before.pending.checkpointId)
    wrong.push("B1: triggered while another is pending");
  return wrong;
}

/** R2; nothing here asks for an older checkpoint. */
function toNextGeneration(before: Head, after: Head): readonly string[] {
  const wrong: string[] = [];
  if (after.generation !== before.generation + 1) wrong.push("R2: a generation is left out");
  if (after.pending !== null) wrong.push("R2: pending at an opening");
  if (!sameRef(after.completed, before.completed)) wrong.push("R2: an opening changes what is complete");
  if (!sameRef(after.origin, before.completed)) wrong.push("R2: an opening from another checkpoint than the last");
  return wrong;
}
