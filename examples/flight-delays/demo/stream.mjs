// The stream: fed record by record, its shards split and merged meanwhile.

import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";

export const streamName = "flights";
const recordsPerPut = 500;
const attemptsMax = 20;
const retryPauseMs = 100;
const activePauseMs = 50;
const burstMs = 1_000;
const leastPuts = 300;

export async function createStream(kinesis, shards) {
  await kinesis.send(new CreateStreamCommand({ StreamName: streamName, ShardCount: shards }));
  await untilActive(kinesis);
}

/**
 * Puts the flights in their order, `fast.records` every `fast.everyMs`, or as `slow` says while it is held up. At most 500 at a time,
 * and of what is left a small part while it is held up: there is some left then, however long that takes.
 *
 * @param {{ flights: import("./flights.mjs").Flight[], fast: { records: number, everyMs: number },
 *   slow: { records: number, everyMs: number }, isHeldUp: (fed: number) => boolean, onFed: (fed: number) => void,
 *   signal: AbortSignal }} options
 */
export async function feed(kinesis, { flights, fast, slow, isHeldUp, onFed, signal }) {
  let due = performance.now();
  for (let fed = 0; fed < flights.length; ) {
    const few = {
      records: Math.min(slow.records, Math.ceil((flights.length - fed) / leastPuts)),
      everyMs: slow.everyMs,
    };
    const { records, everyMs } = isHeldUp(fed) ? few : fast;
    const batch = flights.slice(fed, fed + Math.min(records, recordsPerPut));
    await putAll(kinesis, batch, signal);
    fed += batch.length;
    onFed(fed);
    // A feeder that was late does not make up for all of it in one burst.
    due = Math.max(due + everyMs * (batch.length / records), performance.now() - burstMs);
    await sleep(Math.max(0, due - performance.now()), undefined, { signal });
  }
}

/** What is refused is put again, and only that. */
async function putAll(kinesis, flights, signal) {
  let left = flights.map((flight) => ({ PartitionKey: flight.origin, Data: Buffer.from(JSON.stringify(flight)) }));
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const { Records = [] } = await kinesis.send(new PutRecordsCommand({ StreamName: streamName, Records: left }));
    left = left.filter((_, index) => Records[index]?.ErrorCode !== undefined);
    if (left.length === 0) return;
    await sleep(retryPauseMs, undefined, { signal });
  }
  throw new Error(`${left.length} records were refused ${attemptsMax} times by stream "${streamName}"`);
}

/** Splits the first open shard in the middle. @returns {Promise<string>} the shard that was split */
export async function splitOne(kinesis) {
  const [shard] = await openShards(kinesis);
  if (shard === undefined) throw new Error(`stream "${streamName}" has no open shard to split`);
  const NewStartingHashKey = String((shard.from + shard.to) / 2n);
  await kinesis.send(new SplitShardCommand({ StreamName: streamName, ShardToSplit: shard.id, NewStartingHashKey }));
  await untilActive(kinesis);
  return shard.id;
}

/** Merges the second open shard with its neighbour: after `splitOne`, a child with one that never was split. */
export async function mergeTwo(kinesis) {
  const [, left, right] = await openShards(kinesis);
  if (left === undefined || right === undefined)
    throw new Error(`stream "${streamName}" has no two open shards to merge`);
  await kinesis.send(
    new MergeShardsCommand({ StreamName: streamName, ShardToMerge: left.id, AdjacentShardToMerge: right.id }),
  );
  await untilActive(kinesis);
  return [left.id, right.id];
}

/** Open shards in the order of their hash keys. */
async function openShards(kinesis) {
  const shards = await allShards(kinesis);
  return shards
    .filter(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber === undefined)
    .map(({ ShardId: id, HashKeyRange }) => ({
      id,
      from: BigInt(HashKeyRange?.StartingHashKey ?? 0),
      to: BigInt(HashKeyRange?.EndingHashKey ?? 0),
    }))
    .sort((a, b) => (a.from < b.from ? -1 : 1));
}

/** Open and closed ones, as they were made: parents before children. */
export async function allShards(kinesis) {
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: streamName }));
  return Shards;
}

async function untilActive(kinesis) {
  for (;;) {
    const { StreamDescriptionSummary: stream } = await kinesis.send(
      new DescribeStreamSummaryCommand({ StreamName: streamName }),
    );
    if (stream?.StreamStatus === "ACTIVE") return;
    await sleep(activePauseMs);
  }
}
