// The control: the same stream through the plain handler, delivered as a Kinesis trigger delivers: shard by shard in order, each batch
// until it was answered, so at least once. The handler is killed as often as the pipeline's processes are.

import { fileURLToPath } from "node:url";
import { CreateTableCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-kinesis";
import { atChance, crashPoints, killNow } from "./crashes.mjs";
import { allShards, streamName } from "./stream.mjs";
import { watched } from "./watched.mjs";

const handlerFile = fileURLToPath(new URL("./plain-handler.mjs", import.meta.url));
const recordsPerBatch = 2_000;
/** About as long as a batch takes: a crash comes at any moment within one. */
const batchMs = 200;

export const plainTable = "airports_plain";

/** @returns {Promise<{ crashes: number, batches: number }>} */
export async function runPlain({ processes, env, kinesis, dynamo, flights, crashes, screen, stop }) {
  await createTable(dynamo);
  const trigger = watched({ answered: 0, batches: 0, crashes: 0, handler: null }, stop.signal);
  const start = () => startHandler(processes, { ...env, TABLE: plainTable });
  const points = crashPoints(flights.length, crashes);
  const ticking = setInterval(() => screen.status(statusLine(trigger.state, flights.length)), 250);
  try {
    await Promise.all([
      deliverAll(kinesis, trigger, { start, points }),
      crashHandler(trigger, { points, screen, signal: stop.signal }),
    ]);
  } finally {
    clearInterval(ticking);
  }
  const { batches, crashes: crashed } = trigger.state;
  return { crashes: crashed, batches };
}

async function createTable(dynamo) {
  const key = { AttributeName: "airport" };
  await dynamo.send(
    new CreateTableCommand({
      TableName: plainTable,
      AttributeDefinitions: [{ ...key, AttributeType: "S" }],
      KeySchema: [{ ...key, KeyType: "HASH" }],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  await waitUntilTableExists({ client: dynamo, maxWaitTime: 20, minDelay: 1, maxDelay: 1 }, { TableName: plainTable });
}

/** Parents before children, so that a key's records come in order. */
async function deliverAll(kinesis, trigger, { start, points }) {
  trigger.state.handler = await start();
  for (const shard of await allShards(kinesis)) {
    for await (const batch of batchesOf(kinesis, shard)) {
      // It does not run ahead of the crashes.
      await trigger.until(({ answered, crashes }) => answered < (points[crashes + 1] ?? Number.POSITIVE_INFINITY));
      while (!(await trigger.state.handler.answers(batch))) trigger.state.handler = await start();
      trigger.update((state) => {
        state.answered += batch.length;
        state.batches += 1;
      });
    }
  }
  await trigger.until(({ crashes }) => crashes === points.length);
  await trigger.state.handler.end();
}

/** Closed shards to their end, open ones to their tip: all is fed by now. */
async function* batchesOf(kinesis, { ShardId }) {
  const at = { StreamName: streamName, ShardId, ShardIteratorType: "TRIM_HORIZON" };
  let { ShardIterator } = await kinesis.send(new GetShardIteratorCommand(at));
  while (ShardIterator) {
    const read = await kinesis.send(new GetRecordsCommand({ ShardIterator, Limit: recordsPerBatch }));
    if (read.Records?.length > 0) yield read.Records.map(({ Data }) => JSON.parse(Buffer.from(Data).toString()));
    else if (read.MillisBehindLatest === 0) return;
    ShardIterator = read.NextShardIterator;
  }
}

async function startHandler(processes, env) {
  let answer = () => undefined;
  const answered = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  const ready = answered();
  const child = processes.fork(handlerFile, { env, onMessage: () => answer(true) });
  const ended = child.ended.then(() => false);
  if (!(await Promise.race([ready, ended]))) throw new Error(`the plain handler did not start:\n${child.complaints()}`);
  return {
    pid: child.pid,
    /** False where the process died before it answered: the batch is delivered again, whole. */
    answers(batch) {
      const settled = Promise.race([answered(), ended]);
      child.process.send({ batch }, () => undefined);
      return settled;
    },
    end: () => child.end(),
  };
}

async function crashHandler(trigger, { points, screen, signal }) {
  for (const [index, point] of points.entries()) {
    await trigger.until(({ answered }) => answered >= point);
    await atChance(batchMs, signal);
    const { pid } = trigger.state.handler;
    killNow(pid);
    screen.say(`crash ${index + 1} of ${points.length}: SIGKILL to plain handler ${pid}`);
    trigger.update((state) => {
      state.crashes += 1;
    });
  }
}

const statusLine = ({ answered, crashes }, records) =>
  `plain handler: ${answered.toLocaleString("en-US")} of ${records.toLocaleString("en-US")} records answered · crashes ${crashes}`;
