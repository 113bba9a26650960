// The run that must lose and repeat nothing: the pipeline in processes that are killed, on a stream whose shards change.
import { setTimeout as sleep } from "node:timers/promises";
import { atChance, crashPoints, killNow } from "./crashes.mjs";
import { onEvent, watchOperators } from "./operators.mjs";
import { end } from "./processes.mjs";
import { feed, mergeTwo, splitOne } from "./stream.mjs";
import { startDev } from "./tidemark.mjs";
import { watched } from "./watched.mjs";

/** Short, so that sessions also end in order and pass on their state. */
const session = "20s";
/** Crashes are about so far apart: the input lasts accordingly. */
const crashGapMs = 3_500;
const splitAt = 0.3;
const mergeAt = 0.6;
/** Idle for so long with another number of records than was fed: then something was lost or repeated, and the comparison tells it. */
const settledMs = 8_000;
const stopPatienceMs = 30_000;

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
 * @param {{ processes: object, env: Record<string, string>, kinesis: object, flights: import("./flights.mjs").Flight[],
 *   crashes: number, screen: object, stop: AbortController }} demo
 * @returns {Promise<Run>}
 */
export async function runExactlyOnce(demo) {
  const { flights, screen, stop } = demo;
  const operators = watchOperators(stop.signal);
  const progress = watched({ fed: 0, recoverySeconds: [], splits: 0, merges: 0 }, stop.signal);
  const dev = startDev(demo.processes, {
    env: demo.env,
    session,
    onEvent: (event) => operators.update((state) => onEvent(state, event)),
  });
  failWith(stop, dev, operators);
  const ticking = setInterval(() => screen.status(statusLine(operators.state, progress.state, flights.length)), 250);
  try {
    await Promise.all([feedInStep(demo, progress), crashInStep(demo, operators, progress), reshard(demo, progress)]);
    await drained(operators, flights.length);
    screen.say("all is processed: stopping at a checkpoint");
    await stopped(dev, operators);
  } finally {
    clearInterval(ticking);
  }
  const { checkpoints, handovers, killed } = operators.state;
  const { recoverySeconds, splits, merges } = progress.state;
  return { crashes: killed.size, recoverySeconds, checkpoints: checkpoints.size, handovers, splits, merges };
}

/** The feeder does not run ahead: for each crash there is input that has still to come. */
function feedInStep({ kinesis, flights, crashes, stop }, progress) {
  const points = [...crashPoints(flights.length, crashes), flights.length];
  return feed(kinesis, {
    flights,
    perSecond: flights.length / (((crashes + 1) * crashGapMs) / 1_000),
    allowed: (fed) =>
      progress.until(({ recoverySeconds }) => fed < (points[recoverySeconds.length + 1] ?? flights.length)),
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
    const { pid, at } = await crash(operators, stop.signal);
    const { records } = operators.state;
    screen.say(`crash ${index + 1} of ${crashes}: SIGKILL to operator process ${pid}, ${count(records)} records in`);
    await operators.until(({ recoveries }) => recoveries > index);
    const seconds = (performance.now() - at) / 1_000;
    screen.say(`  recovered in ${seconds.toFixed(2)} s from ${checkpointName(operators.state.checkpoint)}`);
    progress.update((state) => state.recoverySeconds.push(seconds));
  }
}

/** Kills the process that takes records. One that hands over in this very moment has nothing to lose any more: then the next is taken. */
async function crash(operators, signal) {
  await atChance(signal);
  for (;;) {
    await operators.until(({ flowing }) => flowing !== null);
    const pid = operators.state.flowing;
    const at = performance.now();
    killNow(pid);
    await operators.until(({ flowing }) => flowing !== pid);
    if (operators.state.killed.has(pid)) return { pid, at };
  }
}

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
    await Promise.race([sleep(settledMs), operators.until((state) => !state.idle || state.records !== before)]);
    if (operators.state.idle && operators.state.records === before) return;
  }
}

async function stopped(dev, operators) {
  operators.update((state) => {
    state.stopping = true;
  });
  const code = await end(dev, "SIGINT", stopPatienceMs);
  if (code !== 0 || operators.state.end !== "stopped")
    throw new Error(`tidemark dev did not stop in order (${operators.state.end}, exit code ${code}):\n${dev.complaints()}`);
}

/** An end of `dev` that nobody asked for ends the demo. */
function failWith(stop, dev, operators) {
  dev.ended.then((code) => {
    if (operators.state.stopping !== true)
      stop.abort(new Error(`tidemark dev ended by itself (exit code ${code}):\n${dev.complaints()}`));
  });
}

const statusLine = (operators, { fed, recoverySeconds }, records) =>
  [
    `fed ${count(fed)} of ${count(records)}`,
    `processed ${count(operators.records)}`,
    checkpointName(operators.checkpoint),
    `crashes ${operators.killed.size}`,
    ...(recoverySeconds.length > 0 ? [`last recovery ${recoverySeconds.at(-1).toFixed(2)} s`] : []),
  ].join(" · ");

const count = (number) => number.toLocaleString("en-US");
const checkpointName = (checkpoint) => (checkpoint === null ? "no checkpoint yet" : `checkpoint ${checkpoint}`);
