// Reads what the sinks hold, by the clients of their services alone. Shares no code with tidemark.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { DynamoDBClient, GetItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { GetRecordsCommand, GetShardIteratorCommand, KinesisClient, ListShardsCommand } from "@aws-sdk/client-kinesis";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import pg from "pg";

export async function openClients({ endpoint, database }) {
  const at = { endpoint, region: "us-east-1", credentials: { accessKeyId: "any", secretAccessKey: "any" } };
  const clients = {
    dynamo: new DynamoDBClient(at),
    kinesis: new KinesisClient(at),
    s3: new S3Client({ ...at, forcePathStyle: true }),
    sql: new pg.Client({ connectionString: database }),
  };
  await clients.sql.connect();
  const close = async () => {
    for (const client of [clients.dynamo, clients.kinesis, clients.s3]) client.destroy();
    await clients.sql.end();
  };
  return { ...clients, close };
}

/** The pipeline's head, as of now. */
export async function readHead({ dynamo }, pipeline) {
  const Key = { pk: { S: pipeline }, sk: { S: "head" } };
  const { Item } = await dynamo.send(new GetItemCommand({ TableName: "tidemark-dev", Key, ConsistentRead: true }));
  return Item === undefined ? null : JSON.parse(Item.body.S);
}

export async function* items({ dynamo }, TableName) {
  let ExclusiveStartKey;
  do {
    const page = await dynamo.send(new ScanCommand({ TableName, ExclusiveStartKey, ConsistentRead: true }));
    yield* page.Items ?? [];
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
}

export const plain = (item) =>
  Object.fromEntries(Object.entries(item).map(([name, { S, N, BOOL, B }]) => [name, S ?? B ?? BOOL ?? Number(N)]));

/** In the order of their names. */
export async function keysIn({ s3 }, Bucket, Prefix) {
  const keys = [];
  let ContinuationToken;
  do {
    const page = await s3.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }));
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return keys;
}

export const isFinal = (key) => !key.includes("/_tidemark/");

export async function textOf({ s3 }, Bucket, Key) {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  const bytes = Buffer.from(await Body.transformToByteArray());
  return (Key.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}

export const rowsOf = (text) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

/** Files that are shown, in the order of their names. */
export const filesIn = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();

export const rowsIn = (folder, file) => rowsOf(readFileSync(join(folder, file), "utf8"));

/** Reads what has come to a stream since the last call, shard by shard, those that others came out of first. */
export function streamReader({ kinesis }, StreamName) {
  /** By shard; null: it was read to its end. */
  const places = new Map();
  const begin = async (ShardId) => {
    const from = new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
    return (await kinesis.send(from)).ShardIterator;
  };
  async function* shard(id) {
    for (let at = places.has(id) ? places.get(id) : await begin(id); at !== null; ) {
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator: at }));
      at = page.NextShardIterator ?? null;
      places.set(id, at);
      yield* page.Records ?? [];
      if ((page.Records ?? []).length === 0 && page.MillisBehindLatest === 0) return;
      // A shard gives five pages a second.
      await sleep(50);
    }
  }
  return async function* fresh() {
    const { Shards: shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
    const listed = new Set(shards.map(({ ShardId }) => ShardId));
    for (let left = shards; left.length > 0; ) {
      const waiting = new Set(left.map(({ ShardId }) => ShardId));
      const waits = (parent) => listed.has(parent) && waiting.has(parent);
      const now = left.filter((one) => !waits(one.ParentShardId) && !waits(one.AdjacentParentShardId));
      for (const { ShardId } of now) yield* shard(ShardId);
      left = left.filter((one) => !now.includes(one));
    }
  };
}
