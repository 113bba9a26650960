import { canonicalJson } from "../../model/canonical-json.js";
import type { Manifest } from "../../model/checkpoints.js";
import type { ShardEntry, SourceTable } from "../../model/shards.js";
import { descends, type Input, type Put } from "./input.js";
import {
  type Arrivals,
  deletedEvery,
  type GroupSum,
  groupOf,
  onlyFeed,
  paddingOf,
  restOf,
  type Tally,
  tables,
  type Variant,
} from "./tally-pipeline.js";

/** What a table should hold: rows as canonical JSON, by table and key. */
export type Rows = ReadonlyMap<string, string>;

/** In the place of a row that is gone. */
export const gone = "gone";

export const rowName = (table: string, key: string): string => `${table}/${key}`;

/** What of the stream the pipeline is to read. */
export interface Reach {
  /** P0: the source's start, as the first generation resolved it. */
  start: number;
  /** Shards that were in a table of the lineage. Those that were gone before the first table are not among them. */
  readonly shards: Set<string>;
}

/** The records that a checkpoint reflects: what the positions of its shard table say, computed without any code of the readers. */
export function includedIn(input: Input, manifest: Pick<Manifest, "shards">, reach: Reach): readonly Put[] {
  const table = manifest.shards.numbers;
  if (table === undefined) return [];
  return input.puts.filter((put) => put.at >= reach.start && isIncluded(input, table, reach, put));
}

function isIncluded(input: Input, table: SourceTable, reach: Reach, put: Put): boolean {
  const entry = table.shards.find(({ shardId }) => shardId === put.shardId);
  if (entry !== undefined) return isBefore(entry.at, put);
  // It left the table because its children are in: or it has not entered yet.
  const hasLeft = reach.shards.has(put.shardId);
  return hasLeft && table.shards.some(({ shardId }) => descends(input, shardId, put.shardId));
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
}

/** @param underWay to an operator: numbers of records (E3) */
export function takenOf(read: readonly Put[], underWay: ReadonlyMap<string, readonly number[]>): Taken {
  const without = (edge: string) => {
    const numbers = new Set(underWay.get(edge));
    return numbers.size === 0 ? read : read.filter(({ n }) => !numbers.has(n));
  };
  return { read, tally: without("tally"), arrive: without("arrive"), group: without("group") };
}

export interface RowOptions {
  readonly padding: number;
  readonly variant: Variant;
  /** Operators run in tasks of their own. */
  readonly apart: boolean;
}

/**
 * The tables after exactly these records, each once, those of a key in the order of putting.
 *
 * @param arrivals the order in which all of them were taken, where one is known
 */
export function rowsOf(taken: Taken, options: RowOptions, arrivals: readonly number[]): Rows {
  const rows = new Map<string, string>();
  for (const [key, ofKey] of grouped(goodOnes(taken.tally), (put) => put.key)) {
    rows.set(rowName(tables.tallies, key), tallyRow(key, ofKey, options));
  }
  for (const [group, ofGroup] of grouped(elsewhere(taken.group, options), (put) => groupOf(put.n))) {
    const row: GroupSum = { group, count: ofGroup.length, sum: ofGroup.reduce((sum, { n }) => sum + n, 0) };
    rows.set(rowName(tables.groups, group), canonicalJson(row));
  }
  if (elsewhere(taken.arrive, options).length > 0) {
    const row: Arrivals = { feed: onlyFeed, numbers: arrivals };
    rows.set(rowName(tables.arrivals, onlyFeed), canonicalJson(row));
  }
  const poisoned = taken.tally.filter(({ flaw }) => flaw === "poison");
  for (const put of [...taken.read.filter(({ flaw }) => flaw === "bytes"), ...poisoned]) {
    const id = `numbers/${put.shardId}/${put.sequenceNumber}${put.sub === null ? "" : `/${put.sub}`}`;
    rows.set(rowName(tables.dead, id), canonicalJson(deadOnes({ id, data: Buffer.from(put.data).toString("base64") })));
  }
  return rows;
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
