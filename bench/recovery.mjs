// From a SIGKILL to the first record after it: `tidemark dev` as users have it, its operator process killed again and again while
// records come in. The machinery is that of the demo.
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { atChance, killNow } from "../examples/flight-delays/demo/crashes.mjs";
import { onEvent, watchOperators } from "../examples/flight-delays/demo/operators.mjs";
import { openProcesses } from "../examples/flight-delays/demo/processes.mjs";
import { createStream } from "../examples/flight-delays/demo/stream.mjs";
import { startCloud, startDev } from "../examples/flight-delays/demo/tidemark.mjs";
import { putLines } from "./cloud/open-cloud.mjs";
import { fixed, median, whole } from "./figures.mjs";
import { flightLines } from "./inputs.mjs";

const shards = 2;
const recordsPerPut = 100;
const putEveryMs = 100;
/** Of the pipeline: a kill comes at any moment between two checkpoints. */
const checkpointIntervalMs = 1_000;
/** A start, and for each kill a checkpoint and a recovery. */
const timeLimitMs = (kills) => 60_000 + kills * 20_000;
/** In seconds. */
const target = 2;

export async function run({ kills, folder, say }) {
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(new Error("it is not over in time")), timeLimitMs(kills));
  const processes = openProcesses();
  const aborted = new Promise((_, reject) => stop.signal.addEventListener("abort", () => reject(stop.signal.reason)));
  aborted.catch(() => undefined);
  try {
    return await Promise.race([measure({ kills, folder, say, stop, processes }), aborted]);
  } finally {
    clearTimeout(late);
    stop.abort(new Error("over"));
    await processes.close();
  }
}

async function measure({ kills, folder, say, stop, processes }) {
  const cloud = await startCloud(processes, stop);
  Object.assign(process.env, cloud.env);
  const kinesis = new KinesisClient({});
  await createStream(kinesis, shards);
  const operators = watchOperators(stop.signal);
  const listen = (event) => operators.update((state) => onEvent(state, event));
  const dev = await startDev(processes, { env: cloud.env, folder, session: "15m", stop, onEvent: listen });
  const over = new AbortController();
  const feeding = feed(kinesis, over.signal);
  const seconds = [];
  try {
    while (seconds.length < kills) {
      seconds.push(await killOnce(operators, stop.signal));
      say(`${seconds.length} of ${kills}: ${fixed(seconds.at(-1))} s`);
    }
  } finally {
    over.abort();
  }
  const fed = await feeding;
  await operators.until(({ records, idle }) => idle && records >= fed);
  const { records } = operators.state;
  if (records !== fed) throw new Error(`${whole(records)} records were processed, ${whole(fed)} put`);
  const code = await dev.end();
  if (code !== 0) throw new Error(`tidemark dev ended with ${code}:\n${dev.complaints()}`);
  await cloud.stop();
  kinesis.destroy();
  return { kills, records, seconds, median: median(seconds), max: Math.max(...seconds), target };
}

/** Behind another checkpoint, and at any moment before the next: without progress, restarts are delayed more and more. */
async function killOnce(operators, signal) {
  const { checkpoint: before } = operators.state;
  await operators.until(({ checkpoint, flowing }) => checkpoint !== null && checkpoint !== before && flowing !== null);
  await atChance(checkpointIntervalMs, signal);
  for (;;) {
    await operators.until(({ flowing }) => flowing !== null);
    const { flowing: pid, generation } = operators.state;
    const at = performance.now();
    if (!killNow(pid)) continue;
    await operators.until(({ flowing }) => flowing !== null && flowing !== pid);
    if (operators.state.generation > generation) return (performance.now() - at) / 1_000;
  }
}

/** Until it is told to stop. @returns {Promise<number>} records put */
async function feed(kinesis, signal) {
  let fed = 0;
  const lines = [...flightLines(recordsPerPut)];
  while (!signal.aborted) {
    await putLines(kinesis, lines);
    fed += lines.length;
    await new Promise((resolve) => setTimeout(resolve, putEveryMs));
  }
  return fed;
}

export function report({ kills, records, median: middle, max, target: limit }) {
  const times = `${fixed(middle)} s (median), ${fixed(max)} s at most (target: under ${limit} s)`;
  return `  recovery: ${kills} times from a SIGKILL to the first record after it: ${times}; all of ${whole(records)} records counted once`;
}
