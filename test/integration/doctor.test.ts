// What `tidemark doctor` finds: real commands against a cloud, and against a gate before it that refuses actions as IAM does.
import { PutBucketLifecycleConfigurationCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { feed, makeTable, someWords } from "../fixtures/cli/cloud.js";
import { type Ended, run } from "../fixtures/cli/command.js";
import { everythingIn } from "../fixtures/cli/everything.js";
import { type Gate, type GateRules, openGate } from "../fixtures/cli/gate.js";
import { countPipeline, filesUnder } from "../fixtures/cli/project.js";
import { testStage } from "../fixtures/cli/stage.js";
import { s3At } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const stage = testStage();
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Said {
  readonly code: number | null;
  readonly problems: number;
  readonly warnings: number;
  readonly checks: readonly {
    readonly check: string;
    readonly level: string;
    readonly found: string;
    readonly remedy: string | null;
  }[];
}

function said({ code, out, err }: Ended): Said {
  expect(err).toBe("");
  const report = JSON.parse(out) as Omit<Said, "code">;
  const of = (level: string) => report.checks.filter((check) => check.level === level).length;
  expect({ problems: of("problem"), warnings: of("warning") }).toEqual({
    problems: report.problems,
    warnings: report.warnings,
  });
  return { ...report, code };
}

const doctor = async (...args: readonly string[]) => said(await stage.tidemark("doctor", ...args, "--json"));

async function through(rules: GateRules, ...args: readonly string[]): Promise<Said & { readonly gate: Gate }> {
  const gate = await openGate(stage.cloud.endpoint, rules);
  closing.push(() => gate.close());
  const env = { AWS_ENDPOINT_URL: gate.endpoint };
  return { ...said(await run(["doctor", ...args, "--json"], { cwd: stage.project.folder, env })), gate };
}

/** The check whose name begins so. */
function finding({ checks }: Said, name: string) {
  const found = checks.filter(({ check }) => check.startsWith(name));
  expect(found, `"${name}" in ${JSON.stringify(checks, null, 1)}`).toHaveLength(1);
  return found[0];
}

describe("doctor", () => {
  it("finds nothing wrong where nothing was made yet, and makes nothing", async () => {
    stage.project.write("fresh.ts", countPipeline({ name: "fresh" }));
    const found = await doctor("fresh.ts");
    expect(found).toMatchObject({ code: 0, problems: 0, warnings: 0 });
    for (const name of ["table", "bucket", 'source "words"', 'sink "totals"'])
      expect(finding(found, name)).toMatchObject({ level: "ok", found: 'is not there yet: "tidemark dev" makes it' });
    expect(finding(found, "version of tidemark")?.found).toContain("never run");
    expect(await everythingIn(stage.cloud.endpoint)).toEqual({
      tables: [],
      items: [],
      streams: [],
      buckets: [],
      kept: [],
    });
  });

  it("starts an embedded cloud of its own where there is none, and leaves no data", async () => {
    const ended = await run(["doctor"], { cwd: stage.project.folder });
    expect(ended).toMatchObject({ code: 0, err: "" });
    expect(ended.out).toMatch(/^ok {7}endpoint: the embedded cloud starts$/m);
    expect(ended.out).toMatch(/^0 problems, 0 warnings$/m);
    expect(filesUnder(stage.project.folder).filter(({ path }) => path.includes(".tidemark/cloud"))).toEqual([]);
  });

  it("ends with 3 where nothing answers, and looks no further", async () => {
    const env = { AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
    const found = said(await run(["doctor", "--json"], { cwd: stage.project.folder, env }));
    expect(found).toMatchObject({ code: 3, problems: 1 });
    expect(found.checks.at(-1)).toMatchObject({ check: "endpoint", level: "problem" });
  });

  it("says that credentials are not valid", async () => {
    const found = await through({ refusal: "UnrecognizedClientException" });
    expect(found).toMatchObject({ code: 1, problems: 1 });
    expect(finding(found, "credentials")?.found).toContain("no valid AWS credentials");
  });

  it("says that the pipeline does not build, and checks the rest all the same", async () => {
    stage.project.write("broken.ts", 'throw new TypeError("not ready");');
    const found = await doctor("broken.ts");
    expect(found.code).toBe(1);
    expect(finding(found, "pipeline")).toMatchObject({ level: "problem", found: expect.stringContaining("not ready") });
    expect(finding(found, "clock")?.level).toBe("ok");
    expect(finding(found, "table")?.level).toBe("ok");
  });

  it("says with --aws what is missing, since nobody makes it there", async () => {
    stage.project.write("missing.ts", countPipeline({ name: "missing" }));
    const keys = { AWS_REGION: "eu-west-1", AWS_ACCESS_KEY_ID: "AKIAEXAMPLEKEY12", AWS_SECRET_ACCESS_KEY: "any" };
    const env = { ...stage.cloud.env, ...keys };
    const inProject = { cwd: stage.project.folder, env };
    const unnamed = said(await run(["doctor", "missing.ts", "--aws", "--json"], inProject));
    expect(finding(unnamed, "environment")?.found).toContain("TIDEMARK_TABLE");
    const names = { TIDEMARK_TABLE: "no-table", TIDEMARK_BUCKET: "no-bucket" };
    const named = { ...inProject, env: { ...env, ...names } };
    const found = said(await run(["doctor", "missing.ts", "--aws", "--json"], named));
    expect(found).toMatchObject({ code: 1, problems: 4, warnings: 1 });
    for (const name of ['table "no-table"', 'bucket "no-bucket"', 'source "words"', 'sink "totals"'])
      expect(finding(found, name)).toMatchObject({ level: "problem", remedy: expect.stringContaining("create it") });
    expect(finding(found, "credentials")?.found).toContain("AKIA…EY12");
    expect(finding(found, "supervisor")?.level).toBe("warning");
  });
});

describe("doctor of a pipeline that has run", () => {
  beforeAll(async () => {
    stage.project.write("ran.ts", countPipeline({ name: "ran" }));
    const dev = () => stage.tidemark("dev", "ran.ts", "--until-drained");
    expect(await dev()).toMatchObject({ code: 0 });
    await feed(stage.cloud.endpoint, "words-ran", someWords(30, 3));
    expect(await dev()).toMatchObject({ code: 0 });
  });

  it("finds all well, and leaves nothing behind", async () => {
    const before = await everythingIn(stage.cloud.endpoint);
    const found = await through({}, "ran.ts");
    expect(found).toMatchObject({ code: 0, problems: 0, warnings: 0 });
    expect(finding(found, "rights on the table")?.found).toMatch(/PutItem, .*GetItem, .*UpdateItem, .*Query/);
    expect(finding(found, "rights on the bucket")?.found).toMatch(/PutObject, .*GetObject, .*ListBucket/);
    expect(finding(found, "version of tidemark")?.found).toContain("here and in generation");
    expect(finding(found, 'source "words", retention')?.level).toBe("ok");
    expect(found.gate.asked).toEqual(
      expect.arrayContaining(["dynamodb:PutItem", "s3:PutObject", "kinesis:GetRecords"]),
    );
    expect(await everythingIn(stage.cloud.endpoint)).toEqual(before);
  });

  it.each([
    ["dynamodb:PutItem", "rights on the table"],
    ["dynamodb:GetItem", "rights on the table"],
    ["dynamodb:UpdateItem", "rights on the table"],
    ["dynamodb:Query", "rights on the table"],
    ["s3:PutObject", "rights on the bucket"],
    ["s3:GetObject", "rights on the bucket"],
    ["s3:ListBucket", "rights on the bucket"],
    ["kinesis:ListShards", 'source "words", stream'],
    ["kinesis:GetShardIterator", 'source "words", stream'],
    ["kinesis:GetRecords", 'source "words", stream'],
  ])("says that %s is not allowed", async (action, check) => {
    const before = await everythingIn(stage.cloud.endpoint);
    const found = await through({ denied: [action] }, "ran.ts");
    expect(found.code).toBe(1);
    expect(finding(found, check)).toMatchObject({ level: "problem", remedy: expect.stringContaining(action) });
    expect(await everythingIn(stage.cloud.endpoint)).toEqual(before);
  });

  it("names all that is not allowed at a time", async () => {
    const found = await through({ denied: ["dynamodb:UpdateItem", "dynamodb:Query"] });
    expect(finding(found, "rights on the table")?.remedy).toContain("dynamodb:UpdateItem, dynamodb:Query");
  });

  it("writes nothing that it could not remove", async () => {
    const before = await everythingIn(stage.cloud.endpoint);
    const found = await through({ denied: ["dynamodb:DeleteItem", "s3:DeleteObject"] }, "ran.ts");
    expect(found).toMatchObject({ code: 1, problems: 2 });
    for (const store of ["table", "bucket"])
      expect(finding(found, `rights on the ${store}`)?.found).toMatch(/Delete\w+; .*was not tried/);
    for (const action of ["dynamodb:PutItem", "s3:PutObject"]) expect(found.gate.asked).not.toContain(action);
    expect(await everythingIn(stage.cloud.endpoint)).toEqual(before);
  });

  it("R1 tells of a service on which conditional puts write over what they had to leave", async () => {
    const before = await everythingIn(stage.cloud.endpoint);
    const found = await through({ dropsConditions: true });
    expect(found.code).toBe(1);
    expect(finding(found, "rights on the table")?.found).toContain("not safe on this service");
    expect(await everythingIn(stage.cloud.endpoint)).toEqual(before);
  });

  it.each([
    [60_000, "warning", 0, /^5\d.*s behind|^1m .*behind|^60s behind/],
    [-120_000, "warning", 0, /ahead of/],
    [3_600_000, "problem", 1, /behind/],
  ])("tells of a clock when the service is %d ms ahead", async (aheadMillis, level, code, text) => {
    const found = await through({ aheadMillis });
    expect(found.code).toBe(code);
    expect(finding(found, "clock")).toMatchObject({ level, remedy: expect.stringContaining("NTP") });
    expect(finding(found, "clock")?.found).toMatch(text);
  });

  it("tells of keys that do not fit", async () => {
    await makeTable(stage.cloud.endpoint, "totals-other", { id: "N" });
    stage.project.write("other.ts", countPipeline({ name: "other" }));
    const sink = finding(await doctor("other.ts"), 'sink "totals"');
    expect(sink).toMatchObject({ level: "problem", found: expect.stringContaining("totals-other") });
    stage.project.write("tidemark.config.ts", 'export default { table: "totals-other" };');
    const found = await doctor();
    stage.project.write("tidemark.config.ts", "export default {};");
    expect(found.code).toBe(1);
    expect(finding(found, 'table "totals-other"')?.found).toBe("its key is (id: number), not (pk: string, sk: string)");
  });

  it("tells of rules by which the bucket takes state away", async () => {
    const s3 = s3At(stage.cloud.endpoint);
    const expire = (Prefix: string) =>
      s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: "tidemark-dev",
          LifecycleConfiguration: {
            Rules: [{ ID: "old", Status: "Enabled", Filter: { Prefix }, Expiration: { Days: 7 } }],
          },
        }),
      );
    await expire("another/");
    const rules = "lifecycle rules of the bucket";
    expect(finding(await doctor("ran.ts"), rules)?.level).toBe("ok");
    for (const prefix of ["", "ran/", "r"]) {
      await expire(prefix);
      const found = await doctor("ran.ts");
      expect(found.code).toBe(1);
      expect(finding(found, rules)?.found).toContain('"old" expires objects after 7 days');
    }
    s3.destroy();
  });
});
