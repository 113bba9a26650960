import { type CheckpointId, type Generation, padded, type TaskId } from "../model/ids.js";
import type { SegmentToken } from "./sink.js";

/** What a segment was prepared as: whoever applies it says the same. */
export interface SegmentPlace {
  readonly sink: string;
  readonly incarnation: string;
  readonly generation: Generation;
  readonly task: TaskId;
  readonly checkpointId: CheckpointId;
  readonly chunk: number;
}

/** Never to be changed: targets keep it (C5). */
export function segmentToken({ sink, incarnation, generation, task, checkpointId, chunk }: SegmentPlace): SegmentToken {
  const lane = `${sink}-${incarnation}-${padded(generation, 8)}-${task}`;
  const position = `${padded(checkpointId, 12)}-${padded(chunk, 6)}`;
  return { sink, lane, checkpoint: checkpointId, chunk, position, id: `${lane}-${position}` };
}
