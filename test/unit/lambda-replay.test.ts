// What a replay of a deployed pipeline asks before it fences anything, of the code that is to run, through the handlers and the command.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dynamoTable, fileSink, json, kinesisSource, kinesisStream, type Pipeline, pipeline, value } from "tidemark";
import { type LambdaHandler, supervisorHandler, taskHandler } from "tidemark/lambda";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readDesired, readHead, swapDesired } from "../../lib/checkpoint/store.js";
import { planReplay, type ReplayFlags } from "../../lib/cli/replay/replay.js";
import { awsWorld, bindingsOf } from "../../lib/compose.js";
import { awsClients } from "../../lib/connectors/clients.js";
import { provisioner, registersKey } from "../../lib/connectors/provision.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import { stubFunctionEnvironment } from "./function-environment.js";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const environment = {
  table: "registers",
  bucket: "checkpoints",
  functions: { task: "the-task", supervisor: "the-supervisor:live" },
  bindings: { tables: { rows: "acme-rows" }, streams: { alerts: "acme-alerts" } },
};
const name = "counts";
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

interface Order {
  readonly id: string;
}

/** Version 12 counts under one name, version 13 under another; the file that the command reads has a third sink. */
const counting = (operator: string, hasFile = false): Pipeline<never, never> =>
  pipeline(name, {}, (flow) => {
    const counts = flow
      .from("in", kinesisSource({ stream: "orders", codec: json<Order>(), start: "trim-horizon" }))
      .keyBy(({ id }) => id)
      .process(operator, {
        state: { n: value(0) },
        onRecord: (_, { key, state }) => {
          state.n.update((n) => n + 1);
          return { id: key, n: state.n.get() };
        },
      });
    const outputs = [
      counts.to("rows", dynamoTable({ table: "rows", key: ["id"] })),
      counts.to("alerts", kinesisStream({ stream: "alerts", partitionKey: ({ id }) => id })),
    ] as const;
    return hasFile ? [...outputs, counts.to("lines", fileSink({ folder: "lines" }))] : outputs;
  }) as unknown as Pipeline<never, never>;

let cloud: Awaited<ReturnType<typeof startCloud>>;
let lambda: Server;
let clients: ReturnType<typeof awsClients>;
let variables: Record<string, string>;
/** Who may not invoke the function of tasks. */
let isDenied = false;
const versions = new Map<string, LambdaHandler>();
const events: unknown[] = [];

const context = (functionVersion: string, remaining = 60_000) => ({
  awsRequestId: "q1",
  functionVersion,
  getRemainingTimeInMillis: () => remaining,
});

/** Lambda: how the supervisor is set up, invocations of versions that are waited for, and others that are kept. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const url = new URL(request.url ?? "", "http://lambda");
  const answer = (status: number, body: unknown, headers = {}) =>
    void response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(body === undefined ? "" : JSON.stringify(body));
  if (url.pathname.endsWith("/configuration"))
    return answer(200, { FunctionName: "the-supervisor", Environment: { Variables: variables } });
  if (isDenied) return answer(403, { Message: "no" }, { "x-amzn-errortype": "AccessDeniedException" });
  const event = JSON.parse(Buffer.concat(parts).toString());
  if (request.headers["x-amz-invocation-type"] === "Event") {
    events.push(event);
    return answer(202, undefined);
  }
  const version = url.searchParams.get("Qualifier") ?? "";
  const handler = versions.get(version);
  if (handler === undefined)
    return answer(404, { Message: "no such version" }, { "x-amzn-errortype": "ResourceNotFoundException" });
  await handler(event, context(version)).then(
    (found) => answer(200, found),
    (error: Error) => answer(200, { errorMessage: error.message }, { "x-amz-function-error": "Unhandled" }),
  );
}

const stubEnvironment = (): void => stubFunctionEnvironment(cloud.endpoint, lambda, environment);

beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
  lambda = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => lambda.listen(0, "127.0.0.1", resolve));
  stubEnvironment();
  clients = awsClients({ credentials });
  const provision = provisioner(clients);
  await provision.table("registers", registersKey);
  await provision.table("acme-rows", [{ name: "id", type: "string" }]);
  await provision.bucket("checkpoints");
  await provision.stream("orders", 1);
  await provision.stream("acme-alerts", 3);
  const orders = ["a", "b", "c"].map((id) => ({ partitionKey: id, data: Buffer.from(JSON.stringify({ id })) }));
  await awsWorld(environment, clients).streams.put("orders", orders);
  versions.set("12", taskHandler(counting("count")));
  versions.set("13", taskHandler(counting("counted")));
  // One checkpoint, of version 12.
  vi.stubEnv("TIDEMARK_TASK_VERSION", "12");
  const supervise = supervisorHandler(counting("count"));
  await supervise({ source: "aws.events" }, context("4"));
  const [invocation] = events.filter((event) => Object.hasOwn(event as object, "leaseVersion"));
  await versions.get("12")?.(invocation, context("12", 80_000));
  await supervise({ source: "aws.events" }, context("4"));
});
afterAll(async () => {
  clients.destroy();
  lambda.closeAllConnections();
  await new Promise((resolve) => lambda.close(resolve));
  await cloud.close();
});
beforeEach(() => {
  stubEnvironment();
  isDenied = false;
  variables = { TIDEMARK_TASK_FUNCTION: "the-task", TIDEMARK_REDIRECT_SUFFIXES: '["v2"]' };
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const store = () => ({ pipeline: name, ...awsWorld(environment, clients) });
const facts = async () => [(await readHead(store()))?.value, (await readDesired(store()))?.value];

/** As `tidemark replay` plans it, of this file. */
const planned = (file: Pipeline<never, never>, flags: Partial<ReplayFlags> = {}) =>
  planReplay(
    {
      plan: file.plan,
      store: store(),
      target: { environment, bindings: bindingsOf(environment.bindings), clients, local: false, endpoint: null },
      where: "here",
      isAlone: false,
    },
    {
      fromCheckpoint: "1",
      sinks: ["redirect:v2"],
      allowDropped: [],
      create: false,
      yes: true,
      untilDrained: false,
      dryRun: false,
      json: true,
      aws: true,
      timeout: 1_000,
      ...flags,
    },
  );

const deployedCode = async (functionVersion: string) => {
  const found = await readDesired(store());
  if (found === null) throw new Error("nothing is desired");
  const { code } = found.value;
  await swapDesired(store(), found.version, { ...found.value, code: { ...code, functionVersion } });
};

describe("a replay of what is deployed", () => {
  it("W2 into a redirect that its functions were not granted is refused, and what to deploy is said", async () => {
    const before = await facts();
    await expect(planned(counting("count"), { sinks: ["redirect:v3"], create: true })).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(
        /sink "alerts": "acme-alerts-v3"[\s\S]*sink "rows": "acme-rows-v3"[\s\S]*Nothing was changed\. Deploy with redirectSuffixes: \["v2","v3"\]/,
      ),
    });
    expect(await provisioner(clients).table("acme-rows-v3", [{ name: "id", type: "string" }])).toBe(true);
    expect(await facts()).toEqual(before);
  });

  it("W2 targets that are absent are named, or made with --create: tables, and streams like those that they stand beside", async () => {
    await expect(planned(counting("count"))).rejects.toThrow(
      /no stream "acme-alerts-v2"; make it with as many shards as "acme-alerts" has\n.*no table "acme-rows-v2"; make it with the key id \(string\)\nor give --create/,
    );
    expect(await planned(counting("count"), { create: true, dryRun: true })).toMatchObject({
      made: ["stream acme-alerts-v2", "table acme-rows-v2"],
    });
    const { made, notes } = await planned(counting("count"), { create: true });
    expect(made).toEqual(["stream acme-alerts-v2", "table acme-rows-v2"]);
    expect(notes).toEqual([expect.stringContaining("by keys of type string")]);
    expect(await awsWorld(environment, clients).log.shards("acme-alerts-v2")).toHaveLength(3);
    expect(await planned(counting("count"))).toMatchObject({ made: [] });
  });

  it("P2 it is the deployed code that is asked whether it can go on, not the file", async () => {
    const dry = { sinks: ["dry-run"] };
    // The file could not, and what is deployed can.
    expect(await planned(counting("renamed"), dry)).toMatchObject({ estimate: { records: 0 }, made: [] });
    await deployedCode("13");
    await expect(planned(counting("count"), dry)).rejects.toThrow(
      /cannot go on from checkpoint 1:[\s\S]*operator "count"[\s\S]*Nothing was changed/,
    );
    await deployedCode("12");
  });

  it("W2 the deployed code says which sinks it has, and looks at their targets itself", async () => {
    await expect(planned(counting("count", true), { sinks: ["dry-run"] })).rejects.toThrow(
      /version 12 of its functions cannot write[\s\S]*has no sink "lines"/,
    );
    // Bound otherwise there than here.
    vi.stubEnv("TIDEMARK_BINDINGS", '{"tables":{"rows":"no-such-rows"},"streams":{"alerts":"acme-alerts"}}');
    versions.set("12", taskHandler(counting("count")));
    await expect(planned(counting("count"), { sinks: ["dry-run", "rows=overwrite"] })).rejects.toThrow(
      /cannot write where it would have to:\n {2}sink "rows": .*no-such-rows[\s\S]*What runs goes on/,
    );
    await expect(planned(counting("count"), { sinks: ["dry-run"] })).resolves.toMatchObject({ made: [] });
    vi.unstubAllEnvs();
    stubEnvironment();
    versions.set("12", taskHandler(counting("count")));
  });

  it("a function that cannot be asked is a failure; without its name the file is checked, and that is said", async () => {
    const dry = { sinks: ["dry-run"] };
    isDenied = true;
    await expect(planned(counting("count"), dry)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("lambda:InvokeFunction"),
    });
    isDenied = false;
    versions.set("12", async () => Promise.reject(new Error("out of memory")));
    await expect(planned(counting("count"), dry)).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringContaining('"the-task:12" could not answer: out of memory'),
    });
    versions.set("12", taskHandler(pipeline("other", {}, sameFlow)));
    await expect(planned(counting("count"), dry)).rejects.toThrow('runs pipeline "other", not "counts"');
    vi.stubEnv("TIDEMARK_SUPERVISOR_FUNCTION", undefined);
    expect(await planned(counting("count"), dry)).toMatchObject({
      notes: [expect.stringContaining("keys of type"), expect.stringContaining("set TIDEMARK_SUPERVISOR_FUNCTION")],
    });
  });
});

const sameFlow = (flow: Parameters<Parameters<typeof pipeline>[2]>[0]) =>
  flow
    .from("in", kinesisSource({ stream: "orders", codec: json<Order>() }))
    .to("rows", dynamoTable({ table: "rows", key: ["id"] }));
