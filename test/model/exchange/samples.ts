// Tiny pipelines: what their shards have, how many tasks they run as, and how they cut.
import { asBuilt } from "./rules.js";
import type { Budget, Setup } from "./state.js";

/** Of each generation the tasks of its stages: "2-1" are two tasks that read, and one behind them. */
export const plans = (...names: readonly string[]): Setup["plans"] => names.map((name) => name.split("-").map(Number));

export const none: Budget = { openings: 0, checkpoints: 2, aborts: 0, handovers: 0 };
export const budget = (some: Partial<Budget>): Budget => ({ ...none, ...some });

const shard = (at: number, ...records: readonly string[]) => ({ at, records });
const child = (at: number, parents: readonly string[], ...records: readonly string[]) => ({ at, parents, records });

export const oneRecord = { A: shard(0, "x1") };
export const otherKey = { A: shard(0, "y1") };
export const oneKey = { A: shard(0, "x1", "x2") };
export const twoKeys = { A: shard(0, "x1", "y1") };
export const twoShards = { A: shard(0, "x1"), B: shard(0.5, "y1") };
export const threeRecords = { A: shard(0, "x1", "y1"), B: shard(0.5, "y2") };
export const twoShardsOfOneTask = { A: shard(0, "x1"), B: shard(0, "y1") };
/** A rescale moves shard B to another task. */
export const moving = { A: shard(0), B: shard(0.5, "x1", "x2") };
export const movingOne = { A: shard(0), B: shard(0.5, "x1") };
export const twoHalves = { A: shard(0, "x1"), B: shard(0.5) };
export const split = { P: shard(0, "x1"), L: child(0, ["P"]), R: child(0.5, ["P"], "x2") };
export const merge = { P: shard(0, "x1"), Q: shard(0.5, "y1"), C: child(0.5, ["P", "Q"], "x2") };
export const many = { A: shard(0, "x1", "y1", "x2"), B: shard(0.5, "y2", "x3") };

export const unaligned: Omit<Setup, "shards" | "plans" | "budget"> = {
  rules: asBuilt,
  alignments: ["unaligned"],
  window: 9,
  sink: false,
  bounded: false,
  promise: "exactly once",
};
export const aligned: typeof unaligned = { ...unaligned, alignments: ["aligned"] };
export const atLeastOnce: typeof unaligned = { ...unaligned, alignments: ["at-least-once"], promise: "at least once" };
