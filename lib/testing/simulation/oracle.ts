import { canonicalJson } from "../../model/canonical-json.js";
import type { Manifest } from "../../model/checkpoints.js";
import type { ShardEntry, SourceTable } from "../../model/shards.js";
import { descends, type Input, type Put } from "./input.js";
import { hasPairs, hasUnion, type Shape } from "./shape.js";
import {
  type Arrivals,
  deletedEvery,
  type GroupSum,
  groupOf,
  onlyFeed,
  paddingOf,
  restOf,
  type SourceName,
  type Tally,
  type Variant,
} from "./tally-pipeline.js";
import type { TableName } from "./targets.js";
import { type Chained, chainRestOf, type Pair, slotOf } from "./wings.js";

/** What a table should hold, by table and key. */
export type Rows = ReadonlyMap<string, Row>;

export interface Row {
  readonly table: TableName;
  readonly key: string;
  /** As canonical JSON. */
  readonly content: string;
  /** Another whenever the row was written again: of one that is deleted, too. */
  readonly stamp: string;
}

/** In the place of a row that is gone. */
export const gone = "gone";

export const rowName = (table: string, key: string): string => `${table}/${key}`;

/** Rows while they are gathered. */
export class RowSet extends Map<string, Row> {
  put(table: TableName, key: string, content: string, stamp = content): void {
    this.set(rowName(table, key), { table, key, content, stamp });
  }
}

/** What of the streams the pipeline is to read. */
export type Reach = Readonly<Record<SourceName, SourceReach>>;

export interface SourceReach {
  /** P0: the source's start, as the first generation resolved it. */
  start: number;
  /** Shards that were in a table of the lineage. Those that were gone before the first table are not among them. */
  readonly shards: Set<string>;
}

export const newReach = (): Reach => ({
  numbers: { start: 0, shards: new Set() },
  others: { start: 0, shards: new Set() },
});

export const isReached = (reach: Reach, { source, at }: Put): boolean => at >= reach[source].start;

/** The records that a checkpoint reflects: what the positions of its shard table say, computed without any code of the readers. */
export function includedIn(input: Input, manifest: Pick<Manifest, "shards">, reach: Reach): readonly Put[] {
  return input.puts.filter(
    (put) => isReached(reach, put) && isIncluded(input, manifest.shards[put.source], reach, put),
  );
}

function isIncluded(input: Input, table: SourceTable | undefined, reach: Reach, put: Put): boolean {
  if (table === undefined) return false;
  const entry = table.shards.find(({ shardId }) => shardId === put.shardId);
  if (entry !== undefined) return isBefore(entry.at, put);
  // It left the table because its children are in: or it has not entered yet.
  const parents = input.parents[put.source];
  const hasLeft = reach[put.source].shards.has(put.shardId);
  return hasLeft && table.shards.some(({ shardId }) => descends(parents, shardId, put.shardId));
}

function isBefore(at: ShardEntry["at"], put: Put): boolean {
  if (at.kind === "finished") return true;
  if (at.position.kind !== "after") return false;
  const last = BigInt(at.position.sequenceNumber);
  const { sub } = at.position;
  if (put.sequenceNumber !== last || sub === null) return put.sequenceNumber <= last;
  return put.sub !== null && put.sub <= sub;
}

/** Those that operators take. */
export const goodOnes = (puts: readonly Put[]): readonly Put[] => puts.filter(({ flaw }) => flaw === "none");

/**
 * Those that are taken where the operator that throws is not: of one task none, for an element is taken whole or put aside whole;
 * behind an edge begins another element (Q1).
 */
export const elsewhere = (puts: readonly Put[], { apart }: Pick<RowOptions, "apart">): readonly Put[] =>
  apart ? puts.filter(({ flaw }) => flaw !== "bytes") : goodOnes(puts);

/** What the operators of a checkpoint have taken: all that its positions say, but for what is under way to each. */
export interface Taken {
  readonly read: readonly Put[];
  readonly tally: readonly Put[];
  readonly arrive: readonly Put[];
  readonly group: readonly Put[];
  /** Of the operator in the chain that is behind the other. */
  readonly second: readonly Put[];
  readonly left: readonly Put[];
  readonly right: readonly Put[];
}

/** What goes to the operators that always are, and into the chain. */
export const mainOf = (puts: readonly Put[], shape: Shape): readonly Put[] =>
  hasUnion(shape) ? puts : puts.filter(({ source }) => source === "numbers");

/** @param underWay to an operator: numbers of records (E3) */
export function takenOf(read: readonly Put[], underWay: ReadonlyMap<string, readonly number[]>, shape: Shape): Taken {
  const main = mainOf(read, shape);
  const without = (puts: readonly Put[], ...edges: readonly string[]) => {
    const numbers = new Set(edges.flatMap((edge) => underWay.get(edge) ?? []));
    return numbers.size === 0 ? puts : puts.filter(({ n }) => !numbers.has(n));
  };
  const joined = hasPairs(shape) ? without(read, "pair") : [];
  return {
    read,
    tally: without(main, "tally"),
    arrive: without(main, "arrive"),
    group: without(main, "group"),
    second: shape.chain.length > 0 ? without(main, "first", "second") : [],
    left: joined.filter(({ source }) => source === "numbers"),
    right: joined.filter(({ source }) => source === "others"),
  };
}

/** What was taken in an order that chance decides, once: what state shows of it. */
export interface Orders {
  readonly arrivals: readonly number[];
  readonly chains: ReadonlyMap<string, Chained>;
}

export const noOrders: Orders = { arrivals: [], chains: new Map() };

export interface RowOptions {
  readonly padding: number;
  readonly variant: Variant;
  /** Operators run in tasks of their own. */
  readonly apart: boolean;
  readonly shape: Shape;
  /** After a failure records may count twice (B2). */
  readonly counts: "once" | "at least once";
}

/**
 * The tables after exactly these records, each once, those of a key in the order of putting.
 *
 * @param orders in which they were taken
 */
export function rowsOf(taken: Taken, options: RowOptions, { arrivals, chains }: Orders): Rows {
  const rows = new RowSet();
  for (const [key, ofKey] of grouped(goodOnes(taken.tally), (put) => put.key))
    rows.put("tallies", key, tallyRow(key, ofKey, options), String(ofKey.length));
  for (const [group, ofGroup] of grouped(elsewhere(taken.group, options), (put) => groupOf(put.n))) {
    const row: GroupSum = { group, count: ofGroup.length, sum: ofGroup.reduce((sum, { n }) => sum + n, 0) };
    rows.put("groups", group, canonicalJson(row));
  }
  if (elsewhere(taken.arrive, options).length > 0) {
    const row: Arrivals = { feed: onlyFeed, numbers: arrivals };
    rows.put("arrivals", onlyFeed, canonicalJson(row));
  }
  for (const rest of new Set(elsewhere(taken.second, options).map(({ n }) => String(chainRestOf(n)))))
    rows.put("chains", rest, canonicalJson(chains.get(rest)));
  for (const slot of slotsOf([...taken.left, ...taken.right], options))
    rows.put("pairs", slot, canonicalJson(pairOf(slot, taken, options)));
  const poisoned = taken.tally.filter(({ flaw }) => flaw === "poison");
  for (const put of [...taken.read.filter(({ flaw }) => flaw === "bytes"), ...poisoned]) {
    const id = `${put.source}/${put.shardId}/${put.sequenceNumber}${put.sub === null ? "" : `/${put.sub}`}`;
    rows.put("dead", id, canonicalJson(deadOnes({ id, data: Buffer.from(put.data).toString("base64") })));
  }
  return rows;
}

/** The keys that two streams have records of. */
export const slotsOf = (puts: readonly Put[], options: Pick<RowOptions, "apart">): ReadonlySet<string> =>
  new Set(elsewhere(puts, options).map(({ key }) => slotOf(key)));

/** What was joined under a key. */
export function pairOf(slot: string, { left, right }: Pick<Taken, "left" | "right">, options: RowOptions): Pair {
  const numbersOf = (puts: readonly Put[]) =>
    elsewhere(puts, options)
      .filter(({ key }) => slotOf(key) === slot)
      .map(({ n }) => n);
  return { slot, left: numbersOf(left), right: numbersOf(right) };
}

/** Of a dead letter, what the oracle knows: which record it is. */
export const deadOnes = ({ id, data }: { readonly id?: unknown; readonly data?: unknown }) => ({
  id: String(id),
  data: String(data),
});

/** The row of a key after these records of it. */
export function tallyRow(key: string, ofKey: readonly Put[], { padding, variant }: RowOptions): string {
  const isGone = variant.deletes && ofKey.length % deletedEvery === 0;
  return isGone ? gone : canonicalJson(tallyOf(key, ofKey, padding));
}

function grouped(puts: readonly Put[], by: (put: Put) => string): ReadonlyMap<string, readonly Put[]> {
  const groups = new Map<string, Put[]>();
  for (const put of puts) {
    const group = groups.get(by(put));
    if (group === undefined) groups.set(by(put), [put]);
    else group.push(put);
  }
  return groups;
}

export function tallyOf(key: string, puts: readonly Put[], padding: number): Tally {
  const last = new Map<number, number>();
  for (const { n } of puts) last.set(restOf(n), n);
  return {
    key,
    count: puts.length,
    numbers: puts.map(({ n }) => n),
    lastByRest: [...last],
    padding: paddingOf(padding),
  };
}
