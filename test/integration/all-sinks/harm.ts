// Harms each sink a little, as a row that is lost, repeated or changed would: whoever compares them must tell of each.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ScanCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
  type _Record as StreamRecord,
} from "@aws-sdk/client-kinesis";
import { CopyObjectCommand, DeleteObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import type { TestServer } from "../../fixtures/postgres/server.js";
import { dynamoAt, kinesisAt, s3At } from "../cloud-clients.js";

/** Whose rows are harmed, as the check names them. */
export const harmedSinks = ["counters", "items", "lake", "ledger", "lines", "raw", "stream", "totals"];

/** @param folder of the file sink */
export async function harmAll(endpoint: string, server: TestServer, folder: string): Promise<void> {
  await harmTables(endpoint);
  await harmFiles(endpoint);
  await harmStream(endpoint);
  await server.query("delete from totals where word = (select min(word) from totals)");
  const row = "word, tag, seq, n, digest";
  await server.query(`insert into ledger (${row}) select ${row} from ledger limit 1`);
  const [file = ""] = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  rmSync(join(folder, file));
}

/** One more is counted, and an item has another digest. */
async function harmTables(endpoint: string): Promise<void> {
  const dynamo = dynamoAt(endpoint, "HTTP/1.1");
  const add = (TableName: string, Key: { readonly [name: string]: { readonly S: string } }, name: string) =>
    dynamo.send(
      new UpdateItemCommand({
        ...{ TableName, Key, UpdateExpression: "ADD #n :one" },
        ExpressionAttributeNames: { "#n": name },
        ExpressionAttributeValues: { ":one": { N: "1" } },
      }),
    );
  await add("counters", { tag: { S: "t0" } }, "records");
  const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: "items" }));
  await add("items", { word: { S: Items[0]?.word?.S ?? "" } }, "digest");
  dynamo.destroy();
}

/** A file is there twice, and one is lost. */
async function harmFiles(endpoint: string): Promise<void> {
  const Bucket = "lake";
  const s3 = s3At(endpoint);
  const again = await firstKey(s3, "raw/raw-");
  await s3.send(new CopyObjectCommand({ Bucket, Key: `${again}.jsonl`, CopySource: `${Bucket}/${again}` }));
  await s3.send(new DeleteObjectCommand({ Bucket, Key: await firstKey(s3, "numbered/tag=") }));
  s3.destroy();
}

async function firstKey(s3: S3Client, Prefix: string): Promise<string> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: "lake", Prefix, MaxKeys: 1 }));
  return Contents[0]?.Key ?? "";
}

/** A row comes again as one of another chunk: a reader does not know it for a repeat. */
async function harmStream(endpoint: string): Promise<void> {
  const StreamName = "numbered";
  const kinesis = kinesisAt(endpoint, "HTTP/2");
  const { Data = new Uint8Array(), PartitionKey } = await firstRecord(kinesis, StreamName);
  const bytes = Buffer.from(Data);
  const end = 5 + (bytes[4] ?? 0);
  bytes.writeUInt32BE(1_000_000, end + 6);
  bytes.writeUInt16BE(0xffff, end + 12);
  await kinesis.send(new PutRecordCommand({ StreamName, PartitionKey, Data: bytes }));
  kinesis.destroy();
}

async function firstRecord(kinesis: KinesisClient, StreamName: string): Promise<StreamRecord> {
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  for (const { ShardId } of Shards) {
    const from = new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
    const { ShardIterator } = await kinesis.send(from);
    const { Records: [record] = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator, Limit: 1 }));
    if (record !== undefined) return record;
  }
  throw new Error(`the stream "${StreamName}" has no records`);
}
