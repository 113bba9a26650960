import { canonicalJson } from "../../model/canonical-json.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import type { CheckpointState } from "./checkpoint-state.js";
import type { Put } from "./input.js";
import {
  elsewhere,
  gone,
  goodOnes,
  mainOf,
  type Orders,
  pairOf,
  type RowOptions,
  RowSet,
  type Rows,
  slotsOf,
  type Taken,
  tallyOf,
} from "./oracle.js";
import type { Stage } from "./stage.js";
import { type Arrivals, deletedEvery, groupOf, onlyFeed } from "./tally-pipeline.js";
import { chainRestOf, slotOf } from "./wings.js";

/** A checkpoint, and what it must be judged by. */
export interface Judged {
  readonly stage: Stage;
  readonly options: RowOptions;
  readonly ref: CheckpointRef;
  readonly state: CheckpointState;
  readonly taken: Taken;
  readonly keys: ReadonlySet<string>;
  /** Of the checkpoint before. */
  readonly before: Orders;
}

const rests = [0, 1, 2];
const groups = ["even", "odd"];

/** The state of a checkpoint reflects exactly what was taken, or, at least once, all of it; and goes on from the one before. */
export function checkState(judged: Judged): Orders {
  const { stage, options, ref, state, taken, keys } = judged;
  const chains = new Map(rests.map((rest) => [String(rest), state.chainOf(rest)]));
  checkOrder(judged, "arrive", state.arrivals, judged.before.arrivals, elsewhere(taken.arrive, options));
  for (const [rest, { numbers }] of chains) {
    const before = judged.before.chains.get(rest)?.numbers ?? [];
    const of = elsewhere(taken.second, options).filter(({ n }) => String(chainRestOf(n)) === rest);
    checkOrder(judged, `second of ${rest}`, numbers, before, of);
  }
  checkRanks(judged, [...chains.values()]);
  const violated = (what: string, found: unknown, must: unknown) =>
    stage.violated(
      `state of checkpoint ${ref.checkpointId}: ${what} is ${canonicalJson(found)}, must be ${canonicalJson(must)}`,
    );
  for (const key of keys) {
    const must = tallyOf(
      key,
      goodOnes(taken.tally).filter((put) => put.key === key),
      options.padding,
    );
    const found = state.tallyOf(key);
    if (options.counts === "once") {
      if (canonicalJson(found) !== canonicalJson(must)) violated(key, found, must);
    } else if (!hasAll(found.numbers, must.numbers) || found.count !== found.numbers.length) violated(key, found, must);
  }
  for (const slot of slotsOf([...taken.left, ...taken.right], options)) {
    const [found, must] = [state.pairOf(slot), pairOf(slot, taken, options)];
    const isRight =
      options.counts === "once"
        ? canonicalJson(found) === canonicalJson(must)
        : hasAll(found.left, must.left) && hasAll(found.right, must.right);
    if (!isRight) violated(`pair ${slot}`, found, must);
  }
  checkGroups(judged);
  return { arrivals: state.arrivals, chains };
}

/** At least once: each in its first place, in order, and what comes again is passed over. */
const hasAll = (found: readonly number[], must: readonly number[]): boolean => {
  const firsts = new Set(found);
  return [...firsts].filter((n) => must.includes(n)).join() === must.join();
};

/** Records of a key in the order of putting; all that must be there, and nothing else; and what was there before, before all that is new. */
function checkOrder(
  { stage, options, ref, taken }: Judged,
  operator: string,
  found: readonly number[],
  before: readonly number[],
  must: readonly Put[],
): void {
  const where = `checkpoint ${ref.checkpointId}: ${operator}`;
  const sorted = [...found].sort((a, b) => a - b).join();
  const isRight =
    options.counts === "once" ? sorted === must.map(({ n }) => n).join() : must.every(({ n }) => found.includes(n));
  if (!isRight) stage.violated(`state of ${where} took ${found}, its positions say ${must.map(({ n }) => n)}`);
  const keys = new Map(taken.read.map(({ n, key }) => [n, key]));
  const lastOf = new Map<string | undefined, number>();
  for (const n of new Set(found)) {
    const key = keys.get(n);
    // At least once: what the positions do not say may be there.
    if (key === undefined) continue;
    if (n < (lastOf.get(key) ?? 0)) stage.violated(`order: ${where} took ${n} of ${key} after ${lastOf.get(key)}`);
    lastOf.set(key, n);
  }
  if (found.slice(0, before.length).join() !== before.join())
    stage.violated(`R7: ${where} took ${found}, the checkpoint before it ${before}`);
}

/** The first operator of the chain has counted the records of each key. */
function checkRanks(
  { stage, options, ref, taken }: Judged,
  chains: Iterable<{ readonly numbers: readonly number[]; readonly nths: readonly number[] }>,
): void {
  const ranks = new Map<number, number>();
  const counts = new Map<string, number>();
  for (const { n, key } of elsewhere(mainOf(taken.read, options.shape), options)) {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    ranks.set(n, counts.get(key) ?? 0);
  }
  for (const { numbers, nths } of chains) {
    for (const [i, n] of numbers.entries()) {
      const [rank, nth] = [ranks.get(n), nths[i] ?? 0];
      const isRight = rank === undefined || (options.counts === "once" ? nth === rank : nth >= rank);
      if (!isRight)
        stage.violated(`state of checkpoint ${ref.checkpointId}: ${n} was counted as ${nth} of its key, is ${rank}`);
    }
  }
}

function checkGroups({ stage, options, ref, state, taken }: Judged): void {
  for (const group of groups) {
    const must = elsewhere(taken.group, options).filter(({ n }) => groupOf(n) === group).length;
    const count = state.groupOf(group)?.count ?? 0;
    if (options.counts === "once" ? count !== must : count < must)
      stage.violated(`state of checkpoint ${ref.checkpointId}: ${group} has counted ${count}, must be ${must}`);
  }
}

/** At least once: the rows that this state gives. What was taken twice is in them twice. */
export function rowsOfState({ state, keys, options }: Judged): Rows {
  const rows = new RowSet();
  for (const key of keys) {
    const tally = state.tallyOf(key);
    const isGone = options.variant.deletes && tally.count % deletedEvery === 0;
    if (tally.count > 0) rows.put("tallies", key, isGone ? gone : canonicalJson(tally), String(tally.count));
  }
  for (const group of groups) {
    const sum = state.groupOf(group);
    if (sum !== null) rows.put("groups", group, canonicalJson(sum));
  }
  const arrivals: Arrivals = { feed: onlyFeed, numbers: state.arrivals };
  if (arrivals.numbers.length > 0) rows.put("arrivals", onlyFeed, canonicalJson(arrivals));
  for (const chain of rests.map(state.chainOf))
    if (chain.numbers.length > 0) rows.put("chains", chain.rest, canonicalJson(chain));
  for (const slot of slots(keys)) {
    const pair = state.pairOf(slot);
    if (pair.left.length + pair.right.length > 0) rows.put("pairs", slot, canonicalJson(pair));
  }
  return rows;
}

const slots = (keys: ReadonlySet<string>): ReadonlySet<string> => new Set([...keys].map(slotOf));
