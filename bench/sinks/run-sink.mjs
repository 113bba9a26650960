// A pipeline with one sink on the embedded cloud, by real sessions in this process, until it has processed so many records; then it is
// stopped. What is counted lies between two checkpoints, so that start and end are not in it; all of it where there were too few.
import { parseArgs } from "node:util";
import pg from "pg";
import { awsWorld, bindingsOf } from "../../dist/compose.js";
import { awsClients } from "../../dist/connectors/clients.js";
import { dynamoTables } from "../../dist/connectors/dynamo-tables.js";
import { kinesisSource } from "../../dist/connectors/kinesis-source.js";
import { kinesisStreams } from "../../dist/connectors/kinesis-streams.js";
import { s3Objects } from "../../dist/connectors/s3-objects.js";
import { json } from "../../dist/model/codecs.js";
import { pipeline } from "../../dist/pipeline/pipeline.js";
import { meter } from "../cloud/meter.mjs";
import { names } from "../cloud/open-cloud.mjs";
import { startPipeline } from "../in-process.mjs";
import { flows } from "./flows.mjs";
import { places } from "./places.mjs";

const timeLimitMs = 5 * 60_000;
const lookMs = 5;
/** Until what the last checkpoint covers is written, and old ones are removed. */
const settleMs = 5_000;
/** What is counted begins with the second and ends with the last. */
const checkpointsLeast = 3;

const text = { type: "string" };
const { values } = parseArgs({ options: { sink: text, records: text, interval: text, quiet: text } });
/** What is counted are so many milliseconds in which nothing comes; null: those in which records come. */
const quietMs = values.quiet === undefined ? null : Number(values.quiet) * 1_000;
const wanted = Number(values.records);
let records = 0;

const { plan } = pipeline(`sinks-${values.sink}`, { checkpoint: { interval: values.interval } }, (flow) =>
  flows[values.sink](
    flow
      .from("flights", kinesisSource({ stream: places.stream, codec: json(), start: "trim-horizon" }))
      .map((flight) => {
        records++;
        return flight;
      }),
  ),
);

/** Clients of their own for what the sink asks of its target. */
const [own, others] = [awsClients(), awsClients()];
const [ofCheckpoints, ofTarget] = [meter(own), meter(others)];
const database = meterDatabase();
const environment = {
  table: names.registers,
  bucket: names.bucket,
  functions: { task: "task", supervisor: "supervisor" },
};
const worldOf = (functions) => ({
  ...awsWorld(environment, own),
  tables: dynamoTables(others.dynamo),
  objects: s3Objects(others.s3),
  streams: kinesisStreams(others.kinesis),
  functions,
});

/** Each session has one connection for the sink; the driver has one method for all that it sends. */
function meterDatabase() {
  const counts = { transactions: 0, statements: 0 };
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function counted(...args) {
    const isBegin = typeof args[0] === "string" && args[0].startsWith("begin");
    counts[isBegin ? "transactions" : "statements"]++;
    return query.apply(this, args);
  };
  return () => ({ ...counts });
}

const late = setTimeout(() => {
  process.stderr.write(`${records} of ${wanted} records after ${timeLimitMs / 1_000} s\n`);
  process.exit(1);
}, timeLimitMs);
const running = await startPipeline(plan, worldOf, bindingsOf({}));
const ended = running.ended();
ended.catch(() => undefined);
const marks = [];
const first = mark();
const wait = (ms) => Promise.race([ended, new Promise((resolve) => setTimeout(resolve, ms))]);
while (records < wanted) {
  await wait(lookMs);
  if (running.progress.checkpoints > marks.length) marks.push(mark());
}
const quiet = quietMs === null ? null : await beQuiet();
await running.stop();
const head = await ended;
const last = mark();
clearTimeout(late);
for (const clients of [own, others]) clients.destroy();
if (head.status !== "stopped") throw new Error(`it ended as ${head.status}: ${JSON.stringify(head.failures)}`);
const isSteady = marks.length >= checkpointsLeast;
const [from, to] = quiet ?? (isSteady ? [marks[1], marks.at(-1)] : [first, last]);
process.stdout.write(
  `${JSON.stringify({
    counted: to.records - from.records,
    seconds: (to.at - from.at) / 1_000,
    checkpoints: isSteady ? marks.length - 2 : marks.length + 1,
    requests: {
      checkpoints: difference(from.checkpoints, to.checkpoints),
      target: difference(from.target, to.target),
    },
    database: Object.fromEntries(Object.entries(to.database).map(([name, n]) => [name, n - from.database[name]])),
  })}\n`,
);

async function beQuiet() {
  while (running.progress.records < wanted) await wait(lookMs);
  await wait(settleMs);
  const begin = mark();
  await wait(quietMs);
  return [begin, mark()];
}

function mark() {
  return {
    at: performance.now(),
    records: running.progress.records,
    checkpoints: ofCheckpoints.requests(),
    target: ofTarget.requests(),
    database: database(),
  };
}

function difference(before, after) {
  const none = { requests: 0, units: 0 };
  const minus = ([name, { requests, units }]) => {
    const earlier = before[name] ?? none;
    return [name, { requests: requests - earlier.requests, units: units - earlier.units }];
  };
  return Object.fromEntries(
    Object.entries(after)
      .map(minus)
      .filter(([, { requests }]) => requests > 0),
  );
}
