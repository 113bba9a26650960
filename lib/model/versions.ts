import { invariant } from "./errors.js";
import type { CheckpointId, Generation, TaskId } from "./ids.js";
import { taskParts } from "./ids.js";

/** The one attribute that we add to users' items: who wrote it, in order (W1). */
export const versionAttribute = "~tidemark";
export const versionBytes = 24;
export const incarnationBytes = 6;

export interface WriteOrder {
  /** 6 bytes, hex. */
  readonly incarnation: string;
  readonly generation: Generation;
  readonly epoch: CheckpointId;
  readonly task: TaskId;
  /** Counts over all sinks of the task, within the epoch. */
  readonly seq: number;
}

/**
 * W1: the version of a write, 24 bytes that compare as bytes: incarnation 6, generation 4, epoch 6, task 2 (stage, index), seq 6, big-endian.
 *
 * @example encodeVersion({ incarnation: "0a0b0c0d0e0f", generation, epoch, task, seq: 7 })
 */
export function encodeVersion(order: WriteOrder): Uint8Array {
  const { stage, index } = taskParts(order.task);
  invariant(/^[0-9a-f]{12}$/.test(order.incarnation), `incarnation ${order.incarnation} is not 6 bytes of hex`);
  invariant(stage < 256 && index < 256, `task ${order.task} does not fit in two bytes`);
  const bytes = Buffer.alloc(versionBytes);
  bytes.write(order.incarnation, 0, "hex");
  bytes.writeUInt32BE(order.generation, 6);
  bytes.writeUIntBE(order.epoch, 10, 6);
  bytes.writeUInt8(stage, 16);
  bytes.writeUInt8(index, 17);
  bytes.writeUIntBE(order.seq, 18, 6);
  return bytes;
}

/** W1's condition: absent, or of the same incarnation and older. */
export function mayReplace(current: Uint8Array | null, next: Uint8Array): boolean {
  if (current === null) return true;
  return sameIncarnation(current, next) && Buffer.compare(current, next) < 0;
}

export function sameIncarnation(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a.subarray(0, incarnationBytes), b.subarray(0, incarnationBytes)) === 0;
}
