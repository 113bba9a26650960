import {
  DescribeStreamSummaryCommand,
  type KinesisClient,
  PutRecordsCommand,
  type PutRecordsResultEntry,
  ResourceNotFoundException,
} from "@aws-sdk/client-kinesis";
import type { StreamError } from "../model/errors.js";
import type { StreamAnswer, Streams } from "../ports/streams.js";
import { awsError, isThrottled, markLostAnswers } from "./aws-errors.js";

/**
 * Kinesis Data Streams to write to. A stream is a name or an ARN.
 * https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
 *
 * @example const streams = kinesisStreams(clients.kinesis);
 */
export function kinesisStreams(client: KinesisClient): Streams {
  markLostAnswers(client);
  return {
    async describe(stream) {
      try {
        await client.send(new DescribeStreamSummaryCommand(streamInput(stream)));
        return { kind: "found" };
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return { kind: "absent" };
        throw failed(error, "read", stream, "describe");
      }
    },
    async put(stream, entries) {
      const Records = entries.map(({ partitionKey, data }) => ({ PartitionKey: partitionKey, Data: data }));
      try {
        const answer = await client.send(new PutRecordsCommand({ ...streamInput(stream), Records }));
        return (answer.Records ?? []).map(answerOf);
      } catch (error) {
        if (isThrottled(error)) return entries.map(() => ({ kind: "refused", why: "throttled" }));
        throw failed(error, "write", stream, `put of ${entries.length} records`);
      }
    },
  };
}

const streamInput = (stream: string) => (stream.startsWith("arn:") ? { StreamARN: stream } : { StreamName: stream });

const answerOf = ({ ErrorCode, ErrorMessage, ShardId, SequenceNumber }: PutRecordsResultEntry): StreamAnswer =>
  ErrorCode === undefined && SequenceNumber !== undefined
    ? { kind: "put", shardId: ShardId ?? "", sequenceNumber: SequenceNumber }
    : { kind: "refused", why: [ErrorCode, ErrorMessage].filter(Boolean).join(": ") };

function failed(error: unknown, intent: "read" | "write", stream: string, doing: string): StreamError {
  const target = {
    name: `Kinesis stream "${stream}"`,
    actions: "kinesis:DescribeStreamSummary and PutRecords on it",
    whenAbsent: "create it, or bind the sink to another",
  };
  return awsError(error, { intent, target, doing });
}
