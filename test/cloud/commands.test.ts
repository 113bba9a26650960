// `tidemark doctor` and `tidemark logs` where functions of Lambda, logs and buckets with versions are.
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { ListObjectVersionsCommand, PutBucketVersioningCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { LogLine } from "../../lib/cli/logs/lines.js";
import { type Ended, endAll, run, start } from "../fixtures/cli/command.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { call, createFunction, send } from "./functions/recording.js";
import { zipOf } from "./localstack/zip.js";
import { checkpointKey, openCloud } from "./resources.js";

const { kind } = inject("cloud");
const clientName = "@aws-sdk/client-cloudwatch-logs";

/** Where the client is that users install for `logs`; null where nobody has. */
function logsClient(): string | null {
  const { resolve } = createRequire(import.meta.url);
  try {
    const main = resolve(clientName);
    return main.slice(0, main.lastIndexOf(clientName) + clientName.length);
  } catch {
    return null;
  }
}
const client = logsClient();

/** Says in its log which task it is of, as sessions do, and then something as users do. */
const handler = `
exports.handler = async ({ task, say }, { awsRequestId }) => {
  if (task !== undefined)
    console.log(JSON.stringify({ event: "flowing", task, level: "INFO", message: "flowing", function_request_id: awsRequestId }));
  process.stdout.write([new Date().toISOString(), awsRequestId, "WARN", say].join("\\t") + "\\n");
  return null;
};`;

// The embedded cloud has neither Lambda nor logs, and on AWS a function would need a role.
describe.skipIf(kind !== "localstack")("commands for what is deployed", () => {
  const cloud = openCloud();
  const [task, supervisor] = [cloud.fresh("task"), cloud.fresh("supervisor")];
  let project: Project;
  let lambda: LambdaClient;
  let env: Readonly<Record<string, string>>;
  let bucket: string;

  const tidemark = (...args: readonly string[]): Promise<Ended> => run(args, { cwd: project.folder, env });

  beforeAll(async () => {
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    lambda = new LambdaClient({ endpoint: cloud.endpoint ?? "", region: cloud.region, credentials });
    const table = await cloud.createTable(checkpointKey);
    bucket = await cloud.createBucket();
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await cloud.clients.s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    const code = zipOf({ "index.js": handler });
    const variables = { TIDEMARK_TABLE: table, TIDEMARK_BUCKET: bucket, TIDEMARK_TASK_FUNCTION: task };
    for (const name of [task, supervisor])
      await createFunction(lambda, { name, code, timeoutSeconds: 10, env: variables });
    const totals = await cloud.createTable([{ name: "word", type: "string" }]);
    const words = await cloud.createStream(1);
    const bindings = { streams: { "words-deployed": words }, tables: { "totals-deployed": totals } };
    project = newProject({
      "pipeline.ts": countPipeline({ name: "deployed" }),
      "tidemark.config.ts": `export default ${JSON.stringify({ bindings })};`,
    });
    env = {
      ...cloud.variables(),
      TIDEMARK_TABLE: table,
      TIDEMARK_BUCKET: bucket,
      TIDEMARK_SUPERVISOR_FUNCTION: supervisor,
    };
  });
  afterAll(() => {
    endAll();
    lambda.destroy();
    cloud.clients.destroy();
    project.remove();
  });

  it("doctor finds all well, and leaves no version in a bucket that keeps them", async () => {
    const ended = await tidemark("doctor", "pipeline.ts", "--aws", "--json");
    const { checks } = JSON.parse(ended.out) as { readonly checks: readonly { check: string; level: string }[] };
    expect(checks.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(ended).toMatchObject({ code: 0, err: "" });
    expect(checks.map(({ check }) => check)).toContain("supervisor");
    const { Versions = [], DeleteMarkers = [] } = await cloud.clients.s3.send(
      new ListObjectVersionsCommand({ Bucket: bucket }),
    );
    expect([...Versions, ...DeleteMarkers]).toEqual([]);
  });

  it("doctor tells of a supervisor that works elsewhere, and of one that is not there", async () => {
    const other = await cloud.createBucket();
    const elsewhere = { cwd: project.folder, env: { ...env, TIDEMARK_BUCKET: other } };
    const found = await run(["doctor", "pipeline.ts", "--aws"], elsewhere);
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/^problem {2}supervisor: .* works on table/m);
    const nobody = { cwd: project.folder, env: { ...env, TIDEMARK_SUPERVISOR_FUNCTION: "nobody" } };
    const missing = await run(["doctor", "pipeline.ts", "--aws"], nobody);
    expect(missing.code).toBe(1);
    expect(missing.out).toMatch(/^problem {2}supervisor: Lambda function "nobody": .*does not exist/m);
  });

  // A user who reads no logs has not installed it.
  describe.skipIf(client === null)("logs, with the client of CloudWatch Logs", () => {
    beforeAll(async () => {
      const at = join(project.folder, "node_modules", clientName);
      mkdirSync(dirname(at), { recursive: true });
      if (!existsSync(at)) symlinkSync(client ?? "", at);
      await call(lambda, task, { task: "0.0", say: "first says" });
      await call(lambda, task, { task: "0.1", say: "second says" });
      await call(lambda, supervisor, { say: "all is well" });
    });

    const logs = async (...args: readonly string[]): Promise<readonly LogLine[]> => {
      const ended = await tidemark("logs", "pipeline.ts", "--json", ...args);
      expect(ended).toMatchObject({ code: 0, err: "" });
      return ended.out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as LogLine]));
    };
    /** It takes a moment until an event is found. */
    async function untilSaid(what: string, ...args: readonly string[]): Promise<readonly LogLine[]> {
      for (;;) {
        const found = await logs(...args);
        if (found.some(({ message }) => message === what)) return found;
        await sleep(500);
      }
    }

    it("has the lines of both functions in the order of their times, each with its task", async () => {
      await untilSaid("all is well");
      await untilSaid("second says");
      const lines = await untilSaid("first says");
      expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).sort());
      const said = lines.filter(({ level }) => level === "WARN");
      expect(said.map(({ function: of, task: name, message }) => [of, name, message]).sort()).toEqual([
        ["supervisor", null, "all is well"],
        ["task", "0.0", "first says"],
        ["task", "0.1", "second says"],
      ]);
      expect(lines.find(({ message }) => message === "flowing")?.fields).toMatchObject({ event: "flowing" });
      const text = await tidemark("logs", "pipeline.ts");
      expect(text.out).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} {2}task 0\.1 {4}WARN {3}second says$/m);
    });

    it("has those of one task alone", async () => {
      const lines = await untilSaid("second says", "--task", "0.1");
      expect(new Set(lines.map(({ task: name }) => name))).toEqual(new Set(["0.1"]));
      expect(lines.some(({ message }) => message.startsWith("REPORT"))).toBe(true);
    });

    it("follows: what comes later is printed once, and Ctrl-C ends it with 0", async () => {
      const following = start(["logs", "pipeline.ts", "--json", "--follow"], { cwd: project.folder, env });
      while (!following.out().includes("second says")) await sleep(200);
      await send(lambda, task, { task: "0.0", say: "much later" });
      while (!following.out().includes("much later")) await sleep(200);
      // Two more looks, which find it again.
      await sleep(5_000);
      following.signal("SIGINT", "alone");
      const ended = await following.ended;
      expect(ended).toMatchObject({ code: 0, err: "" });
      expect(ended.out.match(/much later/g)).toHaveLength(1);
      expect(ended.out.match(/second says/g)).toHaveLength(1);
    });

    it("has nothing of what is older", async () => {
      await untilSaid("second says");
      await sleep(2_000);
      expect(await logs("--since", "1s")).toEqual([]);
    });

    it("refuses a function that is no supervisor", async () => {
      const other = cloud.fresh("other");
      await createFunction(lambda, { name: other, code: zipOf({ "index.js": handler }), timeoutSeconds: 10, env: {} });
      const wrong = { cwd: project.folder, env: { ...env, TIDEMARK_SUPERVISOR_FUNCTION: other } };
      const refused = await run(["logs", "pipeline.ts"], wrong);
      expect(refused).toMatchObject({ code: 1, out: "" });
      expect(refused.err).toContain("is no supervisor of tidemark");
    });
  });

  // Where it is installed for the tests it is found beside the library.
  it.skipIf(client !== null)("logs says what to install", async () => {
    const refused = await tidemark("logs", "pipeline.ts");
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toContain(`npm i -D ${clientName}`);
  });
});
