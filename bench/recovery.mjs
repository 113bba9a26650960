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

const recordsPerPut = 100;
const putEveryMs = 100;
/** Of the pipeline: a kill comes at any moment between two checkpoints. */
const checkpointIntervalMs = 1_000;
/** A start, and for each kill a checkpoint and a recovery. */
const timeLimitMs = (kills, tasks) => 60_000 + tasks * 4_000 + kills * (20_000 + tasks * 1_500);
/** In seconds: of one task, and of several. */
const targets = { one: 2, several: 3 };
/** One that reads and one that counts, of as many tasks each. One task would do both. */
const stages = 2;
/** So many that each task gets some. */
const linesAround = 5_000;

/** Of the tasks one is killed, and all are started again. */
export async function run({ kills, tasks: wanted, folder, say }) {
  const tasks = wanted ?? 1;
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(new Error("it is not over in time")), timeLimitMs(kills, tasks));
  const processes = openProcesses();
  const aborted = new Promise((_, reject) => stop.signal.addEventListener("abort", () => reject(stop.signal.reason)));
  aborted.catch(() => undefined);
  try {
    return await Promise.race([measure({ kills, tasks, folder, say, stop, processes }), aborted]);
  } finally {
    clearTimeout(late);
    stop.abort(new Error("over"));
    await processes.close();
  }
}

async function measure({ kills, tasks, folder, say, stop, processes }) {
  const cloud = await startCloud(processes, stop);
  Object.assign(process.env, cloud.env);
  const kinesis = new KinesisClient({});
  const parallelism = Math.max(1, tasks / stages);
  await createStream(kinesis, Math.max(2, parallelism));
  const operators = watchOperators(stop.signal);
  const listen = (event) => operators.update((state) => onEvent(state, event));
  const session = "15m";
  const dev = await startDev(processes, { env: cloud.env, folder, session, parallelism, stop, onEvent: listen });
  const over = new AbortController();
  const feeding = feed(kinesis, over.signal);
  // Where the run fails for another reason, that one is told.
  feeding.catch(() => undefined);
  const [seconds, complete] = [[], []];
  try {
    while (seconds.length < kills) {
      const took = await killOnce(operators, { tasks, signal: stop.signal });
      seconds.push(took.first);
      complete.push(took.all);
      say(`${seconds.length} of ${kills}: ${fixed(took.first)} s, all tasks ${fixed(took.all)} s`);
    }
  } finally {
    over.abort();
  }
  const fed = await feeding;
  await operators.until(({ records, idle }) => idle && records >= fed);
  const { records } = operators.state;
  if (records !== fed) throw new Error(`${records} records were processed, ${fed} put`);
  const code = await dev.end();
  if (code !== 0) throw new Error(`tidemark dev ended with ${code}:\n${dev.complaints()}`);
  await cloud.stop();
  kinesis.destroy();
  const target = tasks === 1 ? targets.one : targets.several;
  const of = (list) => ({ median: median(list), max: Math.max(...list) });
  return { kills, tasks, records, seconds, ...of(seconds), allTasks: { seconds: complete, ...of(complete) }, target };
}

/**
 * Behind another checkpoint, when all tasks take records, and at any moment before the next checkpoint: without progress, restarts are
 * delayed more and more. Of several tasks any is killed.
 *
 * @returns {Promise<{ first: number, all: number }>} seconds until a task takes a record, and until all have taken one
 */
async function killOnce(operators, { tasks, signal }) {
  const { checkpoint: before } = operators.state;
  const flow = ({ flowing }) => flowing.size === tasks;
  await operators.until((state) => state.checkpoint !== null && state.checkpoint !== before && flow(state));
  await atChance(checkpointIntervalMs, signal);
  for (;;) {
    await operators.until(flow);
    const { generation } = operators.state;
    const pids = [...operators.state.flowing.keys()];
    const at = performance.now();
    const since = () => (performance.now() - at) / 1_000;
    if (!killNow(pids[Math.floor(Math.random() * pids.length)])) continue;
    await operators.until((state) => state.generation > generation);
    const first = since();
    await operators.until(flow);
    return { first, all: since() };
  }
}

/** Until it is told to stop. @returns {Promise<number>} records put */
async function feed(kinesis, signal) {
  let fed = 0;
  const lines = [...flightLines(linesAround)];
  while (!signal.aborted) {
    const from = fed % lines.length;
    await putLines(kinesis, lines.slice(from, from + recordsPerPut));
    fed += recordsPerPut;
    await new Promise((resolve) => setTimeout(resolve, putEveryMs));
  }
  return fed;
}

export function report({ kills, tasks, records, median: middle, max, allTasks, target: limit }) {
  const times = `${fixed(middle)} s (median), ${fixed(max)} s at most (target: under ${limit} s)`;
  const all = `until all tasks have taken one: ${fixed(allTasks.median)} s, ${fixed(allTasks.max)} s at most`;
  const who = tasks === 1 ? "the one task" : `one of ${tasks} tasks`;
  return `  recovery: ${kills} times from a SIGKILL of ${who} to the first record after it: ${times}
  ${all}; all of ${whole(records)} records counted once`;
}
