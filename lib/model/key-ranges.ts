import type { KeyGroups } from "./checkpoints.js";
import { keyGroupCount } from "./keys.js";

// K2: task i of p owns the i-th contiguous range of key groups, and the shards whose hash keys begin in its range.

/** The key groups of task `index` of `tasks`. Ranges of all tasks are disjoint and together all key groups. */
export function keyGroupsOf(index: number, tasks: number): KeyGroups {
  return [firstOf(index, tasks), firstOf(index + 1, tasks) - 1];
}

/** The index of the task, of `tasks`, that owns the key group. */
export function ownerOf(keyGroup: number, tasks: number): number {
  const guess = Math.floor((keyGroup * tasks) / keyGroupCount);
  return firstOf(guess + 1, tasks) <= keyGroup ? guess + 1 : guess;
}

/** Of a hash key as Kinesis writes it: decimal, 0 … 2^128 - 1. The key group of the keys that hash to it (K1). */
export const keyGroupAt = (hashKey: string): number => Number(BigInt(hashKey) >> 121n);

/** The part that two ranges share; null where they share nothing. */
export function intersection(a: KeyGroups, b: KeyGroups): KeyGroups | null {
  const [first, last] = [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
  return first <= last ? [first, last] : null;
}

const firstOf = (index: number, tasks: number): number => Math.ceil((index * keyGroupCount) / tasks);
