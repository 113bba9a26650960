import {
  DescribeStreamSummaryCommand,
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  InvalidArgumentException,
  type KinesisClient,
  ListShardsCommand,
  type ListShardsCommandOutput,
  ResourceNotFoundException,
  type Shard,
  type _Record as StreamRecord,
} from "@aws-sdk/client-kinesis";
import type { StreamError } from "../model/errors.js";
import { millis } from "../model/ids.js";
import type { Log, LogRecord, LogShard, LogStart } from "../ports/log.js";
import { awsError, isThrottled } from "./aws-errors.js";
import { serverClock } from "./server-clock.js";

/**
 * Kinesis Data Streams as a log. A stream is a name or an ARN.
 * https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
 *
 * @example const log = kinesisLog(clients.kinesis);
 */
export function kinesisLog(client: KinesisClient): Log {
  const serverNow = serverClock(client);
  return {
    async describe(stream) {
      try {
        const answer = await client.send(new DescribeStreamSummaryCommand(streamInput(stream)));
        const summary = answer.StreamDescriptionSummary;
        return {
          kind: "found",
          arn: summary?.StreamARN ?? "",
          createdAt: millis(summary?.StreamCreationTimestamp?.getTime() ?? 0),
          retentionMillis: (summary?.RetentionPeriodHours ?? 0) * 3_600_000,
          serverNow: serverNow(answer),
        };
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return { kind: "absent" };
        throw failed(error, stream, "describe");
      }
    },
    async shards(stream) {
      const shards: LogShard[] = [];
      let NextToken: string | undefined;
      try {
        do {
          // The token stands for the stream: giving both is refused.
          const input = NextToken === undefined ? streamInput(stream) : { NextToken };
          const page: ListShardsCommandOutput = await client.send(new ListShardsCommand(input));
          shards.push(...(page.Shards ?? []).map(logShard));
          NextToken = page.NextToken;
        } while (NextToken !== undefined);
      } catch (error) {
        throw failed(error, stream, "list of its shards");
      }
      return shards;
    },
    async cursor(stream, shardId, start) {
      try {
        const input = { ...streamInput(stream), ShardId: shardId, ...iteratorStart(start) };
        const { ShardIterator = "" } = await client.send(new GetShardIteratorCommand(input));
        return { kind: "cursor", cursor: ShardIterator };
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return { kind: "absent" };
        if (isThrottled(error) || isYetToCome(error, start)) return { kind: "throttled" };
        throw failed(error, stream, `start of shard ${shardId}`);
      }
    },
    async read(stream, cursor, limit) {
      try {
        const answer = await client.send(new GetRecordsCommand({ ShardIterator: cursor, Limit: limit }));
        return {
          kind: "records",
          records: (answer.Records ?? []).map(logRecord),
          next: answer.NextShardIterator ?? null,
          behindMillis: answer.MillisBehindLatest ?? 0,
          serverNow: serverNow(answer),
        };
      } catch (error) {
        // A shard that went while it was read: the next cursor says `absent`.
        if (error instanceof ExpiredIteratorException || error instanceof ResourceNotFoundException) {
          return { kind: "expired" };
        }
        if (isThrottled(error)) return { kind: "throttled" };
        throw failed(error, stream, "read");
      }
    },
  };
}

const streamInput = (stream: string) => (stream.startsWith("arn:") ? { StreamARN: stream } : { StreamName: stream });

function iteratorStart(start: LogStart) {
  switch (start.kind) {
    case "horizon":
      return { ShardIteratorType: "TRIM_HORIZON" } as const;
    case "timestamp":
      return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(start.at) } as const;
    case "at":
      return { ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: start.sequenceNumber } as const;
  }
}

/** Which of the service's clocks is asked changes from call to call, so a time that one told may be yet to come for another. */
const isYetToCome = (error: unknown, start: LogStart): boolean =>
  start.kind === "timestamp" &&
  error instanceof InvalidArgumentException &&
  error.message.includes("cannot be greater than the currentTimestampInMillis");

const logShard = (shard: Shard): LogShard => ({
  shardId: shard.ShardId ?? "",
  parents: [shard.ParentShardId, shard.AdjacentParentShardId].filter((parent) => parent !== undefined),
  hashKeys: [shard.HashKeyRange?.StartingHashKey ?? "", shard.HashKeyRange?.EndingHashKey ?? ""],
});

const logRecord = (record: StreamRecord): LogRecord => ({
  sequenceNumber: record.SequenceNumber ?? "",
  partitionKey: record.PartitionKey ?? "",
  data: record.Data ?? new Uint8Array(0),
  arrivedAt: millis(record.ApproximateArrivalTimestamp?.getTime() ?? 0),
});

function failed(error: unknown, stream: string, doing: string): StreamError {
  const target = {
    name: `Kinesis stream "${stream}"`,
    actions: "kinesis:DescribeStreamSummary, ListShards, GetShardIterator and GetRecords on it",
    whenAbsent: "create it, or bind the source to another",
  };
  return awsError(error, { intent: "read", target, doing });
}
