import {
  DescribeStreamSummaryCommand,
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  type ListShardsCommandOutput,
  ResourceNotFoundException,
  type Shard,
  type _Record as StreamRecord,
} from "@aws-sdk/client-kinesis";
import { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";
import type { Log, LogRecord, LogShard, LogStart } from "../ports/log.js";
import { awsError, isThrottled } from "./aws-errors.js";

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
        if (isThrottled(error)) return { kind: "throttled" };
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

/** The server's clock is the Date header of its answer (whole seconds, rounded down), which the SDK does not hand on by itself. */
function serverClock(client: KinesisClient): (answer: object) => Millis {
  const dates = new WeakMap<object, string | undefined>();
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { readonly headers: Readonly<Record<string, string>> };
      if (result.output !== undefined) dates.set(result.output, headers.date);
      return result;
    },
    // High: outside the SDK's deserializer, which makes the output.
    { step: "deserialize", priority: "high" },
  );
  return (answer) => {
    const time = Date.parse(dates.get(answer) ?? "");
    if (Number.isFinite(time)) return millis(time);
    throw new StreamError(
      "invalid",
      "the Kinesis endpoint answers without a Date header, which retention is judged by",
    );
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
