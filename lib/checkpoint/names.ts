import type { CheckpointRef } from "../model/checkpoints.js";
import { type CheckpointId, type Generation, padded, type SessionId, type Sha256, type TaskId } from "../model/ids.js";

// R6: a name is only ever written with one content. Incarnation and generation are in every one of them; padded, so that they sort as numbers.

const generationPart = (incarnation: string, generation: Generation) => `${incarnation}/${padded(generation, 8)}`;
const checkpointPart = (incarnation: string, generation: Generation, checkpointId: CheckpointId) =>
  `${generationPart(incarnation, generation)}/${padded(checkpointId, 12)}`;

export const headName = "head";
export const desiredName = "desired";

export const generationRecordName = (incarnation: string, generation: Generation, sha: Sha256): string =>
  `generation/${generationPart(incarnation, generation)}/${sha}`;
export const leaseName = (incarnation: string, generation: Generation, task: TaskId): string =>
  `lease/${generationPart(incarnation, generation)}/${task}`;
export const progressName = (incarnation: string, generation: Generation, task: TaskId): string =>
  `progress/${generationPart(incarnation, generation)}/${task}`;
export const ackPrefix = (incarnation: string, generation: Generation, checkpointId: CheckpointId): string =>
  `ack/${checkpointPart(incarnation, generation, checkpointId)}/`;
export const ackName = (
  incarnation: string,
  generation: Generation,
  checkpointId: CheckpointId,
  task: TaskId,
): string => `${ackPrefix(incarnation, generation, checkpointId)}${task}`;
export const manifestName = (incarnation: string, ref: CheckpointRef): string =>
  `manifest/${checkpointPart(incarnation, ref.generation, ref.checkpointId)}/${ref.sha256}`;

/** Objects of one task at one checkpoint lie together: `…/<what>-<session or hash>`. */
export const taskObjectKey = (
  at: {
    readonly pipeline: string;
    readonly incarnation: string;
    readonly generation: Generation;
    readonly checkpointId: CheckpointId;
    readonly task: TaskId;
  },
  what: string,
  unique: SessionId | Sha256,
): string =>
  `${at.pipeline}/${checkpointPart(at.incarnation, at.generation, at.checkpointId)}/${at.task}/${what}-${unique}`;

export const manifestKey = (pipeline: string, incarnation: string, ref: CheckpointRef): string =>
  `${pipeline}/${checkpointPart(incarnation, ref.generation, ref.checkpointId)}/manifest-${ref.sha256}.json`;

/** R7: in the bucket a checkpoint counts as complete where this stands. */
export const markerKey = (pipeline: string, incarnation: string, checkpointId: CheckpointId): string =>
  `${pipeline}/${incarnation}/completed/${padded(checkpointId, 12)}`;
export const markerPrefix = (pipeline: string, incarnation: string): string => `${pipeline}/${incarnation}/completed/`;
