import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect as http2Connect } from "node:http2";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateTableCommand, DescribeTableCommand, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { CreateStreamCommand, DescribeStreamSummaryCommand, ListStreamsCommand } from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entriesUnder, openDynamoStore } from "../../lib/local/cloud/dynamodb-store.js";
import { openKinesisStore, type Stream } from "../../lib/local/cloud/kinesis-store.js";
import { type EmbeddedCloud, startCloud } from "../../lib/local/cloud/server.js";
import { dynamoAt, failure, type Http, kinesisAt } from "./cloud-clients.js";

let cloud: EmbeddedCloud;
beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
});
afterAll(() => cloud.close());

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const targets = { Kinesis: "Kinesis_20131202.PutRecords", DynamoDB: "DynamoDB_20120810.PutItem" };

/** Announces more than it sends, then dies. */
function dieWithin(http: Http, target: string | undefined): Promise<void> {
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "content-length": "1000",
    authorization: "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=s",
    ...(target === undefined ? {} : { "x-amz-target": target }),
  };
  return http === "HTTP/1.1" ? dieWithin1(headers) : dieWithin2(headers);
}

function dieWithin1(headers: Record<string, string>): Promise<void> {
  return new Promise((resolve) => {
    const request = httpRequest({
      port: cloud.port,
      method: headers["x-amz-target"] ? "POST" : "PUT",
      path: "/b/k",
      headers,
    });
    request.on("error", () => undefined);
    request.on("close", () => resolve());
    request.write('{"StreamName":');
    setTimeout(() => request.destroy(), 20);
  });
}

async function dieWithin2(headers: Record<string, string>): Promise<void> {
  const session = http2Connect(cloud.endpoint);
  session.on("error", () => undefined);
  const method = headers["x-amz-target"] ? "POST" : "PUT";
  const stream = session.request({ ":method": method, ":path": "/b/k", ...headers });
  stream.on("error", () => undefined);
  stream.write('{"StreamName":');
  await pause(20);
  session.destroy();
}

describe.each<Http>(["HTTP/1.1", "HTTP/2"])("an embedded cloud over %s", (http) => {
  it("outlives clients that die in mid-request", async () => {
    for (const target of [targets.Kinesis, targets.DynamoDB, undefined]) {
      await Promise.all([dieWithin(http, target), dieWithin(http, target)]);
    }
    await pause(50);
    const kinesis = kinesisAt(cloud.endpoint, http);
    expect((await kinesis.send(new ListStreamsCommand({}))).StreamNames).toEqual([]);
    kinesis.destroy();
  });
});

describe("an embedded cloud", () => {
  it("outlives connections that say nothing, half a word or nonsense", async () => {
    for (const said of [
      "",
      "P",
      "PR",
      "nonsense\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense",
    ]) {
      const socket = connect(cloud.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(said);
      await pause(20);
      socket.resetAndDestroy();
    }
    expect((await fetch(`${cloud.endpoint}/_tidemark/health`)).status).toBe(200);
  });

  it("understands a request that arrives byte by byte", async () => {
    const socket = connect(cloud.port, "127.0.0.1");
    const answer = new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    for (const byte of "PUT /_tidemark/health HTTP/1.1\r\nHost: x\r\n\r\n") {
      socket.write(byte);
      await pause(1);
    }
    expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it("recognises HTTP/2 in a beginning that arrives byte by byte", async () => {
    const socket = connect(cloud.port, "127.0.0.1");
    const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    for (const byte of Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings])) {
      socket.write(Buffer.from([byte]));
      await pause(1);
    }
    const frameType = 3;
    expect((await answer)[frameType]).toBe(settings[frameType]);
    socket.destroy();
  });

  it("tells that its services run", async () => {
    const answer = await fetch(`${cloud.endpoint}/_tidemark/health`);
    expect(await answer.json()).toEqual({ services: { kinesis: "running", dynamodb: "running", s3: "running" } });
  });

  it("refuses what it cannot understand, and goes on", async () => {
    const ask = async (headers: Record<string, string>, body: string) => {
      const answer = await fetch(cloud.endpoint, { method: "POST", headers, body });
      return [answer.status, ((await answer.json()) as { __type: string }).__type];
    };
    const json = { "content-type": "application/x-amz-json-1.1" };
    expect(await ask({ ...json, "x-amz-target": targets.Kinesis }, "{")).toEqual([400, "SerializationException"]);
    expect(await ask({ ...json, "x-amz-target": targets.Kinesis }, "{}")).toEqual([
      400,
      "MissingAuthenticationTokenException",
    ]);
    const signed = { ...json, authorization: "AWS4-HMAC-SHA256 x" };
    expect(await ask({ ...signed, "x-amz-target": "AmazonSQS.SendMessage" }, "{}")).toEqual([
      400,
      "UnknownOperationException",
    ]);
    expect(await ask({ ...signed, "x-amz-target": "Kinesis_20131202.__proto__" }, "{}")).toEqual([
      400,
      "UnknownOperationException",
    ]);
    const huge = JSON.stringify({ text: "x".repeat(18 * 1024 * 1024) });
    expect(await ask({ ...signed, "x-amz-target": targets.DynamoDB }, huge)).toEqual([
      413,
      "RequestEntityTooLargeException",
    ]);
  });

  it("refuses a port that is taken, and lets go of its folder then", async () => {
    const data = mkdtempSync(join(tmpdir(), "cloud-"));
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const refused = await failure(startCloud({ port, data }));
    expect(refused).toMatchObject({ kind: "invalid", message: expect.stringContaining(`127.0.0.1:${port}`) });
    taken.close();
    await (await startCloud({ port, data })).close();
    rmSync(data, { recursive: true });
  });

  it("puts right what a killed process left half done", async () => {
    const data = mkdtempSync(join(tmpdir(), "cloud-"));
    const fill = async (states: readonly string[]) => {
      const [kinesis, dynamo] = await Promise.all([
        openKinesisStore(join(data, "kinesis")),
        openDynamoStore(join(data, "dynamodb")),
      ]);
      for (const state of states) {
        const stream = { StreamName: state, StreamStatus: state, Shards: [], _seqIx: [] } as unknown as Stream;
        await new Promise((resolve) => kinesis.store.metaDb.put(state, stream, resolve));
        const table = { TableName: state, TableStatus: state, KeySchema: [], AttributeDefinitions: [] };
        const items = { type: "put" as const, key: `item-${state}~a`, value: {} };
        await dynamo.store.db.batch([{ type: "put", key: `table~${state}`, value: table }, items]);
      }
      await kinesis.store.db.close();
      await dynamo.store.db.close();
    };
    await fill(["ACTIVE", "CREATING", "UPDATING", "DELETING"]);
    const mended = await startCloud({ port: 0, data });
    const [kinesis, dynamo] = [kinesisAt(mended.endpoint, "HTTP/1.1"), dynamoAt(mended.endpoint, "HTTP/1.1")];
    expect((await kinesis.send(new ListStreamsCommand({}))).StreamNames).toEqual(["ACTIVE", "UPDATING"]);
    expect((await dynamo.send(new ListTablesCommand({}))).TableNames).toEqual(["ACTIVE", "UPDATING"]);
    const summary = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: "UPDATING" }));
    expect(summary.StreamDescriptionSummary?.StreamStatus).toBe("ACTIVE");
    const described = await dynamo.send(new DescribeTableCommand({ TableName: "UPDATING" }));
    expect(described.Table?.TableStatus).toBe("ACTIVE");
    kinesis.destroy();
    dynamo.destroy();
    await mended.close();
    const { store } = await openDynamoStore(join(data, "dynamodb"));
    const left: string[] = [];
    for await (const [key] of entriesUnder(store.db, "item-")) left.push(key);
    expect(left).toEqual(["item-ACTIVE~a", "item-UPDATING~a"]);
    await store.db.close();
    rmSync(data, { recursive: true });
  });

  it("has its folder for itself, and keeps all in it", async () => {
    const data = mkdtempSync(join(tmpdir(), "cloud-"));
    const one = await startCloud({ port: 0, data });
    const [kinesis, dynamo] = [kinesisAt(one.endpoint, "HTTP/2"), dynamoAt(one.endpoint, "HTTP/1.1")];
    await kinesis.send(new CreateStreamCommand({ StreamName: "kept", ShardCount: 1 }));
    await dynamo.send(
      new CreateTableCommand({
        TableName: "kept",
        BillingMode: "PAY_PER_REQUEST",
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      }),
    );
    const refused = await failure(startCloud({ port: 0, data }));
    expect(refused).toMatchObject({ kind: "invalid", message: expect.stringContaining(join(data, "kinesis")) });
    await one.close();
    const two = await startCloud({ port: one.port, data });
    expect((await kinesis.send(new ListStreamsCommand({}))).StreamNames).toEqual(["kept"]);
    expect((await dynamo.send(new ListTablesCommand({}))).TableNames).toEqual(["kept"]);
    kinesis.destroy();
    dynamo.destroy();
    await two.close();
    rmSync(data, { recursive: true });
  });
});
