// The figures that functions tell: each document keeps the rules of its format, and says what is so.
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { dynamoTable, json, kinesisSource, pipeline, value } from "../../lib/index.js";
import { checkpointId, generation, millis, taskId } from "../../lib/model/ids.js";
import { priceOf, prices, type RequestCounts } from "../../lib/model/prices.js";
import { sha256 } from "../../lib/model/sha256.js";
import { checkpointFigures } from "../../lib/runtime/checkpoint-figures.js";
import { lambdaFields, lineOf } from "../../lib/runtime/log-lines.js";
import { embeddedMetrics, type Metrics, metricUnits } from "../../lib/runtime/metrics.js";
import { Usage } from "../../lib/runtime/usage.js";
import { runPipeline } from "../../lib/testing/run/run-pipeline.js";
import { ack, ago, manifest, pending } from "./checkpoint-samples.js";
import { metricProblems } from "./metric-format.js";

const now = millis(1_700_000_000_000);
const place = { namespace: "tidemark", environment: "table", pipeline: "p" };
const context = { ...place, fields: lambdaFields({}, { requestId: "q1", isCold: false }) };

describe("a document with metrics", () => {
  const all = Object.fromEntries(Object.keys(metricUnits).map((name) => [name, 1])) as Metrics;
  const good = () => structuredClone(embeddedMetrics(all, { ...place, at: now })) as Record<string, unknown>;

  it("of all metrics keeps the rules of the embedded metric format", () => {
    expect(metricProblems(JSON.stringify(good()))).toEqual([]);
    expect(good()).toMatchObject({ environment: "table", pipeline: "p", lastCheckpointSize: 1 });
  });

  it.each<readonly [string, (line: Record<string, unknown>) => void]>([
    ["a metric that the document does not have", (line) => void delete line.dollars],
    ["a metric that is no number", (line) => void Object.assign(line, { dollars: Number.NaN })],
    ["a dimension that the document does not have", (line) => void delete line.pipeline],
    ["a dimension without a value", (line) => void Object.assign(line, { pipeline: "" })],
    ["a time in seconds", (line) => void Object.assign(line._aws as object, { Timestamp: now / 1_000 })],
    ["a member that the format does not know", (line) => void Object.assign(line._aws as object, { More: 1 })],
    ["more than a line may have", (line) => void Object.assign(line, { text: "x".repeat(256 * 1024) })],
  ])("that breaks a rule is found: %s", (_, spoil) => {
    const line = good();
    spoil(line);
    expect(metricProblems(JSON.stringify(line))).not.toEqual([]);
  });

  it("with an unknown unit, or a name twice, is found", () => {
    const told = (Metrics: readonly object[]) => {
      const line = good();
      const CloudWatchMetrics = [{ Namespace: "n", Dimensions: [[]], Metrics }];
      return metricProblems(JSON.stringify({ ...line, _aws: { Timestamp: now, CloudWatchMetrics } }));
    };
    expect(told([{ Name: "dollars", Unit: "Dollars" }])).not.toEqual([]);
    expect(told([{ Name: "dollars" }, { Name: "dollars" }])).toEqual(["dollars: named twice"]);
    expect(told([{ Name: "dollars", Unit: "Count/Second" }])).toEqual([]);
  });
});

describe("a line of the log", () => {
  it("has the event's members first, and then those of Powertools' logger", () => {
    const fields = lambdaFields(
      {
        AWS_LAMBDA_FUNCTION_NAME: "f",
        AWS_LAMBDA_FUNCTION_VERSION: "7",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
        _X_AMZN_TRACE_ID: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557abcec3ee5a047;Sampled=1",
      },
      { requestId: "q1", isCold: true },
    );
    const line = lineOf({ event: "flowing", task: "0.0" }, { ...context, fields }, 1_700_000_000_000);
    expect(JSON.stringify(line)).toBe(
      '{"event":"flowing","task":"0.0","level":"INFO","message":"flowing","timestamp":"2023-11-14T22:13:20.000Z","service":"p",' +
        '"cold_start":true,"function_name":"f","function_version":"7","function_memory_size":"1024","function_request_id":"q1",' +
        '"xray_trace_id":"1-5759e988-bd862e3fe1be46a994272793"}',
    );
  });

  it.each([
    [{ event: "refused", kind: "invalid", message: "no such table" }, "ERROR", "no such table"],
    [{ event: "session", outcome: { kind: "failed" } }, "ERROR", "session"],
    [{ event: "session", outcome: { kind: "handover" } }, "INFO", "session"],
    [{ event: "not collected", message: "denied" }, "WARN", "denied"],
  ])("says how bad it is, and what a failure says: %j", (event, level, message) => {
    expect(lineOf(event, context, now)).toMatchObject({ ...event, level, message });
  });

  it("of records that were put aside has their number as a metric", () => {
    const line = lineOf({ event: "quarantined", records: 3 }, context, now);
    expect(line).toMatchObject({ level: "WARN", records: 3, numRecordsInErrors: 3 });
    expect(metricProblems(JSON.stringify(line))).toEqual([]);
    expect(lineOf({ event: "quarantined", records: 3 }, { ...context, namespace: "" }, now)).not.toHaveProperty("_aws");
  });

  it("of figures alone is none where no metrics are told", () => {
    const event = { event: "supervised", metrics: { failed: 0 } };
    expect(lineOf(event, { ...context, namespace: "" }, now)).toBeNull();
    expect(lineOf(event, context, now)).toMatchObject({ failed: 0, _aws: { Timestamp: now } });
  });
});

describe("a checkpoint", () => {
  const file = (size: number) => ({
    format: 1 as const,
    body: { kind: "object" as const, key: "k", size, sha256: sha256("k") },
    session: ack().session,
    epoch: checkpointId(1),
    slices: [],
  });
  const figures = (cut: number, acked: number, bytes: number) => ({
    ...{ cutAt: millis(cut), ackedAt: millis(acked), bytes, recordsIn: 10, recordsOut: 3, requests: {} },
  });
  const at = Number(ago(10_000));
  const snapshot = { format: 1 as const, base: file(1_000), deltas: [file(20), file(30)] };
  const tasks = [
    ack({ task: taskId(0, 0), figures: figures(at + 5, at + 40, 100) }),
    ack({ task: taskId(0, 1), figures: figures(at + 700, at + 900, 7), snapshot }),
  ];
  const completed = manifest({ triggeredAt: millis(at), tasks });

  it("that is complete tells how long it took, what was written for it, all of its state, and its tasks, the slowest first", () => {
    const told = checkpointFigures({ kind: "completed", at: now, pending: pending(), manifest: completed });
    expect(told).toMatchObject({
      event: "checkpoint",
      status: "completed",
      metrics: {
        numberOfCompletedCheckpoints: 1,
        lastCheckpointDuration: 900,
        lastCheckpointSize: 107,
        lastCheckpointFullSize: 1_050,
      },
      tasks: [
        { task: "0.1", cutMillis: 700, ackMillis: 900, bytes: 7 },
        { task: "0.0", cutMillis: 5, ackMillis: 40, bytes: 100 },
      ],
    });
  });

  it("of very many tasks is a line that the log takes whole", () => {
    const many = Array.from({ length: 5_000 }, (_, index) => ack({ task: taskId(0, index) }));
    const told = checkpointFigures({
      kind: "completed",
      at: now,
      pending: pending(),
      manifest: manifest({ tasks: many }),
    });
    expect(metricProblems(JSON.stringify(lineOf(told, context, now)))).toEqual([]);
  });

  it("that failed tells that, and which it was", () => {
    const told = checkpointFigures({ kind: "failed", at: now, pending: pending(), generation: generation(4) });
    expect(told).toMatchObject({
      status: "failed",
      generation: 4,
      checkpoint: pending().checkpointId,
      metrics: { numberOfFailedCheckpoints: 1 },
    });
  });
});

describe("what an invocation uses", () => {
  const counts: { now: RequestCounts } = { now: { "DynamoDB.PutItem": { requests: 5, units: 9 } } };
  const clock = { time: 1_000_000 };
  const usageOf = (architecture: string) =>
    new Usage({
      clock: { now: () => millis(clock.time), sleep: async () => undefined, random: () => new Uint8Array() },
      counted: () => counts.now,
      memoryBytes: 512 * 1024 ** 2,
      architecture,
    });

  it("is what was sent since it began, or was last asked: requests, and dollars at list prices", () => {
    const usage = usageOf("arm64");
    clock.time += 10_000;
    counts.now = {
      "DynamoDB.PutItem": { requests: 7, units: 19 },
      "Kinesis.GetRecords": { requests: 3, units: 0 },
      "Lambda.Invoke": { requests: 1, units: 0 },
      "S3.PutObject": { requests: 2, units: 0 },
    };
    const seconds = 5 * prices.lambdaArmSecond;
    const sent = 10 * prices.dynamoWriteUnit + 2 * prices.s3Write;
    const first = usage.take();
    expect(first).toMatchObject({
      metrics: { requests: 8 },
      gigabyteSeconds: 5,
      requestsBy: { "DynamoDB.PutItem": 2, "Kinesis.GetRecords": 3, "Lambda.Invoke": 1, "S3.PutObject": 2 },
    });
    // Each start is paid for once: by what is started, not by who starts it.
    expect(first.metrics.dollars).toBeCloseTo(prices.lambdaRequest + seconds + sent, 12);
    clock.time += 2_000;
    expect(usage.take()).toEqual({
      metrics: { requests: 0, dollars: expect.closeTo(prices.lambdaArmSecond, 12) },
      requestsBy: {},
      gigabyteSeconds: 1,
    });
  });

  it("costs more on x86", () => {
    const usage = usageOf("x64");
    clock.time += 2_000;
    expect(usage.take().metrics.dollars).toBeCloseTo(prices.lambdaRequest + prices.lambdaX86Second, 12);
  });

  it("has prices for what is billed by request, by unit, and not at all", () => {
    const ten = { requests: 10, units: 20 };
    expect(priceOf("DynamoDB.Query", ten)).toBeCloseTo(20 * prices.dynamoReadUnit, 15);
    expect(priceOf("S3.ListObjectsV2", ten)).toBeCloseTo(10 * prices.s3Write, 15);
    expect(priceOf("S3.HeadObject", ten)).toBeCloseTo(10 * prices.s3Read, 15);
    expect(priceOf("Kinesis.PutRecords", ten)).toBeCloseTo(20 * prices.kinesisPutUnit, 15);
    for (const free of ["S3.DeleteObjects", "Kinesis.GetRecords"]) expect(priceOf(free, ten)).toBe(0);
  });
});

describe("a run", () => {
  const Flight = z.object({ origin: z.string() });
  const flights = pipeline("flights", { parallelism: 2 }, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json(Flight) }))
      .keyBy(({ origin }) => origin)
      .process("count", {
        state: { flights: value(0) },
        onRecord: (_, { key, state }) => {
          state.flights.update((n) => n + 1);
          return { airport: key, flights: state.flights.get() };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
  );
  const input = { flights: Array.from({ length: 200 }, (_, n) => ({ origin: ["JFK", "ATL", "SFO"][n % 3] ?? "" })) };
  type Told = { readonly event: string; readonly metrics?: Metrics } & Readonly<Record<string, unknown>>;
  const run = async (options: Parameters<typeof runPipeline<{ flights: unknown }, unknown>>[2]) => {
    const done = await runPipeline(flights, input, options as object);
    const logged = done.logged() as readonly Told[];
    const sum = (name: keyof Metrics) => logged.reduce((total, { metrics }) => total + (metrics?.[name] ?? 0), 0);
    const checkpoints = logged.filter(({ event, status }) => event === "checkpoint" && status === "completed");
    return { ...done, logged, sum, checkpoints };
  };

  it("tells each checkpoint once, with figures that add up to what was read and written", async () => {
    const { checkpoints: complete, sum, checkpoints, logged, ...done } = await run({ shards: 2 });
    expect(checkpoints).toHaveLength(done.generations === 1 ? complete.length : -1);
    expect(sum("numberOfCompletedCheckpoints")).toBe(checkpoints.length);
    expect(sum("numberOfFailedCheckpoints")).toBe(0);
    const last = checkpoints.at(-1)?.tasks as readonly { readonly recordsIn: number; readonly recordsOut: number }[];
    expect(last.reduce((total, { recordsIn }) => total + recordsIn, 0)).toBe(200);
    expect(last.reduce((total, { recordsOut }) => total + recordsOut, 0)).toBe(200);
    for (const { metrics } of checkpoints) expect(metrics?.lastCheckpointDuration).toBeGreaterThan(0);
    const size = (name: "lastCheckpointSize" | "lastCheckpointFullSize") =>
      checkpoints.map(({ metrics }) => metrics?.[name] ?? -1);
    expect(Math.max(...size("lastCheckpointFullSize"))).toBeGreaterThan(0);
    expect(Math.max(...size("lastCheckpointSize"))).toBeGreaterThan(Math.max(...size("lastCheckpointFullSize")));
    for (const event of logged) expect(metricProblems(JSON.stringify(lineOf(event, context, now)))).toEqual([]);
  });

  it("B5, R2 with crashes tells no checkpoint twice, and those that were given up", { timeout: 60_000 }, async () => {
    let [failed, restarts] = [0, 0];
    for (let seed = 1; seed <= 4; seed++) {
      const { checkpoints, logged, sum } = await run({ crashes: 3, seed });
      const ids = logged.filter(({ event }) => event === "checkpoint").map(({ checkpoint }) => checkpoint);
      expect(new Set(ids).size, `seed ${seed}`).toBe(ids.length);
      expect(sum("numberOfCompletedCheckpoints")).toBe(checkpoints.length);
      const measured = logged.filter(({ event }) => event === "supervised").map(({ metrics }) => metrics ?? {});
      for (const { numRecordsOut = 0, numRestarts = 0 } of measured) {
        expect(numRecordsOut).toBeLessThanOrEqual(200);
        expect(numRestarts).toBeLessThanOrEqual(3);
      }
      restarts = Math.max(restarts, ...measured.map(({ numRestarts = 0 }) => numRestarts));
      failed += sum("numberOfFailedCheckpoints");
    }
    expect(failed).toBeGreaterThan(0);
    expect(restarts).toBe(3);
  });
});
