import { DeleteTableCommand, paginateListTables } from "@aws-sdk/client-dynamodb";
import { DeleteStreamCommand, ListStreamsCommand } from "@aws-sdk/client-kinesis";
import {
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import type { AwsClients } from "../../lib/connectors/clients.js";

const prefixLengthMin = 8;

/** Removes all streams, tables and buckets whose names begin so, with what is in them. Answers with their names. */
export async function sweep(clients: AwsClients, prefix: string): Promise<readonly string[]> {
  if (prefix.length < prefixLengthMin)
    throw new Error(`"${prefix}" is too short a prefix to remove everything under it`);
  const removals = [sweepTables(clients, prefix), sweepStreams(clients, prefix), sweepBuckets(clients, prefix)];
  // One that fails does not keep the others from being removed.
  const outcomes = await Promise.allSettled(removals);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
}

async function sweepTables({ dynamo }: AwsClients, prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { TableNames = [] } of paginateListTables({ client: dynamo }, {}))
    found.push(...TableNames.filter((name) => name.startsWith(prefix)));
  for (const TableName of found) await dynamo.send(new DeleteTableCommand({ TableName }));
  return found;
}

async function sweepStreams({ kinesis }: AwsClients, prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  // By names, not by tokens, which not every emulator gives.
  for (let [after, hasMore] = ["", true]; hasMore; ) {
    const from = after === "" ? {} : { ExclusiveStartStreamName: after };
    const { StreamNames = [], HasMoreStreams } = await kinesis.send(new ListStreamsCommand(from));
    found.push(...StreamNames.filter((name) => name.startsWith(prefix)));
    [after, hasMore] = [StreamNames.at(-1) ?? "", HasMoreStreams === true && StreamNames.length > 0];
  }
  for (const StreamName of found) await kinesis.send(new DeleteStreamCommand({ StreamName }));
  return found;
}

async function sweepBuckets({ s3 }: AwsClients, prefix: string): Promise<readonly string[]> {
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
  const found = Buckets.flatMap(({ Name }) => (Name?.startsWith(prefix) ? [Name] : []));
  for (const Bucket of found) {
    for (;;) {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
      if (Contents.length === 0) break;
      const Objects = Contents.map(({ Key }) => ({ Key }));
      const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
      if (Errors.length > 0) throw new Error(`${Bucket}: ${Errors[0]?.Key} cannot be removed: ${Errors[0]?.Message}`);
    }
    await s3.send(new DeleteBucketCommand({ Bucket }));
  }
  return found;
}
