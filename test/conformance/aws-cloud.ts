import { CreateTableCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { awsClients } from "../../lib/connectors/clients.js";
import { marshalItem } from "../../lib/connectors/dynamo-items.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import type { AttributeType, TableItem } from "../../lib/ports/tables.js";

const scalars = { string: "S", number: "N", bytes: "B" } as const;

/** An embedded cloud in memory and clients to it, with names that no other test of the file has. */
export async function openCloud() {
  const cloud = await startCloud({ port: 0, data: null });
  const clients = awsClients({
    endpoint: cloud.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  let names = 0;
  const fresh = (kind: string) => {
    names += 1;
    return `${kind}-${names}`;
  };
  const createTable = async (key: readonly { readonly name: string; readonly type: AttributeType }[]) => {
    const TableName = fresh("table");
    await clients.dynamo.send(
      new CreateTableCommand({
        TableName,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: key.map(({ name, type }) => ({ AttributeName: name, AttributeType: scalars[type] })),
        KeySchema: key.map(({ name }, index) => ({ AttributeName: name, KeyType: index === 0 ? "HASH" : "RANGE" })),
      }),
    );
    return TableName;
  };
  return {
    endpoint: cloud.endpoint,
    clients,
    fresh,
    createTable,
    async createBucket() {
      const bucket = fresh("bucket");
      await clients.s3.send(new CreateBucketCommand({ Bucket: bucket }));
      return bucket;
    },
    async plant(TableName: string, item: TableItem) {
      await clients.dynamo.send(new PutItemCommand({ TableName, Item: marshalItem(item) }));
    },
    async close() {
      clients.destroy();
      await cloud.close();
    },
  };
}

export type Cloud = Awaited<ReturnType<typeof openCloud>>;
