import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dynamoTable, json, kinesisSource, pipeline } from "tidemark";
import { supervisorHandler, taskHandler } from "tidemark/lambda";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type CheckpointStore, readHead } from "../../lib/checkpoint/store.js";
import { wishRunning } from "../../lib/checkpoint/wishes.js";
import { awsWorld, environmentVariables } from "../../lib/compose.js";
import { awsClients } from "../../lib/connectors/clients.js";
import { provisioner, registersKey } from "../../lib/connectors/provision.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import type { Invocation } from "../../lib/model/head.js";
import { sha256 } from "../../lib/model/sha256.js";
import { metricProblems } from "./metric-format.js";

/** Takes Lambda's asynchronous invocations, and remembers them: the handlers are called by the tests. */
async function openInvocations() {
  const sent: { readonly path: string; readonly type: unknown; readonly payload: unknown }[] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const type = request.headers["x-amz-invocation-type"];
      sent.push({ path: request.url ?? "", type, payload: JSON.parse(Buffer.concat(parts).toString()) });
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { endpoint, sent, close };
}

const pipelineOf = (name: string) =>
  pipeline(name, {}, (flow) =>
    flow
      .from("in", kinesisSource({ stream: "flights", codec: json<{ readonly id: string }>(), start: "trim-horizon" }))
      .to("out", dynamoTable({ table: "rows", key: ["id"] })),
  );
const environment = {
  table: "registers",
  bucket: "checkpoints",
  functions: { task: "the-task", supervisor: "the-supervisor" },
  bindings: { streams: { flights: "acme-flights" }, tables: { rows: "acme-rows" } },
};
const context = (functionVersion = "7", remaining = 60_000) => ({
  awsRequestId: "q1",
  functionVersion,
  getRemainingTimeInMillis: () => remaining,
});
const schedule = { version: "0", "detail-type": "Scheduled Event", source: "aws.events", detail: {}, resources: [] };

let cloud: Awaited<ReturnType<typeof startCloud>>;
let lambda: Awaited<ReturnType<typeof openInvocations>>;
let clients: ReturnType<typeof awsClients>;
const logged: Readonly<Record<string, unknown>>[] = [];
let names = 0;

beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
  lambda = await openInvocations();
  clients = awsClients({
    endpoint: cloud.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  const provision = provisioner(clients);
  expect(await provision.table("registers", registersKey)).toBe(true);
  expect(await provision.table("registers", registersKey)).toBe(false);
  expect(await provision.table("acme-rows", [{ name: "id", type: "string" }])).toBe(true);
  expect(await provision.bucket("checkpoints")).toBe(true);
  expect(await provision.stream("acme-flights", 1)).toBe(true);
  expect(await provision.stream("acme-flights", 1)).toBe(false);
});
afterAll(async () => {
  clients.destroy();
  await lambda.close();
  await cloud.close();
});
beforeEach(() => {
  const aws = {
    AWS_ENDPOINT_URL: cloud.endpoint,
    AWS_ENDPOINT_URL_LAMBDA: lambda.endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
  };
  for (const [name, value] of Object.entries({ ...aws, ...environmentVariables(environment) })) vi.stubEnv(name, value);
  logged.length = 0;
  lambda.sent.length = 0;
  vi.spyOn(process.stdout, "write").mockImplementation((line) => {
    logged.push(JSON.parse(String(line)));
    return true;
  });
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** A pipeline of its own whose supervisor has started it: generation 1, and its first invocation. */
async function started() {
  const made = pipelineOf(`p${++names}`);
  const world = awsWorld(environment, clients);
  const store: CheckpointStore = { pipeline: made.name, ...world };
  await wishRunning(store, { functionVersion: "7", fingerprint: sha256(made.fingerprint) }, "r1");
  const supervise = supervisorHandler(made);
  const first = await supervise(schedule, context());
  const [sent] = lambda.sent.splice(0);
  const head = async () => (await readHead(store))?.value;
  return { made, store, supervise, first, sent, invocation: sent?.payload as Invocation, head };
}

describe("the supervisor's function", () => {
  it("nothing is wished: its schedule does nothing, and says so", async () => {
    const handler = supervisorHandler(pipelineOf(`p${++names}`));
    expect(await handler(schedule, context())).toEqual({ status: null, generation: null, completed: null });
    expect(lambda.sent).toEqual([]);
  });

  it("on its schedule it opens a generation and invokes the task by version (P4)", async () => {
    const { first, sent, made } = await started();
    expect(first).toEqual({ status: "running", generation: 1, completed: null });
    expect(sent).toMatchObject({ path: "/2015-03-31/functions/the-task/invocations?Qualifier=7", type: "Event" });
    expect(sent?.payload).toMatchObject({ pipeline: made.name, generation: 1, task: "0.0" });
  });

  it.each<readonly [string, unknown, string]>([
    ["an error", { errorType: "Runtime.ExitError", errorMessage: "out of memory" }, "out of memory"],
    ["a time-out without a response", null, "the invocation failed"],
    ["a response of another form", { errorMessage: 5 }, "the invocation failed"],
  ])("R4 a record of the failure destination opens the next: %s", async (_, responsePayload, message) => {
    const { supervise, invocation, head } = await started();
    const record = {
      version: "1.0",
      requestContext: { condition: "RetriesExhausted" },
      requestPayload: invocation,
      ...(responsePayload === null ? {} : { responsePayload }),
    };
    expect(await supervise(record, context())).toMatchObject({ status: "running", generation: 2 });
    expect((await head())?.failures).toMatchObject([{ generation: 1, kind: "died", message, task: "0.0" }]);
    expect(lambda.sent.map(({ payload }) => payload)).toMatchObject([{ generation: 2 }]);
    expect(await supervise(record, context())).toMatchObject({ generation: 2 });
  });

  it("R4 a session that failed in order calls it with its report", async () => {
    const { supervise, invocation, head, made } = await started();
    const report = { invocation, kind: "invalid", message: "no such stream" };
    expect(await supervise({ pipeline: made.name, report }, context())).toMatchObject({ status: "failed" });
    expect((await head())?.failures).toMatchObject([{ kind: "invalid", message: "no such stream" }]);
  });

  it("a call of a session without a report is a look", async () => {
    const { supervise, made, head } = await started();
    const looked = await supervise({ pipeline: made.name, report: null }, context());
    expect(looked).toMatchObject({ status: "running", generation: 1 });
    expect((await head())?.failures).toEqual([]);
  });

  it.each<readonly [string, unknown]>([
    ["a destination record of another function", { requestPayload: { Records: [] }, responsePayload: null }],
    ["a destination record of nothing", { requestPayload: null }],
    ["a report without an invocation", { report: { kind: "died", message: "x" } }],
    ["a report that is none", { report: 5 }],
  ])("a foreign event is refused, and changes nothing: %s", async (_, event) => {
    const { supervise, head } = await started();
    await expect(supervise(event, context())).rejects.toMatchObject({ kind: "invalid" });
    expect(await head()).toMatchObject({ generation: 1, failures: [] });
    expect(logged.at(-1)).toMatchObject({ event: "refused", kind: "invalid" });
  });
});

describe("the task's function", () => {
  const good: Invocation = JSON.parse(
    '{"pipeline":"p","incarnation":"0a","generation":1,"task":"0.0","leaseVersion":0}',
  );
  it.each<readonly [string, unknown]>([
    ["null", null],
    ["a text", "flights"],
    ["records of a stream", { Records: [{ kinesis: {} }] }],
    ["a schedule", schedule],
    ...Object.keys(good).map((name) => [`an invocation without ${name}`, { ...good, [name]: undefined }] as const),
    ["a generation that is a text", { ...good, generation: "1" }],
  ])("a foreign event is refused: %s", async (_, event) => {
    const handler = taskHandler(pipelineOf("p"));
    await expect(handler(event, context())).rejects.toThrow("this function runs a task of a pipeline");
  });

  it("P4 a session of another version is refused, which is no error; R4 so is one of another generation", async () => {
    const { made, invocation } = await started();
    const handler = taskHandler(made);
    const refused = { kind: "refused", why: expect.stringContaining("P4") };
    expect(await handler(invocation, context("8"))).toMatchObject(refused);
    expect(logged).toEqual([
      {
        event: "session",
        pipeline: made.name,
        task: "0.0",
        outcome: expect.objectContaining(refused),
        level: "INFO",
        message: "session",
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/),
        service: made.name,
        cold_start: true,
        function_request_id: "q1",
      },
    ]);
    const later = { ...invocation, generation: 2 };
    expect(await handler(later, context())).toMatchObject({ kind: "refused", why: expect.stringContaining("2") });
  });

  it("N1 an invocation is a session: it hands over when its time is short, and invokes its successor by version", async () => {
    const { made, invocation, head } = await started();
    const outcome = await taskHandler(made)(invocation, context("7", 80_000));
    expect(outcome).toMatchObject({ kind: "handover" });
    expect(await head()).toMatchObject({ generation: 1, failures: [] });
    const [next] = lambda.sent;
    expect(next?.path).toContain("the-task/invocations?Qualifier=7");
    expect(next?.payload).toMatchObject({ ...invocation, leaseVersion: 2 });
  });
});

describe("the figures of a function", () => {
  interface Used {
    readonly task?: string;
    readonly requests: number;
    readonly dollars: number;
    readonly gigabyteSeconds: number;
    readonly requestsBy: Readonly<Record<string, number>>;
  }
  const told = (event: string) => logged.filter((line) => line.event === event);

  it("are told where their namespace is given: requests and dollars at each ack and at the end, checkpoints as they come", async () => {
    vi.stubEnv("TIDEMARK_METRICS", "acme");
    vi.stubEnv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024");
    const { made, invocation, supervise } = await started();
    expect(told("supervised")).toMatchObject([{ service: made.name, numRestarts: 0, failed: 0 }]);
    expect(told("usage")).toMatchObject([{ requestsBy: { "Lambda.Invoke": 1 }, environment: "registers" }]);
    logged.length = 0;
    expect(await taskHandler(made)(invocation, context("7", 80_000))).toMatchObject({ kind: "handover" });
    const usage = told("usage") as unknown as readonly Used[];
    // N1: a session that leaves does so at its ack. Whoever looks next completes the checkpoint.
    await supervise(schedule, context());
    for (const line of logged) expect(metricProblems(JSON.stringify(line))).toEqual([]);
    expect(told("checkpoint")).toMatchObject([
      {
        checkpoint: 1,
        status: "completed",
        reason: "handover",
        numberOfCompletedCheckpoints: 1,
        tasks: [{ task: "0.0", recordsIn: 0 }],
      },
    ]);
    expect(usage.map(({ task }) => task)).toEqual(["0.0", undefined]);
    for (const { requests, requestsBy } of usage)
      expect(requests).toBe(Object.values(requestsBy).reduce((sum, n) => sum + n, 0));
    const [first, last] = usage;
    expect(first?.requestsBy["Kinesis.GetRecords"]).toBeGreaterThan(0);
    expect(first?.requestsBy["DynamoDB.GetItem"]).toBeGreaterThan(0);
    // The start, a gigabyte for so many seconds, and what the requests cost.
    for (const [index, one] of usage.entries())
      expect(one.dollars).toBeGreaterThan((index === 0 ? 0.2 / 1e6 : 0) + one.gigabyteSeconds * 0.0000133);
    expect(last?.requestsBy["Lambda.Invoke"]).toBe(1);
    expect(first?.gigabyteSeconds).toBeGreaterThan(0);
  });

  it("are not told where it is not", async () => {
    const { made, invocation } = await started();
    await taskHandler(made)(invocation, context("7", 80_000));
    expect(logged.map(({ event }) => event)).toEqual(["session"]);
    for (const line of logged) expect(line).not.toHaveProperty("_aws");
  });
});

describe("what a function needs", () => {
  it.each(Object.keys(environmentVariables(environment)).filter((name) => name !== "TIDEMARK_BINDINGS"))(
    "without %s both say so, at each invocation",
    async (name) => {
      vi.stubEnv(name, "");
      for (const handler of [taskHandler(pipelineOf("p")), supervisorHandler(pipelineOf("p"))]) {
        for (const _ of [1, 2]) await expect(handler({}, context())).rejects.toThrow(`${name} is not set`);
      }
    },
  );

  it("what is no pipeline is refused", async () => {
    for (const wrong of [undefined, {}, { plan: {} }]) {
      for (const handler of [taskHandler(wrong as never), supervisorHandler(wrong as never)])
        await expect(handler(schedule, context())).rejects.toThrow("take what pipeline() returned");
    }
  });

  it("making a handler reads nothing: a bundle may be loaded anywhere; a warm function reads its environment once", async () => {
    for (const name of Object.keys(environmentVariables(environment))) vi.stubEnv(name, undefined);
    const handler = supervisorHandler(pipelineOf(`p${++names}`));
    await expect(handler(schedule, context())).rejects.toThrow("TIDEMARK_TABLE is not set");
    for (const [name, value] of Object.entries(environmentVariables(environment))) vi.stubEnv(name, value);
    await handler(schedule, context());
    vi.stubEnv("TIDEMARK_TABLE", undefined);
    expect(await handler(schedule, context())).toMatchObject({ status: null });
  });
});
