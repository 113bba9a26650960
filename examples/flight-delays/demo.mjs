// npm run demo: kills the example pipeline again and again while real flights stream in, and compares its result with the file.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { compare, readAirports } from "./demo/compare.mjs";
import { runExactlyOnce } from "./demo/exactly-once.mjs";
import { flightsInFile, readFlights, recompute } from "./demo/flights.mjs";
import { plainTable, runPlain } from "./demo/plain.mjs";
import { openProcesses } from "./demo/processes.mjs";
import { failures, reportText, summary } from "./demo/report.mjs";
import { openScreen } from "./demo/screen.mjs";
import { createStream } from "./demo/stream.mjs";
import { startCloud } from "./demo/tidemark.mjs";

const help = `npm run demo -- [options]

Streams real flights through the example pipeline (two stages of four tasks), kills its processes with SIGKILL, splits and merges shards meanwhile, and compares
what it counted with the file. As a control, the same through a handler without checkpoints.

  --records N   how many flights (default 100000, at most ${flightsInFile})
  --crashes N   how many processes are killed (default 5)
  --json        one JSON object on standard output; progress goes to standard error
  --help

Exits 0 only if no record was lost or counted twice.
`;

const shards = 4;
/** Something hangs, or the machine is far too busy. */
const timeLimitMs = 240_000;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
const interruptedExitCode = 130;

class Interrupted extends Error {}

function readOptions() {
  const number = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({ options: { records: number, crashes: number, json: flag, help: flag } });
  const whole = (name, { least, most, otherwise }) => {
    const value = Number(values[name] ?? otherwise);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new Error(`--${name} must be a whole number from ${least} to ${most}`);
    return value;
  };
  return {
    records: whole("records", { least: 1_000, most: flightsInFile, otherwise: 100_000 }),
    crashes: whole("crashes", { least: 0, most: 100, otherwise: 5 }),
    json: values.json,
    help: values.help,
  };
}

/** Everything that it starts has ended when it returns. @returns {Promise<ReturnType<typeof summary>>} */
async function demo(options, screen, stop) {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-demo-"));
  const processes = openProcesses();
  try {
    return await Promise.race([measure(options, { folder, processes, screen, stop }), aborted(stop.signal)]);
  } finally {
    // Who still waits for something waits no longer.
    stop.abort(new Interrupted("over"));
    await processes.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure({ records, crashes }, { folder, processes, screen, stop }) {
  const startedAt = performance.now();
  const [cloud, flights] = await Promise.all([startCloud(processes, stop), readFlights(records)]);
  Object.assign(process.env, cloud.env);
  const world = { processes, env: cloud.env, kinesis: new KinesisClient({}), dynamo: new DynamoDBClient({}) };
  await createStream(world.kinesis, shards);
  screen.say(`embedded cloud on ${cloud.endpoint}; ${flights.length.toLocaleString("en-US")} flights to come`);
  const part = { ...world, folder, flights, crashes, screen, stop };
  const run = await runExactlyOnce(part);
  screen.say("the same input through a plain handler, killed in the same way");
  const plain = await runPlain(part);
  const expected = await recompute(records);
  const found = compare(await readAirports(world.dynamo, "airports"), expected);
  const plainFound = compare(await readAirports(world.dynamo, plainTable), expected);
  await cloud.stop();
  const seconds = (performance.now() - startedAt) / 1_000;
  return summary({ records, seconds, found, run, plain, plainFound });
}

const aborted = (signal) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

/** The first one ends what runs in order, which takes a moment; the next one at once. */
function interrupt(stop) {
  if (stop.signal.aborted) process.exit(interruptedExitCode);
  stop.abort(new Interrupted("interrupted"));
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  const screen = openScreen(options.json ? process.stderr : process.stdout);
  const stop = new AbortController();
  const late = new Error(`it is not over after ${timeLimitMs / 1_000} s`);
  setTimeout(() => stop.abort(late), timeLimitMs).unref();
  for (const signal of signals) process.on(signal, () => interrupt(stop));
  const result = await demo(options, screen, stop);
  screen.write(options.json ? "" : reportText(result));
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  const wrong = failures(result, options.crashes);
  if (wrong.length > 0) process.stderr.write(`\nthe demo FAILED: ${wrong.join("; ")}\n`);
  else screen.write("\nnothing was lost, nothing was counted twice\n");
  return wrong.length === 0 ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    process.stderr.write(`\n${error instanceof Interrupted ? error.message : `the demo FAILED: ${error.message}`}\n`);
    process.exitCode = error instanceof Interrupted ? interruptedExitCode : 1;
  },
);
