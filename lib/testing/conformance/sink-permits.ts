import { observeCompletion } from "../../checkpoint/permit.js";
import type { CommitPermit } from "../../model/checkpoints.js";
import { invariant } from "../../model/errors.js";
import type { Head } from "../../model/head.js";
import { checkpointId, generation, taskId } from "../../model/ids.js";
import { sha256 } from "../../model/sha256.js";
import { encodeVersion } from "../../model/versions.js";
import type { HeldWrite } from "../../pipeline/sink.js";

/** What a session has that saw this checkpoint complete: no sink's test gets one that is complete without a head. */
export function permitFor(checkpoint: number): CommitPermit {
  const completed = {
    generation: generation(1),
    checkpointId: checkpointId(checkpoint),
    sha256: sha256(`checkpoint ${checkpoint}`),
  };
  // All that a permit is made from of a head.
  const permit = observeCompletion({ completed } as Head);
  invariant(permit !== null, "a completed checkpoint gives a permit");
  return permit;
}

const ourIncarnation = "0a0b0c0d0e0f";

export interface WriteOf {
  readonly key: string;
  readonly row: unknown;
  readonly change?: "put" | "delete";
  readonly checkpoint: number;
  readonly seq?: number;
  readonly incarnation?: string;
}

/** A write as a session prepares it, with the version of its preparation (W1). */
export function writeOf({ key, row, change = "put", checkpoint, seq = 1, incarnation }: WriteOf): HeldWrite {
  const version = encodeVersion({
    incarnation: incarnation ?? ourIncarnation,
    generation: generation(1),
    epoch: checkpointId(checkpoint),
    task: taskId(0, 0),
    seq,
  });
  return { key, row, change, version, checkpointId: checkpointId(checkpoint) };
}
