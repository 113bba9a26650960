import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type Runner, startRunner } from "../../dist/local/runner/runner.js";
import { type AwsClients, awsClients } from "../../lib/connectors/clients.js";
import { lambdaFunctions } from "../../lib/connectors/lambda-functions.js";
import { type Arrived, functionsConformance } from "../../lib/testing/conformance/functions.js";
import { memoryFunctions } from "../../lib/testing/memory/functions.js";

const versions = ["1", "2"] as const;

describe("functions in memory", () => {
  functionsConformance(test, async () => {
    const all: Arrived[] = [];
    const { functions } = memoryFunctions({
      task: (functionVersion, payload) => void all.push({ kind: "task", functionVersion, payload }),
      supervisor: (payload) => void all.push({ kind: "supervisor", payload }),
    });
    return { functions, versions, arrived: (wanted) => waitFor(() => all, wanted) };
  });
});

// The runner starts processes from compiled code, so it is imported from there.
describe("functions of Lambda, run by the local runner", () => {
  let folder: string;
  let runner: Runner;
  let clients: AwsClients;
  let opened = 0;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tidemark-functions-"));
    runner = await startRunner();
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    clients = awsClients({ endpoint: runner.endpoint, region: "us-east-1", credentials });
  });
  afterAll(async () => {
    clients.destroy();
    await runner.close();
    rmSync(folder, { recursive: true });
  });

  functionsConformance(test, async () => {
    opened += 1;
    const names = { task: `task-${opened}`, supervisor: `supervisor-${opened}` };
    const file = join(folder, `arrived-${opened}`);
    appendFileSync(file, "");
    for (const version of versions) deploy(runner, { folder, file, name: names.task, version });
    deploy(runner, { folder, file, name: names.supervisor, version: "1" });
    return {
      functions: lambdaFunctions(clients.lambda, names),
      versions,
      arrived: (wanted) => waitFor(() => readArrived(file), wanted),
    };
  });
});

/** A function that writes down what it gets. */
function deploy(runner: Runner, what: { folder: string; file: string; name: string; version: string }): void {
  const entry = join(what.folder, "recorder.mjs");
  writeFileSync(
    entry,
    `import { appendFileSync } from "node:fs";
     export const handler = async (payload) => {
       const kind = process.env.AWS_LAMBDA_FUNCTION_NAME.split("-")[0];
       const functionVersion = process.env.AWS_LAMBDA_FUNCTION_VERSION;
       appendFileSync(process.env.ARRIVED, JSON.stringify({ kind, functionVersion, payload }) + "\\n");
     };`,
  );
  runner.deploy({
    name: what.name,
    version: what.version,
    entry,
    handler: "handler",
    timeoutMs: 10_000,
    env: { ARRIVED: what.file },
    asyncConfig: { retries: 2, maxAgeMs: 60_000, onFailure: null },
  });
}

const readArrived = (file: string): Arrived[] =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Arrived);

async function waitFor(read: () => Arrived[], wanted: (all: readonly Arrived[]) => boolean): Promise<Arrived[]> {
  for (let tries = 0; tries < 400; tries += 1) {
    const all = read();
    if (wanted(all)) return all;
    await delay(50);
  }
  throw new Error(`after 20 s there was only ${JSON.stringify(read())}`);
}
