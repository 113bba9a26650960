import {
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import type { OpenLog } from "../../lib/testing/conformance/log-case.js";

export interface Streams {
  /** Makes a stream of so many shards under a new name, and answers with it when it is active. */
  create(shardCount: number): Promise<string>;
  /** Resolves when a stream that was changed is active again. */
  untilActive(stream: string): Promise<void>;
  passTime(millis: number): Promise<void>;
}

/** A log of Kinesis, with what tests do to its streams. */
export const openKinesisLog = (kinesis: KinesisClient, streams: Streams): OpenLog => ({
  log: kinesisLog(kinesis),
  createStream: streams.create,
  async put(StreamName, PartitionKey, Data) {
    const { ShardId, SequenceNumber } = await kinesis.send(new PutRecordCommand({ StreamName, PartitionKey, Data }));
    return { shardId: ShardId ?? "", sequenceNumber: SequenceNumber ?? "" };
  },
  async split(StreamName, ShardToSplit) {
    const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
    const range = Shards.find((shard) => shard.ShardId === ShardToSplit)?.HashKeyRange;
    const middle = (BigInt(range?.StartingHashKey ?? 0) + BigInt(range?.EndingHashKey ?? 0) + 1n) / 2n;
    await kinesis.send(new SplitShardCommand({ StreamName, ShardToSplit, NewStartingHashKey: String(middle) }));
    await streams.untilActive(StreamName);
  },
  async merge(StreamName, ShardToMerge, AdjacentShardToMerge) {
    await kinesis.send(new MergeShardsCommand({ StreamName, ShardToMerge, AdjacentShardToMerge }));
    await streams.untilActive(StreamName);
  },
  passTime: streams.passTime,
});
