import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateStreamCommand, KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { S3Client } from "@aws-sdk/client-s3";
import { afterEach, describe, expect, it } from "vitest";
import { awsClients } from "../../lib/connectors/clients.js";
import { dynamoRegisters } from "../../lib/connectors/dynamo-registers.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { kinesisLog } from "../../lib/connectors/kinesis-log.js";
import { lambdaFunctions } from "../../lib/connectors/lambda-functions.js";
import { s3Blobs } from "../../lib/connectors/s3-blobs.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import { checkpointId, generation, taskId } from "../../lib/model/ids.js";
import { encodeVersion } from "../../lib/model/versions.js";
import { collect } from "../../lib/testing/conformance/suite.js";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };
const key = { group: "pipeline", name: "head" };
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** How a service treats one request after the other; the last one again and again. */
type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

const answer =
  (status: number, type: string, body: object = {}): Behaviour =>
  (_, response) =>
    void response
      .writeHead(status, { "content-type": "application/x-amz-json-1.0" })
      .end(JSON.stringify({ __type: `com.amazonaws#${type}`, message: `this is ${type}`, ...body }));
const s3Error =
  (status: number, code: string): Behaviour =>
  (_, response) =>
    void response.writeHead(status).end(`<Error><Code>${code}</Code><Message>this is ${code}</Message></Error>`);
/** The request arrives, and its answer never does. */
const hangUp: Behaviour = (request) => void request.socket.destroy();
const silence: Behaviour = () => undefined;

const throttle = answer(400, "ProvisionedThroughputExceededException");
const conditionFailed = answer(400, "ConditionalCheckFailedException");

async function service(...behaviours: Behaviour[]) {
  let calls = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => behaviours[Math.min(calls++, behaviours.length - 1)]?.(request, response));
    request.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  closing.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
  return { endpoint, calls: () => calls };
}

function dynamoAt(endpoint: string, maxAttempts = 3): DynamoDBClient {
  const requestHandler = { requestTimeout: 200, throwOnRequestTimeout: true };
  const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials, maxAttempts, requestHandler });
  closing.push(() => client.destroy());
  return client;
}
const registersAt = (endpoint: string, maxAttempts = 3) =>
  dynamoRegisters(dynamoAt(endpoint, maxAttempts), { table: "state" });

function kinesisAt(endpoint: string): KinesisClient {
  const client = new KinesisClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
  closing.push(() => client.destroy());
  return client;
}

function s3At(endpoint: string) {
  const client = new S3Client({ endpoint, region: "us-east-1", credentials, maxAttempts: 2, forcePathStyle: true });
  closing.push(() => client.destroy());
  return s3Blobs(client, { bucket: "state" });
}

/** Listens nowhere: of a server that was closed. */
async function nowhere(): Promise<string> {
  const { endpoint } = await service(silence);
  await closing.pop()?.();
  return endpoint;
}

describe("R5 a write whose answer is lost", () => {
  const lost: readonly (readonly [string, Behaviour[]])[] = [
    ["by a connection that breaks", [hangUp]],
    ["by a time-out", [silence]],
    ["by an internal error", [answer(500, "InternalServerError")]],
    ["first, and refused for now later", [hangUp, throttle]],
    [
      "by an internal error, before all retries were throttled",
      [answer(500, "InternalServerError"), throttle, throttle],
    ],
  ];
  for (const [how, behaviours] of lost) {
    it(`is ambiguous: ${how}`, async () => {
      const registers = registersAt((await service(...behaviours)).endpoint);
      const ambiguous = { kind: "ambiguous", message: expect.stringMatching(/"state".*swap.*"pipeline\/head"/) };
      await expect(registers.swap(key, 1, "body")).rejects.toMatchObject(ambiguous);
    });
  }

  it("is a conflict where a retry underneath met the write itself, with what is there", async () => {
    const item = { Item: { v: { N: "2" }, body: { S: "mine" } } };
    const { endpoint, calls } = await service(hangUp, conditionFailed, answer(200, "", item));
    const current = { version: 2, body: "mine" };
    expect(await registersAt(endpoint).swap(key, 1, "mine")).toEqual({ kind: "conflict", current });
    expect(calls()).toBe(3);
  });

  it("stays ambiguous where that could not be looked at", async () => {
    const { endpoint } = await service(hangUp, conditionFailed, hangUp);
    await expect(registersAt(endpoint).swap(key, 1, "mine")).rejects.toMatchObject({ kind: "ambiguous" });
  });

  it("is ambiguous for objects, items and invocations too", async () => {
    const { endpoint } = await service(hangUp);
    const clients = awsClients({ endpoint, region: "us-east-1", credentials });
    closing.push(() => clients.destroy());
    const invocation = { pipeline: "p", report: null };
    const version = encodeVersion({
      incarnation: "0a0b0c0d0e0f",
      generation: generation(1),
      epoch: checkpointId(1),
      task: taskId(0, 0),
      seq: 1,
    });
    const put = { table: "airports", key: ["airport"], item: { airport: "ATL" }, version };
    const ambiguous = { name: "StreamError", kind: "ambiguous" };
    await expect(s3Blobs(clients.s3, { bucket: "state" }).put("key", new Uint8Array(1))).rejects.toMatchObject(
      ambiguous,
    );
    await expect(dynamoTables(clients.dynamo).put(put)).rejects.toMatchObject(ambiguous);
    const functions = lambdaFunctions(clients.lambda, { task: "task", supervisor: "supervisor" });
    await expect(functions.callSupervisor(invocation)).rejects.toMatchObject(ambiguous);
  });
});

describe("what certainly did not happen", () => {
  it("is transient where every attempt was throttled", async () => {
    const { endpoint, calls } = await service(throttle);
    const transient = { kind: "transient", message: expect.stringMatching(/throttled.*ProvisionedThroughput/) };
    await expect(registersAt(endpoint).swap(key, 1, "body")).rejects.toMatchObject(transient);
    expect(calls()).toBe(3);
  });

  it("is transient where nothing listens, and the endpoint is named", async () => {
    const endpoint = await nowhere();
    const named = { kind: "transient", message: expect.stringContaining(new URL(endpoint).host) };
    await expect(registersAt(endpoint).read(key)).rejects.toMatchObject(named);
    await expect(registersAt(endpoint).swap(key, 1, "body")).rejects.toMatchObject(named);
    await expect(s3At(endpoint).get("key")).rejects.toMatchObject(named);
    const kinesis = kinesisAt(endpoint);
    await expect(kinesisLog(kinesis).shards("flights")).rejects.toMatchObject(named);
  });

  it("a read is transient whatever was lost", async () => {
    for (const behaviour of [hangUp, silence, answer(500, "InternalServerError"), throttle]) {
      const { endpoint } = await service(behaviour);
      await expect(registersAt(endpoint, 1).read(key)).rejects.toMatchObject({ kind: "transient" });
    }
  });
});

describe("what a person must mend is invalid, and says how", () => {
  const wrong: readonly (readonly [string, Behaviour, RegExp])[] = [
    ["no credentials", answer(400, "UnrecognizedClientException"), /AWS_PROFILE/],
    ["expired credentials", answer(400, "ExpiredTokenException"), /log in again/],
    ["no rights", answer(400, "AccessDeniedException"), /the role needs dynamodb:GetItem/],
    ["no table", answer(400, "ResourceNotFoundException"), /does not exist .* "pk" .* "sk"/],
    ["a refused request", answer(400, "ValidationException"), /this is ValidationException/],
    ["a key that may not be used", answer(400, "KMSAccessDeniedException"), /KMS key may not be used.*kms:Decrypt/],
  ];
  for (const [what, behaviour, message] of wrong) {
    it(`${what}, for DynamoDB`, async () => {
      const registers = registersAt((await service(behaviour)).endpoint);
      const invalid = { kind: "invalid", message: expect.stringMatching(message) };
      await expect(registers.read(key)).rejects.toMatchObject(invalid);
      await expect(registers.swap(key, null, "body")).rejects.toMatchObject(invalid);
    });
  }

  const wrongS3: readonly (readonly [string, Behaviour, RegExp])[] = [
    ["no bucket", s3Error(404, "NoSuchBucket"), /S3 bucket "state".*does not exist/],
    ["no rights", s3Error(403, "AccessDenied"), /s3:ListBucket/],
    ["wrong keys", s3Error(403, "InvalidAccessKeyId"), /AWS_PROFILE/],
    ["another region", s3Error(301, "PermanentRedirect"), /AWS_REGION/],
    ["a disabled key", s3Error(400, "KMS.DisabledException"), /KMS key .*see that it is enabled/],
  ];
  for (const [what, behaviour, message] of wrongS3) {
    it(`${what}, for S3`, async () => {
      const blobs = s3At((await service(behaviour)).endpoint);
      const invalid = { kind: "invalid", message: expect.stringMatching(message) };
      await expect(blobs.put("key", new Uint8Array(1))).rejects.toMatchObject(invalid);
      await expect(collect(blobs.list(""))).rejects.toMatchObject(invalid);
    });
  }

  it("no region and no credentials at all", async () => {
    const saved = { ...process.env };
    closing.push(() => Object.assign(process.env, saved));
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_CONFIG_FILE: "/nonexistent",
      AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
    });
    const read = (region?: string) => {
      const clients = awsClients({ endpoint: "http://127.0.0.1:1", ...(region === undefined ? {} : { region }) });
      closing.push(() => clients.destroy());
      return dynamoRegisters(clients.dynamo, { table: "state" }).read(key);
    };
    await expect(read()).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining("AWS_REGION") });
    const noKeys = { kind: "invalid", message: expect.stringContaining("AWS_PROFILE") };
    await expect(read("us-east-1")).rejects.toMatchObject(noKeys);
  });
});

describe("a service that does not answer", () => {
  it("is given up after the clients' own time-outs, over HTTP/1 and HTTP/2", async () => {
    const server = createHttp2Server(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => void server.close());
    const mute = [(await service(silence)).endpoint, `http://127.0.0.1:${(server.address() as AddressInfo).port}`];
    const [one, two] = mute.map((endpoint) => awsClients({ endpoint, region: "us-east-1", credentials, attempts: 1 }));
    if (one === undefined || two === undefined) throw new Error("unreachable");
    closing.push(() => [one, two].forEach((clients) => void clients.destroy()));
    const asked = [
      dynamoRegisters(one.dynamo, { table: "state" }).read(key),
      kinesisLog(two.kinesis).describe("flights"),
    ];
    for (const answer of asked) await expect(answer).rejects.toMatchObject({ kind: "transient" });
  });
});

describe("an object that breaks off", () => {
  it("is transient, never a shorter object", async () => {
    const { endpoint } = await service((request, response) => {
      response.writeHead(200, { "content-length": "100" }).write(Buffer.alloc(50));
      setTimeout(() => request.socket.destroy(), 50);
    });
    await expect(s3At(endpoint).get("key")).rejects.toMatchObject({ kind: "transient" });
  });
});

describe("an endpoint that is no Kinesis", () => {
  it("is invalid where it does not speak HTTP/2", async () => {
    const kinesis = kinesisAt((await service(answer(200, ""))).endpoint);
    const invalid = { kind: "invalid", message: expect.stringContaining("does not speak HTTP/2") };
    await expect(kinesisLog(kinesis).describe("flights")).rejects.toMatchObject(invalid);
  });

  it("is invalid where its answers have no Date, by which retention is judged", async () => {
    const server = createHttp2Server((_, response) => {
      response.sendDate = false;
      response.writeHead(200, { "content-type": "application/x-amz-json-1.1" }).end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => void server.close());
    const kinesis = kinesisAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const invalid = { kind: "invalid", message: expect.stringContaining("Date header") };
    await expect(kinesisLog(kinesis).read("flights", "cursor", 1)).rejects.toMatchObject(invalid);
  });
});

describe("a throttled log", () => {
  it("says so, and reads on later", async () => {
    const cloud = await startCloud({ port: 0, data: null, limits: "real" });
    closing.push(() => cloud.close());
    const kinesis = kinesisAt(cloud.endpoint);
    await kinesis.send(new CreateStreamCommand({ StreamName: "flights", ShardCount: 1 }));
    await kinesis.send(new PutRecordCommand({ StreamName: "flights", PartitionKey: "ATL", Data: new Uint8Array(1) }));
    const log = kinesisLog(kinesis);
    const cursor = await log.cursor("flights", "shardId-000000000000", { kind: "horizon" });
    if (cursor.kind !== "cursor") throw new Error(cursor.kind);
    // Five reads a second are allowed.
    const answers = await Promise.all(Array.from({ length: 12 }, () => log.read("flights", cursor.cursor, 10)));
    const kinds = new Set(answers.map((each) => each.kind));
    expect(kinds).toEqual(new Set(["records", "throttled"]));
  });
});
