// What an idle day costs: a pipeline of many tasks falls asleep, and then nothing comes for 24 hours of virtual time. Every call of a
// port is one request of the service behind it (the adapters send one each; lists of more than 1 MB would be more).

import { swapDesired } from "../dist/checkpoint/store.js";
import { dynamoTable } from "../dist/connectors/dynamo-table.js";
import { kinesisSource } from "../dist/connectors/kinesis-source.js";
import { json } from "../dist/model/codecs.js";
import { value } from "../dist/pipeline/declare-state.js";
import { pipeline } from "../dist/pipeline/pipeline.js";
import { runSession } from "../dist/runtime/run-session.js";
import { runSupervisor } from "../dist/runtime/supervisor.js";
import { memoryBlobs } from "../dist/testing/memory/blobs.js";
import { memoryFiles } from "../dist/testing/memory/files.js";
import { memoryFunctions } from "../dist/testing/memory/functions.js";
import { memoryLog } from "../dist/testing/memory/log.js";
import { memoryObjects } from "../dist/testing/memory/objects.js";
import { memoryRegisters } from "../dist/testing/memory/registers.js";
import { memoryTables } from "../dist/testing/memory/tables.js";
import { randomOf } from "../dist/testing/seeded/random.js";
import { Scheduler } from "../dist/testing/seeded/scheduler.js";
import { prices } from "./cloud/prices.mjs";
import { fixed, table, whole } from "./figures.mjs";

const shards = 4;
const tasks = 4;
const scheduleMs = 60_000;
const dayMs = 24 * 3_600_000;
const functionMs = 15 * 60_000;
const version = "1";

export async function run({ say }) {
  const counts = new Map();
  const scheduler = new Scheduler(randomOf("idle"));
  const clock = scheduler.clock(randomOf("clock"));
  const { world, log, tables } = worldOf(clock, counts);
  log.control.createStream("orders", shards);
  tables.createTable("totals", [{ name: "shop", type: "string" }]);
  const { plan } = totals();
  const deployment = deploymentOf(world, plan);
  const functions = memoryFunctions({
    task: (_, invocation) =>
      void runSession(deployment, invocation, { requestId: "r", deadline: clock.now() + functionMs }),
    supervisor: (call) => {
      count(counts, "Lambda.Invoke", 1);
      void runSupervisor(deployment, call, { deadline: clock.now() + functionMs });
    },
  }).functions;
  world.functions = functions;
  const store = { pipeline: plan.graph.name, registers: world.registers, blobs: world.blobs, clock };
  const schedule = () => {
    functions.callSupervisor({ pipeline: store.pipeline, report: null });
    scheduler.after(scheduleMs, schedule);
  };
  const asleep = () => JSON.parse(log.head() ?? "null")?.status === "suspended";
  await scheduler.until(swapDesired(store, null, desiredOf(plan)), scheduler.now + 1_000);
  for (let n = 0; n < 100; n++)
    log.control.put("orders", `shop-${n}`, Buffer.from(JSON.stringify({ shop: `shop-${n}` })));
  schedule();
  say(`${tasks} tasks a stage, ${shards} shards: until it sleeps`);
  await scheduler.run(asleep, scheduler.now + 3_600_000);
  if (!asleep()) throw new Error("it does not fall asleep");
  counts.clear();
  say("a day asleep");
  await scheduler.run(() => !asleep(), scheduler.now + dayMs);
  if (!asleep()) throw new Error("it woke, though nothing came");
  return summary(counts);
}

const totals = () =>
  pipeline("idle", { parallelism: tasks, idle: { suspendAfter: "1m" } }, (flow) =>
    flow
      .from("orders", kinesisSource({ stream: "orders", codec: json(), start: "trim-horizon" }))
      .keyBy((order) => order.shop)
      .process("count", {
        state: { orders: value(0) },
        onRecord(_order, { key, state }) {
          state.orders.update((n) => n + 1);
          return { shop: key, orders: state.orders.get() };
        },
      })
      .to("totals", dynamoTable({ table: "totals", key: ["shop"] })),
  );

const desiredOf = ({ fingerprint }) => ({
  format: 1,
  state: "running",
  code: { deployment: 1, functionVersion: version, fingerprint },
  rejected: [],
  request: { id: "start", kind: "restart", from: null, sinks: {}, dropped: [] },
});

const deploymentOf = (world, plan) => ({
  world,
  plan,
  bindings: { stream: (name) => name, table: (name) => name, file: (name) => name },
  functionVersion: version,
  library: "bench",
  log: () => undefined,
});

function worldOf(clock, counts) {
  const registers = memoryRegisters();
  const log = memoryLog(clock);
  const tables = memoryTables();
  const key = { group: "idle", name: "head" };
  log.head = () => registers.all().find((one) => one.key.name === key.name)?.register.body;
  return {
    log,
    tables,
    world: {
      clock,
      registers: countedRegisters(registers.registers, counts),
      blobs: counted(memoryBlobs().blobs, counts, {
        put: "S3.PutObject",
        get: "S3.GetObject",
        remove: "S3.DeleteObjects",
      }),
      log: counted(log.log, counts, {
        describe: "Kinesis.DescribeStreamSummary",
        shards: "Kinesis.ListShards",
        cursor: "Kinesis.GetShardIterator",
        read: "Kinesis.GetRecords",
      }),
      files: memoryFiles().files,
      objects: memoryObjects().objects,
      tables: tables.tables,
      streams: log.streams,
    },
  };
}

function count(counts, name, units) {
  const before = counts.get(name) ?? { requests: 0, units: 0 };
  counts.set(name, { requests: before.requests + 1, units: before.units + units });
}

const counted = (port, counts, names) => ({
  ...port,
  ...Object.fromEntries(
    Object.entries(names).map(([method, name]) => [
      method,
      (...args) => {
        count(counts, name, 1);
        return port[method](...args);
      },
    ]),
  ),
});

/** Units as DynamoDB counts them: 4 KB of a strongly consistent read, 1 KB of a write, one at least. */
const countedRegisters = (registers, counts) => ({
  async read(key) {
    const found = await registers.read(key);
    count(counts, "DynamoDB.GetItem", Math.max(1, Math.ceil((found?.body.length ?? 0) / 4_096)));
    return found;
  },
  async list(group, prefix, page) {
    const found = await registers.list(group, prefix, page);
    const bytes = found.reduce((sum, { name, register }) => sum + name.length + register.body.length, 0);
    count(counts, "DynamoDB.Query", Math.max(1, Math.ceil(bytes / 4_096)));
    return found;
  },
  async swap(key, expected, body) {
    count(counts, "DynamoDB.PutItem", Math.max(1, Math.ceil(body.length / 1_024)));
    return registers.swap(key, expected, body);
  },
  async put(key, body) {
    count(counts, "DynamoDB.PutItem", Math.max(1, Math.ceil(body.length / 1_024)));
    return registers.put(key, body);
  },
  async remove(key) {
    count(counts, "DynamoDB.DeleteItem", 1);
    return registers.remove(key);
  },
});

const unitPrices = {
  "DynamoDB.GetItem": prices.dynamoReadUnit,
  "DynamoDB.Query": prices.dynamoReadUnit,
  "DynamoDB.PutItem": prices.dynamoWriteUnit,
  "DynamoDB.DeleteItem": prices.dynamoWriteUnit,
  "S3.PutObject": prices.s3Write,
  "S3.GetObject": prices.s3Read,
  "Lambda.Invoke": prices.lambdaRequest,
};

function summary(counts) {
  const requests = [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { requests, units }]) => ({
      name,
      requests,
      dollars: units * (unitPrices[name] ?? 0),
    }));
  const dollars = requests.reduce((sum, one) => sum + one.dollars, 0);
  return { tasks, shards, requests, dollarsADay: dollars, dollarsAMonth: 30 * dollars };
}

export function report(result) {
  const rows = [
    [`idle: a day asleep, ${result.shards} shards, 2 × ${result.tasks} tasks`, "requests", "$"],
    ...result.requests.map(({ name, requests, dollars }) => [name, whole(requests), fixed(dollars, 5)]),
    ["together", whole(result.requests.reduce((sum, { requests }) => sum + requests, 0)), fixed(result.dollarsADay, 5)],
  ];
  return `${table(rows)}\n  $${fixed(result.dollarsAMonth, 3)} a month, without shards of Kinesis and Lambda's time`;
}
