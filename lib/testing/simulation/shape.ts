import type { Random } from "../seeded/random.js";

/** What of the graph is there besides the three operators that always are. */
export interface Shape {
  /** A second stream: its records go where those of the first go, or an operator joins the two by key, or both. */
  readonly others: "none" | "union" | "connect" | "both";
  /** Two operators with state, one behind the other: with so many tasks, deployment by deployment; null: as all others. Empty: none. */
  readonly chain: readonly ChainTasks[];
}

export type ChainTasks = readonly [first: number | null, second: number | null];

/** What makes the exchange hard. */
export interface Pressure {
  /** E5: a producer stops so many frames ahead of its slowest consumer. */
  readonly windowFrames: number;
  /** To look at some lanes takes up to so long: some consumers are slow, and frames of one producer come later than another's. */
  readonly laneMillis: number;
  /** Characters that fill some records: frames of such lie in the bucket, others in their notes. */
  readonly noise: number;
}

export const plainShape: Shape = { others: "none", chain: [] };
/** The window is that of the library, then. */
export const noPressure: Pressure = { windowFrames: 64, laneMillis: 0, noise: 0 };

export const hasUnion = ({ others }: Shape): boolean => others === "union" || others === "both";
export const hasPairs = ({ others }: Shape): boolean => others === "connect" || others === "both";

/** Null: there is no chain. Each deployment has its own, the last stays. */
export const chainTasksOf = ({ chain }: Shape, deployment: number): ChainTasks | null =>
  chain[deployment] ?? chain.at(-1) ?? null;

/** @param deployments how many tasks each asks for */
export function drawShape(random: Random, deployments: readonly number[]): Shape {
  const isApart = Math.max(...deployments) > 1;
  const others = random.chance(isApart ? 0.4 : 0.2) ? random.pick(["union", "connect", "both"] as const) : "none";
  const isChained = random.chance(isApart ? 0.4 : 0.2);
  const one = () => (random.chance(0.4) ? 1 : null);
  return { others, chain: isChained ? deployments.map(() => [one(), one()] as const) : [] };
}

export function drawPressure(random: Random, deployments: readonly number[]): Pressure {
  if (Math.max(...deployments) === 1) return noPressure;
  return {
    windowFrames: random.chance(0.3) ? random.pick([1, 2, 4]) : noPressure.windowFrames,
    laneMillis: random.chance(0.3) ? random.between(300, 3_000) : 0,
    noise: random.chance(0.3) ? 12_000 : 0,
  };
}
