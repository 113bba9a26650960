// The pipeline on the embedded cloud, by real sessions in this process, until it has processed so many records; then it is stopped.
import { awsWorld, bindingsOf } from "../../dist/compose.js";
import { awsClients } from "../../dist/connectors/clients.js";
import { dynamoTable } from "../../dist/connectors/dynamo-table.js";
import { kinesisSource } from "../../dist/connectors/kinesis-source.js";
import { json } from "../../dist/model/codecs.js";
import { value } from "../../dist/pipeline/declare-state.js";
import { pipeline } from "../../dist/pipeline/pipeline.js";
import { startPipeline } from "../in-process.mjs";
import { readArguments } from "./arguments.mjs";
import { meter } from "./meter.mjs";
import { names } from "./open-cloud.mjs";

const timeLimitMs = 8 * 60_000;
const lookMs = 5;

const { records: wanted, name, table, interval } = readArguments();
const clients = awsClients();
const metered = meter(clients);
const seen = { records: 0, firstReadAt: null, lastAt: null, cpuFrom: null, cpuTo: null };

function onRecord(flight, { key, state }) {
  seen.records++;
  if (seen.records === wanted) [seen.lastAt, seen.cpuTo] = [performance.now(), process.cpuUsage(seen.cpuFrom)];
  state.flights.update((n) => n + 1);
  if (flight.delay > 15) state.late.update((n) => n + 1);
  state.sum.update((sum) => sum + (flight.delay ?? 0));
  return { airport: key, flights: state.flights.get(), late: state.late.get(), sum: state.sum.get() };
}

const { plan } = pipeline(name, { checkpoint: { interval } }, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: names.stream, codec: json(), start: "trim-horizon" }))
    .keyBy((flight) => flight.origin)
    .process("punctuality", { state: { flights: value(0), late: value(0), sum: value(0) }, onRecord })
    .to("airports", dynamoTable({ table, key: ["airport"] })),
);

/** The time begins with the first read, as that of the bare loop does. */
function timed(log) {
  return {
    ...log,
    read(...args) {
      if (seen.firstReadAt === null) [seen.firstReadAt, seen.cpuFrom] = [performance.now(), process.cpuUsage()];
      return log.read(...args);
    },
  };
}

const environment = {
  table: names.registers,
  bucket: names.bucket,
  functions: { task: "task", supervisor: "supervisor" },
};
const worldOf = (functions) => {
  const world = awsWorld(environment, clients);
  return { ...world, log: timed(world.log), functions };
};

const late = setTimeout(() => {
  process.stderr.write(`${seen.records} of ${wanted} records after ${timeLimitMs / 1_000} s\n`);
  process.exit(1);
}, timeLimitMs);
const startedAt = performance.now();
const running = await startPipeline(plan, worldOf, bindingsOf({}));
const ended = running.ended();
ended.catch(() => undefined);
while (seen.lastAt === null) await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, lookMs))]);
await running.stop();
const head = await ended;
clearTimeout(late);
clients.destroy();
if (head.status !== "stopped") throw new Error(`it ended as ${head.status}: ${JSON.stringify(head.failures)}`);
const { user, system } = seen.cpuTo;
process.stdout.write(
  `${JSON.stringify({
    records: seen.records,
    seconds: (seen.lastAt - seen.firstReadAt) / 1_000,
    cpuMs: (user + system) / 1_000,
    wholeSeconds: (performance.now() - startedAt) / 1_000,
    checkpoints: running.progress.checkpoints,
    invocations: running.invocations,
    requests: metered.requests(),
  })}\n`,
);
