// What checkpoints of 500,000 keys cost, by the share of keys that changes between two of them; and what a restore takes.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runScript } from "./children.mjs";
import { fixed, median, table, whole } from "./figures.mjs";
import { keysMax, writeLines } from "./inputs.mjs";

const sharePercents = [1, 10, 100];
const keysPerLine = 100;
const recordsByDefault = 5_000_000;
const timeoutMs = 10 * 60_000;
const interval = "1s";
/** Longer than any run: the one at the end remains. */
const never = "1h";
const megabyte = 1e6;

export async function run({ records, folder, say }) {
  const touches = records ?? recordsByDefault;
  const keys = Math.min(keysMax, touches);
  const shares = [];
  for (const percent of sharePercents) {
    const input = join(folder, "ranges.jsonl");
    writeLines(input, ranges(keys, { part: Math.ceil((keys * percent) / 100), touches }));
    const run = (every) => runOnce(every, { input, folder, keys });
    const runs = { with: await run(interval), without: await run(never) };
    shares.push(summary(percent, runs, keys / keysPerLine));
    say(`${percent} %: ${shares.at(-1).checkpoints} checkpoints, ${whole(runs.with.cpuMs)} ms of CPU`);
  }
  say("the state alone");
  const state = await runScript("state.mjs", { args: ["--json", `--keys=${keys}`], timeoutMs });
  return { keys, touches, shares, state };
}

/** All keys once, and then a part of them again and again. */
function* ranges(keys, { part, touches }) {
  const line = (from, end) => JSON.stringify({ from, to: Math.min(from + keysPerLine, end) });
  for (let from = 0; from < keys; from += keysPerLine) yield line(from, keys);
  for (let touched = 0; touched < touches; ) {
    const from = touched % part;
    yield line(from, part);
    touched += Math.min(keysPerLine, part - from);
  }
}

async function runOnce(every, { input, folder, keys }) {
  const own = join(folder, "run");
  await rm(own, { recursive: true, force: true });
  await mkdir(own);
  const args = [`--input=${input}`, `--folder=${own}`, `--interval=${every}`];
  const result = await runScript("files/run-checkpoints.mjs", { args, timeoutMs });
  if (result.restore.keys !== keys) throw new Error(`${result.restore.keys} keys were restored of ${keys}`);
  return result;
}

/** @param {number} linesOfAll so many lines bring all keys: what is cut before, and with the next cut, is no share of them */
function summary(percent, { with: some, without }, linesOfAll) {
  const full = some.checkpoints.filter((_, index) => (some.checkpoints[index - 1]?.lines ?? 0) >= linesOfAll);
  const deltas = full.filter(({ kind }) => kind === "delta");
  const bases = some.checkpoints.filter(({ kind, lines }) => kind === "base" && lines >= linesOfAll);
  const of = (list, figure) => (list.length === 0 ? null : median(list.map((one) => one[figure])));
  const { restore } = some;
  const perHundredMb = (ms) => (ms * 100 * megabyte) / restore.bytes / 1_000;
  return {
    percent,
    checkpoints: some.checkpoints.length,
    deltas: { count: deltas.length, keys: of(deltas, "keys"), bytes: of(deltas, "bytes"), ackMs: of(deltas, "ackMs") },
    bases: { count: bases.length, keys: of(bases, "keys"), bytes: of(bases, "bytes"), ackMs: of(bases, "ackMs") },
    longestPauseMs: some.longestPauseMs,
    pausesShare: some.pausesMs / some.runMs,
    longestPauseMsWithout: without.longestPauseMs,
    pausesShareWithout: without.pausesMs / without.runMs,
    cpuMs: some.cpuMs,
    cpuMsWithout: without.cpuMs,
    restore: {
      files: restore.files,
      bytes: restore.bytes,
      secondsPer100Mb: perHundredMb(median(restore.runs.map(({ ms }) => ms))),
      cpuSecondsPer100Mb: perHundredMb(median(restore.runs.map(({ cpuMs }) => cpuMs))),
    },
  };
}

export function report({ keys, shares, state }) {
  const megabytes = (bytes) => (bytes === null ? "" : fixed(bytes / megabyte, 1));
  const percent = (share) => `${fixed(share * 100, 1)} %`;
  const rows = [
    [`checkpoints: ${whole(keys)} keys, each second`, ...shares.map((one) => `${one.percent} % change`)],
    ["bases and deltas with all keys there", ...shares.map(({ bases, deltas }) => `${bases.count}, ${deltas.count}`)],
    ["MB of a base", ...shares.map(({ bases }) => megabytes(bases.bytes))],
    ["MB of a delta", ...shares.map(({ deltas }) => megabytes(deltas.bytes))],
    ["keys in a delta", ...shares.map(({ deltas }) => (deltas.keys === null ? "" : whole(deltas.keys)))],
    ["ms from cut to ack, base", ...shares.map(({ bases }) => (bases.ackMs === null ? "" : whole(bases.ackMs)))],
    ["ms from cut to ack, delta", ...shares.map(({ deltas }) => (deltas.ackMs === null ? "" : whole(deltas.ackMs)))],
    ["no record for so long at most, ms", ...shares.map((one) => whole(one.longestPauseMs))],
    ["  without checkpoints", ...shares.map((one) => whole(one.longestPauseMsWithout))],
    ["no record for 5 ms or more, of the run", ...shares.map((one) => percent(one.pausesShare))],
    ["  without checkpoints", ...shares.map((one) => percent(one.pausesShareWithout))],
    ["CPU ms", ...shares.map((one) => whole(one.cpuMs))],
    ["  without checkpoints", ...shares.map((one) => whole(one.cpuMsWithout))],
    ["restore, files", ...shares.map(({ restore }) => whole(restore.files))],
    ["restore, s for 100 MB", ...shares.map(({ restore }) => fixed(restore.secondsPer100Mb))],
    ["restore, CPU s for 100 MB", ...shares.map(({ restore }) => fixed(restore.cpuSecondsPer100Mb))],
  ];
  return `${table(rows)}\n\n${stateReport(state)}`;
}

/** Without a session: state.mjs. */
function stateReport({ keys, snapshots, restore }) {
  const rows = [
    [`state alone: ${whole(keys)} counters`, "keys", "MB", "cut, ms", "longest pause, ms", "pauses, ms"],
    ...Object.entries(snapshots).map(([name, one]) => [
      name,
      whole(one.keys),
      fixed(one.bytes / megabyte, 1),
      fixed(one.cutMs, 3),
      fixed(one.longestPauseMs, 2),
      fixed(one.pausesMs, 1),
    ]),
  ];
  return `${table(rows)}\n  restore: ${fixed(restore.msPer100Megabytes / 1_000)} s of CPU for 100 MB`;
}
