import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  PutRecordsCommand,
  type ShardIteratorType,
} from "@aws-sdk/client-kinesis";
import { expect } from "vitest";

export const first = "shardId-000000000000";
export const bytes = (text: string) => new TextEncoder().encode(text);
export const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);

let streams = 0;
export async function newStream(kinesis: KinesisClient, shards: number): Promise<string> {
  streams += 1;
  const StreamName = `stream-${streams}`;
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
  return StreamName;
}

export async function put(kinesis: KinesisClient, StreamName: string, values: readonly string[]): Promise<string[]> {
  const Records = values.map((value) => ({ PartitionKey: value, Data: bytes(value) }));
  const put = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
  expect(put.FailedRecordCount).toBe(0);
  return (put.Records ?? []).map((record) => String(record.SequenceNumber));
}

export interface From {
  readonly type: ShardIteratorType;
  readonly sequence?: string;
  readonly at?: Date;
}
export async function iterator(
  kinesis: KinesisClient,
  StreamName: string,
  ShardId: string,
  from: From,
): Promise<string> {
  const { ShardIterator } = await kinesis.send(
    new GetShardIteratorCommand({
      StreamName,
      ShardId,
      ShardIteratorType: from.type,
      ...(from.sequence === undefined ? {} : { StartingSequenceNumber: from.sequence }),
      ...(from.at === undefined ? {} : { Timestamp: from.at }),
    }),
  );
  return String(ShardIterator);
}
export const read = (kinesis: KinesisClient, ShardIterator: string, Limit = 10_000) =>
  kinesis.send(new GetRecordsCommand({ ShardIterator, Limit }));

export async function valuesFrom(kinesis: KinesisClient, stream: string, from: From): Promise<string[]> {
  const { Records } = await read(kinesis, await iterator(kinesis, stream, first, from));
  return (Records ?? []).map((record) => text(record.Data));
}
