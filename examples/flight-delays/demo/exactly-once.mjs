// The run that must lose and repeat nothing: the pipeline in processes that are killed, on a stream whose shards change.
import { setTimeout as sleep } from "node:timers/promises";
import { atChance, crashPoints, killNow } from "./crashes.mjs";
import { onEvent, watchOperators } from "./operators.mjs";
import { feed, mergeTwo, splitOne } from "./stream.mjs";
import { startDev } from "./tidemark.mjs";
import { watched } from "./watched.mjs";

/** Short, so that sessions also end in order and pass on their state. */
const session = "19s";
/** Of the pipeline: a crash comes at any moment between two checkpoints. */
const checkpointIntervalMs = 1_000;
/** Crashes are about so far apart: the input lasts accordingly. */
const crashGapMs = 3_500;
/** The input between two crashes is put in so many parts: quickly, or slowly where a crash is due and has not come. */
const fastPuts = 40;
const slowPuts = 200;
const slowPutsMs = 100;
const splitAt = 0.3;
const mergeAt = 0.6;
/** A process that had passed on its state when it was killed leaves nothing to recover. */
const handedOnMs = 8_000;
/** Idle for so long with another number of records than was fed: then something was lost or repeated, and the comparison tells it. */
const settledMs = 8_000;

/**
 * @typedef {object} Run
 * @property {number} crashes
 * @property {number[]} recoverySeconds each from the SIGKILL to the first record that a successor took
 * @property {number} checkpoints
 * @property {number} handovers
 * @property {number} splits
 * @property {number} merges
 */

/**
 * @param {{ processes: object, env: Record<string, string>, folder: string, kinesis: object, flights: import("./flights.mjs").Flight[],
 *   crashes: number, screen: object, stop: AbortController }} demo
 * @returns {Promise<Run>}
 */
export async function runExactlyOnce(demo) {
  const { flights, screen, stop } = demo;
  const operators = watchOperators(stop.signal);
  const progress = watched({ fed: 0, recoverySeconds: [], splits: 0, merges: 0 }, stop.signal);
  const dev = await startDev(demo.processes, {
    env: demo.env,
    folder: demo.folder,
    session,
    stop,
    onEvent: (event) => operators.update((state) => onEvent(state, event)),
  });
  const ticking = setInterval(() => screen.status(statusLine(operators.state, progress.state, flights.length)), 250);
  try {
    await Promise.all([feedInStep(demo, progress), crashInStep(demo, operators, progress), reshard(demo, progress)]);
    await drained(operators, flights.length);
    screen.say("all is processed: stopping at a checkpoint");
    await stopped(dev, operators);
  } finally {
    clearInterval(ticking);
  }
  const { checkpoints, handovers } = operators.state;
  const { recoverySeconds, splits, merges } = progress.state;
  return { crashes: recoverySeconds.length, recoverySeconds, checkpoints: checkpoints.size, handovers, splits, merges };
}

/** While a crash is due the feeder slows down, so that there is input before it and after it, on slow machines too. */
function feedInStep({ kinesis, flights, crashes, stop }, progress) {
  const points = crashPoints(flights.length, crashes);
  const gap = flights.length / (crashes + 1);
  return feed(kinesis, {
    flights,
    fast: { records: Math.ceil(gap / fastPuts), everyMs: crashGapMs / fastPuts },
    slow: { records: Math.ceil(gap / slowPuts), everyMs: slowPutsMs },
    isHeldUp: (fed) => {
      const { length: done } = progress.state.recoverySeconds;
      // Of the last one, the input that is left must come after it.
      return done < crashes && fed >= (points[done + 1] ?? points[done] ?? flights.length);
    },
    onFed: (fed) =>
      progress.update((state) => {
        state.fed = fed;
      }),
    signal: stop.signal,
  });
}

async function crashInStep({ flights, crashes, screen, stop }, operators, progress) {
  for (const [index, point] of crashPoints(flights.length, crashes).entries()) {
    await progress.until(({ fed }) => fed >= point);
    await checkpointed(operators);
    await atChance(checkpointIntervalMs, stop.signal);
    const { pid, task, records, seconds } = await crash(operators, stop.signal);
    const who = `task ${task} (process ${pid})`;
    screen.say(
      `crash ${index + 1} of ${crashes}: SIGKILL to ${who}, ${count(records)} records in; back in ${seconds.toFixed(2)} s`,
    );
    progress.update((state) => state.recoverySeconds.push(seconds));
  }
}

/** Each crash comes behind another checkpoint: without progress in between, restarts would be delayed more and more. */
function checkpointed(operators) {
  const { checkpoint: before } = operators.state;
  return operators.until(({ checkpoint }) => checkpoint !== before);
}

/**
 * Kills the process of any task that takes records, and waits until records are taken again. A process that had passed on its state in
 * that very moment leaves nothing to recover, its generation goes on, and it does not count: then the next one is killed.
 */
async function crash(operators, signal) {
  for (;;) {
    await operators.until(({ flowing }) => flowing.size > 0);
    const { generation: before, records } = operators.state;
    const [pid, task] = oneOf([...operators.state.flowing]);
    const at = performance.now();
    if (!killNow(pid)) continue;
    const isBack = operators.until(({ generation }) => generation > before).then(() => true);
    if (await Promise.race([isBack, sleep(handedOnMs, false, { signal })]))
      return { pid, task, records, seconds: (performance.now() - at) / 1_000 };
  }
}

const oneOf = (list) => list[Math.floor(Math.random() * list.length)];

async function reshard({ kinesis, flights, screen }, progress) {
  await progress.until(({ fed }) => fed >= flights.length * splitAt);
  screen.say(`split ${await splitOne(kinesis)} in two`);
  progress.update((state) => {
    state.splits += 1;
  });
  await progress.until(({ fed }) => fed >= flights.length * mergeAt);
  screen.say(`merged ${(await mergeTwo(kinesis)).join(" with ")}`);
  progress.update((state) => {
    state.merges += 1;
  });
}

async function drained(operators, records) {
  for (;;) {
    await operators.until(({ idle }) => idle);
    if (operators.state.records === records) return;
    const before = operators.state.records;
    await Promise.race([
      sleep(settledMs, undefined, { ref: false }),
      operators.until((state) => !state.idle || state.records !== before),
    ]);
    if (operators.state.idle && operators.state.records === before) return;
  }
}

async function stopped(dev, operators) {
  const code = await dev.end();
  if (code !== 0 || operators.state.end !== "stopped")
    throw new Error(
      `tidemark dev did not stop in order (${operators.state.end}, exit code ${code}):\n${dev.complaints()}`,
    );
}

const statusLine = (operators, { fed, recoverySeconds }, records) =>
  [
    `fed ${count(fed)}`,
    `processed ${count(operators.records)} of ${count(records)}`,
    operators.checkpoint === null ? "no checkpoint yet" : `checkpoint ${operators.checkpoint}`,
    `crashes ${operators.killed.size}${recoverySeconds.length > 0 ? ` (${recoverySeconds.at(-1).toFixed(2)} s)` : ""}`,
  ].join(" · ");

const count = (number) => number.toLocaleString("en-US");
