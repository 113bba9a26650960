// P4 through the handlers: which version a supervisor stands for, how a deployment starts, and whom a call is passed on to.
import { createServer, type Server } from "node:http";
import { dynamoTable, json, kinesisSource, pipeline } from "tidemark";
import { supervisorHandler, taskHandler } from "tidemark/lambda";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type CheckpointStore, readDesired, readGenerationRecord, readHead } from "../../lib/checkpoint/store.js";
import { rejectDeployment } from "../../lib/checkpoint/wishes.js";
import { awsWorld } from "../../lib/compose.js";
import { awsClients } from "../../lib/connectors/clients.js";
import { provisioner, registersKey } from "../../lib/connectors/provision.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import { failure } from "./checkpoint-samples.js";
import { stubFunctionEnvironment } from "./function-environment.js";

const environment = {
  table: "registers",
  bucket: "checkpoints",
  functions: { task: "the-task", supervisor: "the-supervisor:live" },
  bindings: {},
};
const schedule = { source: "aws.events" };
const context = (functionVersion: string) => ({
  awsRequestId: "q1",
  functionVersion,
  getRemainingTimeInMillis: () => 60_000,
});
const pipelineOf = (name: string) =>
  pipeline(name, {}, (flow) =>
    flow
      .from("in", kinesisSource({ stream: "flights", codec: json<{ readonly id: string }>(), start: "trim-horizon" }))
      .to("out", dynamoTable({ table: "rows", key: ["id"] })),
  );

let cloud: Awaited<ReturnType<typeof startCloud>>;
let clients: ReturnType<typeof awsClients>;
/** Takes Lambda's asynchronous invocations. */
let lambda: Server;
const sent: { readonly path: string; readonly payload: unknown }[] = [];

beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
  lambda = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      sent.push({ path: request.url ?? "", payload: JSON.parse(Buffer.concat(parts).toString()) });
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => lambda.listen(0, "127.0.0.1", resolve));
  clients = awsClients({
    endpoint: cloud.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  const provision = provisioner(clients);
  await provision.table("registers", registersKey);
  await provision.table("rows", [{ name: "id", type: "string" }]);
  await provision.bucket("checkpoints");
  await provision.stream("flights", 1);
});
afterAll(async () => {
  clients.destroy();
  lambda.closeAllConnections();
  await new Promise((resolve) => lambda.close(resolve));
  await cloud.close();
});
beforeEach(() => {
  sent.length = 0;
  stubFunctionEnvironment(cloud.endpoint, lambda, environment);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const storeOf = (name: string): CheckpointStore => ({ pipeline: name, ...awsWorld(environment, clients) });
const desiredOf = async (name: string) => (await readDesired(storeOf(name)))?.value;

async function released(name: string) {
  vi.stubEnv("TIDEMARK_TASK_VERSION", "12");
  const made = pipelineOf(name);
  await supervisorHandler(made)(schedule, context("4"));
  const store = storeOf(name);
  const head = (await readHead(store))?.value;
  if (head === undefined) throw new Error("no generation was opened");
  return { made, store, head };
}

describe("P4 a deployment", () => {
  it("P4 starts by its supervisor's first call, with the version of the tasks, which is its number", async () => {
    const { store, head } = await released("first");
    expect(await desiredOf("first")).toMatchObject({
      state: "running",
      code: { deployment: 12, functionVersion: "12" },
    });
    expect(await readGenerationRecord(store, head)).toMatchObject({ functionVersion: "12", deployment: 12 });
    expect(sent.map(({ path }) => path)).toEqual([expect.stringMatching(/\/the-task\/invocations\?Qualifier=12$/)]);
  });

  it("P4 an older supervisor asks for nothing; TIDEMARK_DEPLOYMENT numbers versions that began anew", async () => {
    const { made } = await released("numbers");
    vi.stubEnv("TIDEMARK_TASK_VERSION", "3");
    await supervisorHandler(made)(schedule, context("9"));
    expect(await desiredOf("numbers")).toMatchObject({ code: { deployment: 12, functionVersion: "12" } });
    vi.stubEnv("TIDEMARK_DEPLOYMENT", "13");
    await supervisorHandler(made)(schedule, context("9"));
    expect(await desiredOf("numbers")).toMatchObject({ code: { deployment: 13, functionVersion: "3" } });
  });

  it.each(["", "x", "0", "1.5", "$LATEST"])("P4 without a number (%j) nothing is asked for", async (version) => {
    vi.stubEnv("TIDEMARK_TASK_VERSION", version);
    const name = `none-${Buffer.from(version).toString("hex")}`;
    await supervisorHandler(pipelineOf(name))(schedule, context("9"));
    expect([await desiredOf(name), sent]).toEqual([undefined, []]);
  });

  it("P4 taken back: the supervisor calls the tasks' function of the version that is desired, which opens with its own code", async () => {
    const { made, store, head } = await released("back");
    const code = { deployment: 14, functionVersion: "14", fingerprint: made.plan.fingerprint };
    await rejectDeployment(store, code, { functionVersion: "12", fingerprint: made.plan.fingerprint }, failure());
    expect(await desiredOf("back")).toMatchObject({ code: { deployment: 14, functionVersion: "12" }, rejected: [14] });
    sent.length = 0;
    vi.stubEnv("TIDEMARK_TASK_VERSION", "14");
    const invocation = { pipeline: "back", incarnation: head.incarnation, generation: 1, task: "0.0", leaseVersion: 0 };
    const report = { requestPayload: invocation, responsePayload: { errorMessage: "it died" } };
    await supervisorHandler(made)(report, context("5"));
    expect((await readHead(store))?.value.generation).toBe(1);
    const [call] = sent.filter(({ payload }) => Object.hasOwn(payload as object, "by"));
    expect(call?.path).toMatch(/\/the-task\/invocations\?Qualifier=12$/);
    expect(call?.payload).toMatchObject({ by: "12", report: { invocation, kind: "died", message: "it died" } });

    vi.stubEnv("TIDEMARK_TASK_VERSION", undefined);
    expect(await taskHandler(made)(call?.payload, context("12"))).toMatchObject({ status: "running", generation: 2 });
    const after = (await readHead(store))?.value;
    expect(after).toMatchObject({ generation: 2, failures: [{ kind: "died", message: "it died" }] });
  });

  it("P4 code that acts for another version tells its failures in the log alone: an error would end a session", async () => {
    const { made } = await released("quiet");
    const answer = await taskHandler(made)(
      { pipeline: "quiet", report: { invocation: null }, by: "12" },
      context("12"),
    );
    expect(answer).toBeNull();
    expect(process.stdout.write).toHaveBeenLastCalledWith(
      expect.stringContaining('{"event":"refused","kind":"invalid"'),
    );
  });
});
