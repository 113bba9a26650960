// The input of a stage: records are put, shards are split and merged, and all is read back naively.
import { setTimeout as pause } from "node:timers/promises";
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  ProvisionedThroughputExceededException,
  PutRecordsCommand,
  type Shard,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { kinesisAt } from "../cloud-clients.js";
import type { Word } from "./words.js";

export interface Input {
  /** Puts records in their order, again and again until each was taken. */
  put(records: readonly Word[]): Promise<void>;
  /** Splits a shard in the middle, or merges two neighbours; `either`: the latter where there are four or more. */
  reshard(kind: "split" | "merge" | "either", random: () => number): Promise<void>;
  /** All records, parents before children. */
  readAll(): Promise<readonly Word[]>;
  close(): void;
}

export const openInput = (endpoint: string, stream: string): Input => inputOf(kinesisAt(endpoint, "HTTP/2"), stream);

/** The input by a client of its own, which is destroyed with it. */
export function inputOf(client: KinesisClient, stream: string): Input {
  return {
    put: async (records) => {
      for (let at = 0; at < records.length; at += 100) await putPage(client, stream, records.slice(at, at + 100));
    },
    reshard: (kind, random) => reshard(client, stream, kind, random),
    readAll: () => readAll(client, stream),
    close: () => client.destroy(),
  };
}

/** What was refused is put again before anything later; what was put without an answer may be there twice. */
async function putPage(client: KinesisClient, StreamName: string, records: readonly Word[]): Promise<void> {
  for (let rest = records; rest.length > 0; ) {
    const Records = rest.map((record) => ({ PartitionKey: record.word, Data: Buffer.from(JSON.stringify(record)) }));
    const answer = await client.send(new PutRecordsCommand({ StreamName, Records })).catch(() => null);
    rest = answer === null ? rest : rest.filter((_, index) => answer.Records?.[index]?.ErrorCode !== undefined);
    if (rest.length > 0) await pause(100);
  }
}

const boundsOf = ({ HashKeyRange }: Shard): readonly [bigint, bigint] => [
  BigInt(HashKeyRange?.StartingHashKey ?? 0),
  BigInt(HashKeyRange?.EndingHashKey ?? 0),
];

async function shardsOf(client: KinesisClient, StreamName: string): Promise<readonly Shard[]> {
  return (await client.send(new ListShardsCommand({ StreamName }))).Shards ?? [];
}

const shardsMax = 4;

async function reshard(
  client: KinesisClient,
  StreamName: string,
  wanted: "split" | "merge" | "either",
  random: () => number,
): Promise<void> {
  const open = (await shardsOf(client, StreamName))
    .filter(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber === undefined)
    .sort((a, b) => (boundsOf(a)[0] < boundsOf(b)[0] ? -1 : 1));
  const either = open.length < shardsMax ? "split" : "merge";
  const kind = wanted === "either" ? either : wanted;
  const at = Math.floor(random() * (kind === "split" ? open.length : open.length - 1));
  const [shard, next] = open.slice(at);
  if (shard === undefined || (kind === "merge" && next === undefined)) throw new Error(`nothing to ${kind}`);
  const [low, high] = boundsOf(shard);
  const command =
    kind === "split"
      ? new SplitShardCommand({
          StreamName,
          ShardToSplit: shard.ShardId,
          NewStartingHashKey: String((low + high) / 2n + 1n),
        })
      : new MergeShardsCommand({ StreamName, ShardToMerge: shard.ShardId, AdjacentShardToMerge: next?.ShardId });
  await client.send(command as SplitShardCommand);
  for (;;) {
    const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName }));
    if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") return;
    await pause(50);
  }
}

async function readAll(client: KinesisClient, stream: string): Promise<readonly Word[]> {
  const shards = await shardsOf(client, stream);
  const records: Word[] = [];
  const read = new Set<string>();
  while (read.size < shards.length) {
    const listed = new Set(shards.map(({ ShardId }) => ShardId));
    const isIn = (parent: string | undefined) => parent === undefined || !listed.has(parent) || read.has(parent);
    const next = shards.filter(
      ({ ShardId = "", ParentShardId, AdjacentParentShardId }) =>
        !read.has(ShardId) && isIn(ParentShardId) && isIn(AdjacentParentShardId),
    );
    if (next.length === 0) throw new Error("the shards' lineage has a ring");
    for (const { ShardId = "" } of next) {
      records.push(...(await readShard(client, stream, ShardId)));
      read.add(ShardId);
    }
  }
  return records;
}

async function throttled(error: unknown): Promise<null> {
  if (!(error instanceof ProvisionedThroughputExceededException)) throw error;
  await pause(250);
  return null;
}

async function readShard(client: KinesisClient, StreamName: string, ShardId: string): Promise<readonly Word[]> {
  const from = new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
  let iterator = (await client.send(from)).ShardIterator;
  const records: Word[] = [];
  while (iterator !== undefined) {
    const page = await client.send(new GetRecordsCommand({ ShardIterator: iterator })).catch(throttled);
    if (page === null) continue;
    for (const { Data } of page.Records ?? []) records.push(JSON.parse(Buffer.from(Data ?? []).toString()) as Word);
    if (page.Records?.length === 0 && page.MillisBehindLatest === 0) return records;
    iterator = page.NextShardIterator;
  }
  return records;
}
