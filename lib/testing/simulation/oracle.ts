import { canonicalJson } from "../../model/canonical-json.js";
import type { Manifest } from "../../model/checkpoints.js";
import type { ShardEntry, SourceTable } from "../../model/shards.js";
import { descends, type Input, type Put } from "./input.js";
import {
  type Arrivals,
  type GroupSum,
  groupOf,
  onlyFeed,
  paddingOf,
  restOf,
  type Tally,
  tables,
} from "./tally-pipeline.js";

/** What a table should hold: rows as canonical JSON, by table and key. */
export type Rows = ReadonlyMap<string, string>;

export const rowName = (table: string, key: string): string => `${table}/${key}`;

/** The records that a checkpoint reflects, from the source's start on, by its shard table: what the positions say, computed without any code of the readers. */
export function includedIn(input: Input, manifest: Pick<Manifest, "shards">, start: number): readonly Put[] {
  const table = manifest.shards.numbers;
  return table === undefined ? [] : input.puts.filter((put) => put.at >= start && isIncluded(input, table, put));
}

function isIncluded(input: Input, table: SourceTable, put: Put): boolean {
  const entry = table.shards.find(({ shardId }) => shardId === put.shardId);
  if (entry !== undefined) return isBefore(entry.at, put);
  // It left the table because its children are in: or it has not entered yet.
  return table.shards.some(({ shardId }) => descends(input, shardId, put.shardId));
}

function isBefore(at: ShardEntry["at"], put: Put): boolean {
  if (at.kind === "finished") return true;
  return at.position.kind === "after" && put.sequenceNumber <= BigInt(at.position.sequenceNumber);
}

/**
 * The tables after exactly these records, each once, those of a key in the order of putting.
 *
 * @param arrivals the order in which all of them were taken, where one is known
 */
export function rowsOf(puts: readonly Put[], padding: number, arrivals: readonly number[]): Rows {
  const rows = new Map<string, string>();
  for (const [key, ofKey] of grouped(puts, (put) => put.key)) {
    rows.set(rowName(tables.tallies, key), canonicalJson(tallyOf(key, ofKey, padding)));
  }
  for (const [group, ofGroup] of grouped(puts, (put) => groupOf(put.n))) {
    const row: GroupSum = { group, count: ofGroup.length, sum: ofGroup.reduce((sum, { n }) => sum + n, 0) };
    rows.set(rowName(tables.groups, group), canonicalJson(row));
  }
  if (puts.length > 0) {
    const row: Arrivals = { feed: onlyFeed, numbers: arrivals };
    rows.set(rowName(tables.arrivals, onlyFeed), canonicalJson(row));
  }
  return rows;
}

function grouped(puts: readonly Put[], by: (put: Put) => string): ReadonlyMap<string, readonly Put[]> {
  const groups = new Map<string, Put[]>();
  for (const put of puts) groups.set(by(put), [...(groups.get(by(put)) ?? []), put]);
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
