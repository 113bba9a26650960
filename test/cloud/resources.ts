// The chosen cloud, and what tests make in it.
import { setTimeout as sleep } from "node:timers/promises";
import { CreateTableCommand, PutItemCommand, paginateScan, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { CreateStreamCommand, DescribeStreamSummaryCommand } from "@aws-sdk/client-kinesis";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { inject } from "vitest";
import { awsClients } from "../../lib/connectors/clients.js";
import { marshalItem, unmarshalItem } from "../../lib/connectors/dynamo-items.js";
import type { AttributeType, TableItem } from "../../lib/ports/tables.js";

const scalars = { string: "S", number: "N", bytes: "B" } as const;

export type KeyPart = { readonly name: string; readonly type: AttributeType };

/** The key of a table of checkpoints. */
export const checkpointKey: readonly KeyPart[] = [
  { name: "pk", type: "string" },
  { name: "sk", type: "string" },
];

let opened = 0;

/** Clients to the chosen cloud. Names that it gives are new; what bears them is removed after all tests. */
export function openCloud() {
  const cloud = inject("cloud");
  const clients = awsClients({
    region: cloud.region,
    ...(cloud.endpoint === null ? {} : { endpoint: cloud.endpoint }),
    ...(cloud.credentials === null ? {} : { credentials: cloud.credentials }),
  });
  opened += 1;
  const mine = `${cloud.prefix}${process.pid.toString(36)}-${opened}`;
  let names = 0;
  const fresh = (kind: string) => {
    names += 1;
    return `${mine}-${kind}-${names}`;
  };
  /** Of other tests of this run, which may go on at the same time. */
  const isOfOthers = (name: string) => name.includes(cloud.prefix) && !name.includes(`${mine}-`);
  const { dynamo, kinesis, s3 } = clients;

  async function createTable(key: readonly KeyPart[], TableName = fresh("table")): Promise<string> {
    await dynamo.send(
      new CreateTableCommand({
        TableName,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: key.map(({ name, type }) => ({ AttributeName: name, AttributeType: scalars[type] })),
        KeySchema: key.map(({ name }, index) => ({ AttributeName: name, KeyType: index === 0 ? "HASH" : "RANGE" })),
      }),
    );
    await waitUntilTableExists({ client: dynamo, maxWaitTime: 120, minDelay: 0.1, maxDelay: 2 }, { TableName });
    return TableName;
  }

  async function createBucket(): Promise<string> {
    const Bucket = fresh("bucket");
    const isDefault = cloud.region === "us-east-1";
    const place = { CreateBucketConfiguration: { LocationConstraint: cloud.region as "eu-west-1" } };
    await s3.send(new CreateBucketCommand({ Bucket, ...(isDefault ? {} : place) }));
    return Bucket;
  }

  async function untilActive(StreamName: string): Promise<void> {
    for (;;) {
      const { StreamDescriptionSummary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
      if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") return;
      await sleep(cloud.kind === "aws" ? 1_000 : 50);
    }
  }

  async function createStream(ShardCount: number, StreamName = fresh("stream")): Promise<string> {
    await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount }));
    await untilActive(StreamName);
    return StreamName;
  }

  async function itemsOf(TableName: string): Promise<readonly TableItem[]> {
    const items: TableItem[] = [];
    for await (const { Items = [] } of paginateScan({ client: dynamo }, { TableName, ConsistentRead: true }))
      items.push(...Items.map(unmarshalItem));
    return items;
  }

  /** By which a process of its own gets here. */
  function variables(): Readonly<Record<string, string>> {
    const given = Object.entries(process.env).flatMap(([key, value = ""]) =>
      key.startsWith("AWS_") ? [[key, value]] : [],
    );
    const keys = cloud.credentials;
    return {
      ...Object.fromEntries(given),
      AWS_REGION: cloud.region,
      ...(cloud.endpoint === null ? {} : { AWS_ENDPOINT_URL: cloud.endpoint }),
      ...(keys === null ? {} : { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey }),
    };
  }

  return {
    ...cloud,
    clients,
    fresh,
    isOfOthers,
    variables,
    createTable,
    createBucket,
    createStream,
    untilActive,
    itemsOf,
    async plant(TableName: string, item: TableItem): Promise<void> {
      await dynamo.send(new PutItemCommand({ TableName, Item: marshalItem(item) }));
    },
  };
}

export type Cloud = ReturnType<typeof openCloud>;
