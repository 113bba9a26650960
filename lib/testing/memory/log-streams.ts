import { createHash } from "node:crypto";
import { StreamError } from "../../model/errors.js";
import { type Millis, millis } from "../../model/ids.js";
import type { LogRecord, LogShard } from "../../ports/log.js";

export interface MemoryShard extends LogShard {
  readonly records: LogRecord[];
  /** null: open. The time of its split or merge. */
  closedAt: Millis | null;
}

export interface MemoryStream {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: Millis;
  readonly shards: MemoryShard[];
  retentionMillis: number;
  /** Counts over all shards ever made. */
  shardCount: number;
  nextSequenceNumber: bigint;
}

/** Kinesis's hash space: MD5 as a number. */
const hashKeyCount = 2n ** 128n;
/** Small, so that the first few records have numbers of one, two and three digits: compared as text they would be out of order. */
const firstSequenceNumber = 7n;

export function newStream(
  name: string,
  options: { readonly shards: number; readonly createdAt: Millis },
): MemoryStream {
  const stream: MemoryStream = {
    name,
    arn: `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`,
    createdAt: options.createdAt,
    shards: [],
    retentionMillis: 24 * 3_600_000,
    shardCount: 0,
    nextSequenceNumber: firstSequenceNumber,
  };
  const count = BigInt(options.shards);
  const bound = (index: bigint): bigint => (hashKeyCount * index) / count;
  for (let index = 0n; index < count; index += 1n) addShard(stream, [], [bound(index), bound(index + 1n) - 1n]);
  return stream;
}

export function putRecord(
  stream: MemoryStream,
  partitionKey: string,
  data: Uint8Array,
  at: Millis,
): { readonly shardId: string; readonly sequenceNumber: string } {
  const hash = BigInt(`0x${createHash("md5").update(partitionKey).digest("hex")}`);
  const owner = stream.shards.find((shard) => shard.closedAt === null && includes(shard, hash));
  if (owner === undefined) throw new StreamError("bug", `stream "${stream.name}" has no open shard for hash ${hash}`);
  const sequenceNumber = takeSequenceNumber(stream);
  owner.records.push({ sequenceNumber, partitionKey, data: Uint8Array.from(data), arrivedAt: at });
  return { shardId: owner.shardId, sequenceNumber };
}

/** Halves an open shard; its children are made at once. */
export function splitShard(stream: MemoryStream, shardId: string, at: Millis): readonly [string, string] {
  const parent = openShard(stream, shardId);
  const [first, last] = hashRange(parent);
  if (first === last) throw new StreamError("invalid", `shard ${shardId} holds one hash key and cannot be split`);
  const middle = (first + last + 1n) / 2n;
  close(stream, [parent], at);
  return [addShard(stream, [shardId], [first, middle - 1n]), addShard(stream, [shardId], [middle, last])];
}

export function mergeShards(stream: MemoryStream, ids: readonly [string, string], at: Millis): string {
  const [left, right] = ids.map((id) => openShard(stream, id)) as [MemoryShard, MemoryShard];
  const [low, high] = hashRange(left)[0] < hashRange(right)[0] ? [left, right] : [right, left];
  if (hashRange(low)[1] + 1n !== hashRange(high)[0]) {
    throw new StreamError("invalid", `shards ${ids.join(" and ")} are not adjacent and cannot be merged`);
  }
  close(stream, [left, right], at);
  return addShard(stream, ids, [hashRange(low)[0], hashRange(high)[1]]);
}

/** Drops what arrived before `before`, and closed shards that ended before it. */
export function trimStream(stream: MemoryStream, before: Millis): void {
  for (const shard of stream.shards) {
    const kept = shard.records.findIndex((record) => record.arrivedAt >= before);
    shard.records.splice(0, kept === -1 ? shard.records.length : kept);
  }
  const gone = (shard: MemoryShard) => shard.closedAt !== null && shard.closedAt < before && shard.records.length === 0;
  stream.shards.splice(0, stream.shards.length, ...stream.shards.filter((shard) => !gone(shard)));
}

function addShard(stream: MemoryStream, parents: readonly string[], range: readonly [bigint, bigint]): string {
  const shardId = `shardId-${String(stream.shardCount).padStart(12, "0")}`;
  stream.shardCount += 1;
  const hashKeys = [String(range[0]), String(range[1])] as const;
  stream.shards.push({ shardId, parents, hashKeys, records: [], closedAt: null });
  return shardId;
}

/** Closing takes a number of its own: nothing that comes later sorts before what was there. */
function close(stream: MemoryStream, shards: readonly MemoryShard[], at: Millis): void {
  for (const shard of shards) shard.closedAt = at;
  takeSequenceNumber(stream);
}

/** Gaps of different widths: as in Kinesis, the next number cannot be guessed from the last. */
function takeSequenceNumber(stream: MemoryStream): string {
  const taken = stream.nextSequenceNumber;
  stream.nextSequenceNumber += 1n + (taken % 3n);
  return String(taken);
}

function openShard(stream: MemoryStream, shardId: string): MemoryShard {
  const found = stream.shards.find((shard) => shard.shardId === shardId);
  if (found !== undefined && found.closedAt === null) return found;
  throw new StreamError("invalid", `stream "${stream.name}" has no open shard ${shardId}`);
}

const hashRange = (shard: LogShard): readonly [bigint, bigint] => [
  BigInt(shard.hashKeys[0]),
  BigInt(shard.hashKeys[1]),
];

function includes(shard: LogShard, hash: bigint): boolean {
  const [first, last] = hashRange(shard);
  return first <= hash && hash <= last;
}

/** The server's clock as it tells it: in whole seconds, rounded down, like the Date header of an answer. */
export const serverTime = (now: Millis): Millis => millis(Math.floor(now / 1_000) * 1_000);
