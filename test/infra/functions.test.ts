// The functions as they are deployed: bundled, and run by a process of their own on the embedded cloud.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bundle, bundleFunction, type FunctionRole } from "../../cdk/bundle.js";
import { environmentVariables } from "../../lib/compose.js";
import { awsClients } from "../../lib/connectors/clients.js";
import { provisioner, registersKey } from "../../lib/connectors/provision.js";
import { startCloud } from "../../lib/local/cloud/server.js";
import { exampleFile } from "./synthesis.js";

const timeout = 120_000;
const run = promisify(execFile);

/** Golden, in bytes: what a cold start loads. When a change is meant, write the new measure here. */
const golden: Readonly<Record<FunctionRole, number>> = { task: 850_000, supervisor: 770_000 };

const bundles = {} as Record<FunctionRole, Bundle>;
beforeAll(() => {
  for (const role of ["task", "supervisor"] as const)
    bundles[role] = bundleFunction({ entry: exampleFile, role, name: "bundled-example", external: [] });
}, timeout);

/** Runs a program that has `load()`, which imports a function's code; gives the lines that it printed. */
async function runWith(role: FunctionRole, program: string, variables: Readonly<Record<string, string>> = {}) {
  const code = join(bundles[role].folder, "index.mjs");
  const text = `const load = () => import(${JSON.stringify(code)});\n${program}`;
  const { PATH = "" } = process.env;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", text], {
    env: { PATH, ...variables },
  });
  return stdout.trimEnd().split("\n");
}

describe.each(["task", "supervisor"] as const)("the bundle of the %s", (role) => {
  it("has the size that was measured, give or take a quarter", () => {
    expect(bundles[role].bytes).toBeGreaterThan(golden[role] * 0.75);
    expect(bundles[role].bytes).toBeLessThan(golden[role] * 1.25);
  });

  it("has the clients that a function calls, and nothing of the construct, the command or the local cloud", () => {
    const { packages } = bundles[role];
    const clients = packages.filter((name) => name.startsWith("@aws-sdk/client-"));
    const used = ["dynamodb", "kinesis", "lambda", "s3"].map((name) => `@aws-sdk/client-${name}`);
    expect(used).toEqual(expect.arrayContaining(clients));
    expect(clients).toContain("@aws-sdk/client-dynamodb");
    expect(
      packages.filter((name) => /^(aws-cdk-lib|constructs|esbuild|commander|kinesalite|dynalite)$/.test(name)),
    ).toEqual([]);
  });

  it("loads without an environment, and makes its handler", { timeout }, async () => {
    const [milliseconds, kind] = await runWith(
      role,
      "const begun = performance.now();\nconst { handler } = await load();\nconsole.log(performance.now() - begun);\nconsole.log(typeof handler);",
    );
    expect(kind).toBe("function");
    // A bound for what nobody would accept; docs/deploy.md has what was measured.
    expect(Number(milliseconds)).toBeLessThan(20_000);
  });

  it("says which variable is missing, once it is called", { timeout }, async () => {
    const said = await runWith(
      role,
      `const { handler } = await load();
       const context = { awsRequestId: "q1", functionVersion: "1", getRemainingTimeInMillis: () => 60_000 };
       await handler({}, context).catch(({ kind, message }) => console.log(kind + ": " + message));`,
    );
    expect(said.at(-1)).toContain("invalid: the environment variable TIDEMARK_TABLE is not set");
  });
});

describe("the supervisor's function", () => {
  const environment = {
    table: "registers",
    bucket: "checkpoints",
    functions: { task: "flights-task", supervisor: "flights-supervisor:live" },
    bindings: { streams: { flights: "acme-flights" }, tables: { airports: "acme-airports" } },
  };
  const keys = { accessKeyId: "test", secretAccessKey: "test" };
  const invoked: string[] = [];
  const lambda = createServer((request, response) => {
    invoked.push(request.url ?? "");
    request.resume().on("end", () => response.writeHead(202).end());
  });
  let cloud: Awaited<ReturnType<typeof startCloud>>;
  let clients: ReturnType<typeof awsClients>;
  beforeAll(async () => {
    await new Promise<void>((resolve) => lambda.listen(0, "127.0.0.1", resolve));
    cloud = await startCloud({ port: 0, data: null });
    clients = awsClients({ endpoint: cloud.endpoint, region: "us-east-1", credentials: keys });
    const provision = provisioner(clients);
    await provision.table("registers", registersKey);
    await provision.bucket("checkpoints");
    await provision.stream("acme-flights", 2);
  }, timeout);
  afterAll(async () => {
    clients?.destroy();
    await cloud?.close();
    await new Promise((resolve) => lambda.close(resolve));
  });

  const call = (more: Readonly<Record<string, string>>) =>
    runWith(
      "supervisor",
      `const { handler } = await load();
       const context = { awsRequestId: "q1", functionVersion: "3", getRemainingTimeInMillis: () => 60_000 };
       console.log(JSON.stringify(await handler({ source: "aws.events" }, context)));
       process.exit();`,
      {
        AWS_ENDPOINT_URL: cloud.endpoint,
        AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${(lambda.address() as AddressInfo).port}`,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: keys.accessKeyId,
        AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
        ...environmentVariables(environment),
        ...more,
      },
    );

  it("P4 starts what was deployed, with the version of the tasks that it was deployed with, not its own; and tells its measures", {
    timeout,
  }, async () => {
    const own = await call({});
    expect(own).toEqual(['{"status":null,"generation":null,"completed":null}']);
    expect(invoked).toEqual([]);

    const told = await call({ TIDEMARK_TASK_VERSION: "12", TIDEMARK_METRICS: "tidemark" });
    const [metrics = "", usage = "", answer = ""] = told.slice(-3);
    expect(JSON.parse(answer)).toEqual({ status: "running", generation: 1, completed: null });
    // K2: one task for each of the two shards, and the four that count.
    expect(invoked).toHaveLength(6);
    for (const url of invoked) expect(url).toBe("/2015-03-31/functions/flights-task/invocations?Qualifier=12");
    expect(JSON.parse(metrics)).toMatchObject({
      environment: "registers",
      pipeline: "flight-delays",
      lastCheckpointAge: 0,
      numRestarts: 0,
      failed: 0,
      _aws: { CloudWatchMetrics: [{ Namespace: "tidemark", Dimensions: [["environment", "pipeline"]] }] },
    });
    // The names of commands are those of the SDK, although the bundle's are shortened.
    expect(JSON.parse(usage)).toMatchObject({
      event: "usage",
      requestsBy: { "Lambda.Invoke": 6, "DynamoDB.GetItem": expect.any(Number) },
      dollars: expect.any(Number),
    });
  });
});
