// The pipeline of two stages, all its tasks in this process by real sessions, until each record was taken by its operator; then it is
// stopped. Source and table are in memory; frames, notes and checkpoints in memory or on the embedded cloud.
import { parseArgs } from "node:util";
import { awsWorld, bindingsOf } from "../../dist/compose.js";
import { awsClients } from "../../dist/connectors/clients.js";
import { dynamoTable } from "../../dist/connectors/dynamo-table.js";
import { kinesisSource } from "../../dist/connectors/kinesis-source.js";
import { json } from "../../dist/model/codecs.js";
import { value } from "../../dist/pipeline/declare-state.js";
import { pipeline } from "../../dist/pipeline/pipeline.js";
import { systemClock } from "../../dist/ports/clock.js";
import { memoryBlobs } from "../../dist/testing/memory/blobs.js";
import { memoryFiles } from "../../dist/testing/memory/files.js";
import { memoryLog } from "../../dist/testing/memory/log.js";
import { memoryObjects } from "../../dist/testing/memory/objects.js";
import { memoryRegisters } from "../../dist/testing/memory/registers.js";
import { memoryTables } from "../../dist/testing/memory/tables.js";
import { meter } from "../cloud/meter.mjs";
import { names } from "../cloud/open-cloud.mjs";
import { startPipeline } from "../in-process.mjs";
import { flightLines } from "../inputs.mjs";
import { steadyLog } from "./steady-log.mjs";

const timeLimitMs = 5 * 60_000;
const lookMs = 5;
const linesAround = 20_000;

const text = { type: "string" };
const { values } = parseArgs({ options: { parallelism: text, records: text, rate: text, on: text, interval: text } });
const [parallelism, records] = [Number(values.parallelism), Number(values.records)];
const perSecond = values.rate === undefined ? null : Number(values.rate);
const isCloud = values.on === "cloud";

const seen = { records: 0, lastAt: null, cpuFrom: null, cpuTo: null, millis: new Float64Array(records) };

const { plan } = pipeline(
  `exchange-${parallelism}`,
  { parallelism, checkpoint: { interval: values.interval } },
  (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json(), start: "trim-horizon" }))
      .map((flight) => ({ ...flight, at: performance.now() }))
      .keyBy((flight) => flight.origin)
      .process("punctuality", {
        state: { flights: value(0), sum: value(0) },
        onRecord(flight, { key, state }) {
          seen.millis[seen.records++] = performance.now() - flight.at;
          if (seen.records === records) [seen.lastAt, seen.cpuTo] = [performance.now(), process.cpuUsage(seen.cpuFrom)];
          state.flights.update((n) => n + 1);
          state.sum.update((sum) => sum + (flight.delay ?? 0));
          return { airport: key, flights: state.flights.get(), sum: state.sum.get() };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
);

const { log, stream } = steadyLog([...flightLines(linesAround)], { shards: parallelism, records, perSecond });
const { tables, createTable, items } = memoryTables();
createTable("airports", [{ name: "airport", type: "string" }]);
const clients = isCloud ? awsClients() : null;
const metered = clients === null ? null : meter(clients);
const exchange = { notesPut: 0, noteLists: 0, newsPut: 0, newsLists: 0, framesPut: 0, frameReads: 0, frameBytes: 0 };

/** What of the requests is the exchange's (E1). */
function counted({ registers, blobs, ...rest }) {
  const isFrame = (key) => key.includes("/frames/");
  return {
    ...rest,
    registers: {
      ...registers,
      swap(key, ...more) {
        if (key.name.startsWith("note/")) exchange.notesPut++;
        if (key.name.startsWith("news/")) exchange.newsPut++;
        return registers.swap(key, ...more);
      },
      list(group, prefix, page) {
        if (prefix.startsWith("note/")) exchange.noteLists++;
        if (prefix.startsWith("news/")) exchange.newsLists++;
        return registers.list(group, prefix, page);
      },
    },
    blobs: {
      ...blobs,
      put(key, bytes) {
        if (isFrame(key))
          [exchange.framesPut, exchange.frameBytes] = [exchange.framesPut + 1, exchange.frameBytes + bytes.length];
        return blobs.put(key, bytes);
      },
      get(key, range) {
        if (isFrame(key)) exchange.frameReads++;
        return blobs.get(key, range);
      },
    },
  };
}

function worldOf(functions) {
  // No sink writes to a bucket or a stream here.
  const unused = {
    files: memoryFiles().files,
    objects: memoryObjects().objects,
    streams: memoryLog(systemClock).streams,
  };
  const own = { log, tables, functions, clock: systemClock, ...unused };
  if (clients === null) return counted({ ...own, registers: memoryRegisters().registers, blobs: memoryBlobs().blobs });
  const environment = {
    table: names.registers,
    bucket: names.bucket,
    functions: { task: "task", supervisor: "supervisor" },
  };
  return counted({ ...awsWorld(environment, clients), ...own });
}

const late = setTimeout(() => {
  process.stderr.write(`${seen.records} of ${records} records after ${timeLimitMs / 1_000} s\n`);
  process.exit(1);
}, timeLimitMs);
const startedAt = performance.now();
seen.cpuFrom = process.cpuUsage();
const running = await startPipeline(plan, worldOf, bindingsOf({}));
const ended = running.ended();
ended.catch(() => undefined);
while (seen.lastAt === null) await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, lookMs))]);
await running.stop();
const head = await ended;
clearTimeout(late);
clients?.destroy();
if (head.status !== "stopped") throw new Error(`it ended as ${head.status}: ${JSON.stringify(head.failures)}`);
const flights = items("airports").reduce((sum, item) => sum + Number(item.flights), 0);
if (flights !== records || seen.records !== records)
  throw new Error(`the table has counted ${flights} of ${records} records, the operator ${seen.records}`);
const sorted = seen.millis.sort();
const at = (share) => sorted[Math.min(records - 1, Math.floor(records * share))];
process.stdout.write(
  `${JSON.stringify({
    parallelism,
    records,
    seconds: (seen.lastAt - stream.startedAt) / 1_000,
    wholeSeconds: (performance.now() - startedAt) / 1_000,
    cpuMs: (seen.cpuTo.user + seen.cpuTo.system) / 1_000,
    // Of the whole process at its most: all tasks, their source and their sink.
    memoryMb: process.resourceUsage().maxRSS / 1_024,
    latencyMs: { median: at(0.5), p99: at(0.99) },
    checkpoints: running.progress.checkpoints,
    exchange,
    requests: metered?.requests() ?? null,
  })}\n`,
);
