// The benchmarks, as `npm run bench` starts them: few records, so that they are right; how fast they are is not for a test.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const bench = fileURLToPath(new URL("../../bench/main.mjs", import.meta.url));
const built = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
const timeout = 180_000;

let folder: string;
beforeAll(async () => {
  if (!existsSync(built)) throw new Error("the benchmarks run what is built: npm run build first");
  folder = await mkdtemp(join(tmpdir(), "tidemark-bench-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What it leaves behind would lie in `folder`. */
function run(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [bench, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: folder },
    timeout,
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data: Buffer) => {
    output.stdout += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    output.stderr += data.toString();
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...output })));
}

async function resultOf(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const jsonLines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const positive = expect.toSatisfy((value: unknown) => typeof value === "number" && value > 0 && Number.isFinite(value));
const rates = (ends: Record<string, unknown> = {}) =>
  expect.objectContaining({ cpuMs: positive, recordsPerCpuSecond: positive, ...ends });

describe("f1 and k1", () => {
  it(
    "f1 counts the flights of a file, row by row, and leaves the rows where it was told to",
    async () => {
      const flights = [
        { date: "2001/01/01 00:01", delay: 16, distance: 400, origin: "LAX", destination: "JFK" },
        { date: "2001/01/01 00:02", delay: null, distance: 300, origin: "LAX", destination: "SFO" },
        { date: "2001/01/01 00:03", delay: 15, distance: 200, origin: "SFO", destination: "LAX" },
        { date: "2001/01/01 00:04", delay: -3, distance: 100, origin: "LAX", destination: "SFO" },
      ];
      const [input, output] = [join(folder, "flights.jsonl"), join(folder, "rows.jsonl")];
      await writeFile(input, jsonLines(flights));
      const { f1 } = await resultOf("f1", "--pairs", "1", "--input", input, "--output", output);
      expect(await readFile(output, "utf8")).toBe(
        jsonLines([
          { airport: "LAX", flights: 1, late: 1, sum: 16 },
          { airport: "SFO", flights: 1, late: 0, sum: 15 },
          { airport: "LAX", flights: 2, late: 1, sum: 13 },
        ]),
      );
      expect(f1).toMatchObject({ records: 4, pairs: 1 });
    },
    timeout,
  );

  it(
    "k1 gives what the plain loop gives, by checkpoints, with a ratio to it",
    async () => {
      const { machine, k1 } = await resultOf("k1", "--records", "20000", "--pairs", "1");
      expect(machine).toMatchObject({ node: process.version, cores: positive });
      expect(k1).toMatchObject({
        records: 20_000,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        variants: [
          rates({ name: "plain" }),
          rates({ name: "saving" }),
          rates({ name: "tidemark", records: 20_000, checkpoints: positive }),
          rates({ name: "fields", records: 20_000, checkpoints: positive }),
        ],
        ratios: { tidemark: { ofMedians: positive, target: 1.2 }, fields: { ofMedians: positive, target: 1 } },
      });
    },
    timeout,
  );

  it(
    "the profile says what a record costs, by parts",
    async () => {
      const { profile } = await resultOf("profile", "--records", "50000");
      const { runs } = profile as { readonly runs: readonly unknown[] };
      expect(runs).toHaveLength(6);
      expect(runs[1]).toMatchObject({ job: "f1", variant: "tidemark", parts: { decode: positive, encode: positive } });
    },
    timeout,
  );
});

describe("checkpoints", () => {
  it(
    "are written and restored, for each share of keys",
    async () => {
      const { checkpoints } = await resultOf("checkpoints", "--records", "2000");
      const one = { checkpoints: positive, restore: { bytes: positive, secondsPer100Mb: positive } };
      expect(checkpoints).toMatchObject({
        keys: 2_000,
        shares: [1, 10, 100].map((percent) => ({ percent, ...one })),
        state: { keys: 2_000 },
      });
    },
    timeout,
  );
});

describe("on the embedded cloud", () => {
  it(
    "kinesis compares a session with a bare read loop, over all records",
    async () => {
      const { kinesis } = await resultOf("kinesis", "--records", "2000", "--pairs", "1");
      expect(kinesis).toMatchObject({ records: 2_000, ratio: positive, bareRecordsPerSecond: positive, target: 0.9 });
    },
    timeout,
  );

  it(
    "cost is the sum of the requests that were sent, at their prices",
    async () => {
      const { cost } = await resultOf("cost", "--records", "2000");
      const { lines, dollarsPerMillion } = cost as {
        readonly lines: readonly {
          readonly name: string;
          readonly units: number;
          readonly dollarsPerMillion: number;
        }[];
        readonly dollarsPerMillion: number;
      };
      const names = lines.map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(["DynamoDB.PutItem", "Kinesis.GetRecords", "Lambda.Invoke"]));
      expect(lines.find(({ name }) => name === "DynamoDB.PutItem")?.units).toBeGreaterThan(100);
      expect(lines.reduce((sum, line) => sum + line.dollarsPerMillion, 0)).toBeCloseTo(dollarsPerMillion, 9);
      expect(cost).toMatchObject({ triggerDollarsPerMillion: expect.closeTo(1.252, 9), ratio: positive });
    },
    timeout,
  );
});

describe("sinks", () => {
  interface SinkResult {
    readonly sink: string;
    readonly requests: readonly {
      readonly of: "checkpoints" | "target";
      readonly name: string;
      readonly requests: number;
      readonly units: number;
      readonly dollars: number;
    }[];
    readonly dollarsPerMillion: number;
    readonly ratio: number;
    readonly met: boolean | null;
    readonly transactions: number | null;
  }
  /** What each asks of its target once a checkpoint is complete, or at once. */
  const written = {
    held: "DynamoDB.PutItem",
    eager: "DynamoDB.PutItem",
    counters: "DynamoDB.TransactWriteItems",
    postgres: null,
    files: "S3.CopyObject",
    stream: "Kinesis.PutRecords",
  };

  it(
    "each has every record once, seen after a time, at the price of what was sent for it",
    async () => {
      const { sinks } = await resultOf("sinks", "--records", "1000");
      const { results, triggers } = sinks as {
        readonly results: readonly SinkResult[];
        readonly triggers: readonly { readonly sink: string; readonly dollarsPerMillion: number }[];
      };
      expect(results.map(({ sink }) => sink)).toEqual(Object.keys(written));
      const priceOfTrigger = new Map(triggers.map(({ sink, dollarsPerMillion }) => [sink, dollarsPerMillion]));
      expect(priceOfTrigger.get("held")).toBeCloseTo(1.252, 9);
      for (const one of results) {
        const { requests, dollarsPerMillion, ratio } = one;
        expect(requests.reduce((sum, { dollars }) => sum + dollars, 0)).toBeCloseTo(dollarsPerMillion, 9);
        expect(ratio).toBeCloseTo(dollarsPerMillion / (priceOfTrigger.get(one.sink) ?? 0), 9);
        const isCounts = one.sink !== "files" && one.sink !== "stream";
        expect(one).toMatchObject({ latencyMs: { samples: positive, median: positive, p95: positive } });
        expect(one.met).toBe(isCounts ? ratio <= 0.1 : null);
        const name = written[one.sink as keyof typeof written];
        const ofTarget = requests.filter((request) => request.of === "target").map((request) => request.name);
        if (name === null) expect(one.transactions).toEqual(positive);
        else expect(ofTarget).toContain(name);
      }
      // A mark and a key at least, each at twice the price of a plain write.
      const transactions = results.flatMap(({ requests }) => requests.filter(({ name }) => name === written.counters));
      for (const { requests, units } of transactions) expect(units).toBeGreaterThanOrEqual(4 * requests);
      expect(transactions).toHaveLength(1);
      const puts = results.flatMap(({ requests }) => requests.filter(({ name }) => name === written.stream));
      expect(puts).toEqual([expect.objectContaining({ of: "target", units: positive, dollars: positive })]);
    },
    timeout,
  );
});

describe("several tasks", () => {
  it(
    "exchange sends every record from stage to stage once, and counts frames and requests",
    async () => {
      const { exchange } = await resultOf("exchange", "--records", "3000", "--tasks", "4");
      const seen = {
        records: 3_000,
        latencyMs: { median: positive, p99: positive },
        exchange: { notesPut: positive, noteLists: positive, framesPut: positive, frameReads: positive },
      };
      const cloud = { ...seen, dollarsPerMillion: positive };
      expect(exchange).toMatchObject({ results: [{ parallelism: 2, memory: seen, cloud }] });
    },
    timeout,
  );

  it(
    "recovery kills any of them, and every record is counted once",
    async () => {
      const { recovery } = await resultOf("recovery", "--tasks", "4", "--kills", "1");
      expect(recovery).toMatchObject({ tasks: 4, kills: 1, median: positive, allTasks: { median: positive } });
    },
    timeout,
  );
});

describe("the command", () => {
  it.each([
    [["nothing"], "no benchmark"],
    [["--records", "many"], "--records must be a whole number"],
    [["f1", "--pairs", "0"], "--pairs must be a whole number"],
    [["f1", "k1", "--output", "x"], "--output is for f1 alone"],
    [["f1", "--input", "x", "--records", "5000"], "--records has no meaning"],
    [["recovery", "--tasks", "3"], "--tasks must be 1, or an even number"],
    [["--fast"], "--fast"],
  ])("refuses %j with exit code 2", async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });

  it("fails with exit code 1 where a run fails, and says how", async () => {
    const { code, stderr } = await run("f1", "--pairs", "1", "--input", join(folder, "absent.jsonl"));
    expect(code).toBe(1);
    expect(stderr).toContain("absent.jsonl");
  });

  it("names every benchmark in its help", async () => {
    const { code, stdout } = await run("--help");
    expect(code).toBe(0);
    for (const name of [
      "f1",
      "k1",
      "checkpoints",
      "kinesis",
      "recovery",
      "cost",
      "sinks",
      "exchange",
      "decode",
      "profile",
    ])
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
  });

  it("leaves no folder behind", async () => {
    expect((await readdir(folder)).filter((name) => name.startsWith("tidemark-bench-"))).toEqual([]);
  });
});
