// What requests are counted as, against services that bill so.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  GetItemCommand,
  PutItemCommand,
  TransactWriteItemsCommand,
  type TransactWriteItemsCommandInput,
} from "@aws-sdk/client-dynamodb";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { InvokeCommand } from "@aws-sdk/client-lambda";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type AwsClients, awsClients } from "../../lib/connectors/clients.js";
import { meterClients } from "../../lib/connectors/meter.js";
import { provisioner, registersKey } from "../../lib/connectors/provision.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import type { RequestCounts } from "../../lib/model/prices.js";

/** Fails twice, and then takes the invocation. */
function openLambda(): Promise<Server> {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => void response.writeHead(++asked < 3 ? 500 : 202).end());
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

let cloud: Awaited<ReturnType<typeof startCloud>>;
let lambda: Server;
let clients: AwsClients;
const made: AwsClients[] = [];
const open = (endpoint: string) => {
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const one = awsClients({ endpoint, region: "us-east-1", credentials });
  made.push(one);
  return one;
};
let counted: () => RequestCounts;

beforeAll(async () => {
  [cloud, lambda] = await Promise.all([startCloud({ port: 0, data: null }), openLambda()]);
  const provision = provisioner(open(cloud.endpoint));
  await provision.table("registers", registersKey);
  await provision.bucket("checkpoints");
  await provision.stream("rows", 1);
  const { port } = lambda.address() as AddressInfo;
  clients = { ...open(cloud.endpoint), lambda: open(`http://127.0.0.1:${port}`).lambda };
  counted = meterClients(clients);
});
afterAll(async () => {
  for (const one of made) one.destroy();
  lambda.closeAllConnections();
  await new Promise((resolve) => lambda.close(resolve));
  await cloud.close();
});

const TableName = "registers";
const item = (sk: string, bytes = 10) => ({ pk: { S: "p" }, sk: { S: sk }, text: { S: "x".repeat(bytes) } });

it("DynamoDB: what it says that it takes, and for a refused write what the write would have", async () => {
  const { dynamo } = clients;
  await dynamo.send(new PutItemCommand({ TableName, Item: item("a", 2_500) }));
  await dynamo.send(new PutItemCommand({ TableName, Item: item("b") }));
  expect(counted()["DynamoDB.PutItem"]).toEqual({ requests: 2, units: 4 });
  const ConditionExpression = "attribute_not_exists(pk)";
  await expect(dynamo.send(new PutItemCommand({ TableName, Item: item("a"), ConditionExpression }))).rejects.toThrow();
  expect(counted()["DynamoDB.PutItem"]).toEqual({ requests: 3, units: 5 });
  const Key = { pk: { S: "p" }, sk: { S: "a" } };
  const answer = await dynamo.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
  expect(answer.Item).toEqual(item("a", 2_500));
  expect(counted()["DynamoDB.GetItem"]).toEqual({ requests: 1, units: 1 });
  const puts = ["c", "d"].map((sk) => ({ Put: { TableName, Item: item(sk) } }));
  const transaction: TransactWriteItemsCommandInput = { TransactItems: puts };
  await dynamo.send(new TransactWriteItemsCommand(transaction));
  expect(counted()["DynamoDB.TransactWriteItems"]).toEqual({ requests: 1, units: 4 });
  expect(transaction).toEqual({ TransactItems: puts });
});

it("S3: each request by its operation", async () => {
  const at = { Bucket: "checkpoints", Key: "a" };
  await clients.s3.send(new PutObjectCommand({ ...at, Body: "one" }));
  const { Body } = await clients.s3.send(new GetObjectCommand(at));
  expect(await Body?.transformToString()).toBe("one");
  await clients.s3.send(new ListObjectsV2Command({ Bucket: at.Bucket }));
  await clients.s3.send(new DeleteObjectCommand(at));
  for (const name of ["PutObject", "GetObject", "ListObjectsV2", "DeleteObject"])
    expect(counted()[`S3.${name}`], name).toEqual({ requests: 1, units: 0 });
});

it("Kinesis: 25 KB of each record is a unit", async () => {
  const Records = [100, 25 * 1024, 60_000].map((bytes) => ({ Data: Buffer.alloc(bytes), PartitionKey: "k" }));
  await clients.kinesis.send(new PutRecordsCommand({ StreamName: "rows", Records }));
  expect(counted()["Kinesis.PutRecords"]).toEqual({ requests: 1, units: 1 + 2 + 3 });
});

it("Lambda: each attempt is a request", async () => {
  await clients.lambda.send(new InvokeCommand({ FunctionName: "task", InvocationType: "Event" }));
  expect(counted()["Lambda.Invoke"]).toEqual({ requests: 3, units: 0 });
});
