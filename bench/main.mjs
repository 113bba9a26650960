#!/usr/bin/env node
// npm run bench: what docs/benchmarks.md says, measured. Everything it starts has ended when it returns.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** In the order of the table. */
const benchmarks = {
  f1: () => import("./f1.mjs"),
  k1: () => import("./k1.mjs"),
  decode: () => import("./decode-lines.mjs"),
  checkpoints: () => import("./checkpoints.mjs"),
  kinesis: () => import("./kinesis.mjs"),
  recovery: () => import("./recovery.mjs"),
  cost: () => import("./cost.mjs"),
  sinks: () => import("./sinks.mjs"),
  exchange: () => import("./exchange.mjs"),
  idle: () => import("./idle.mjs"),
  profile: () => import("./profile.mjs"),
};
/** It is for whoever works on the code: it runs where it is named. */
const notByItself = new Set(["profile"]);
const all = Object.keys(benchmarks).filter((name) => !notByItself.has(name));

const help = `npm run bench -- [benchmark ...] [options]

  f1            counts per airport, from file to file, beside a plain loop
  k1            counts of 500,000 keys, from file to file, beside a plain loop
  decode        two fields of five, beside JSON.parse
  checkpoints   bytes, pauses and restore times, by the share of keys that changed
  kinesis       records a second through the embedded Kinesis, beside a bare read loop
  recovery      from a SIGKILL to the first record after it
  cost          requests for a million records at list price, beside a trigger with an item per record
  sinks         requests for a million records of each sink, and how long until a reader sees one
  idle          what a day costs on which nothing comes, in virtual time
  exchange      records from task to task: how many a second, how long on their way, what the requests cost
  profile       where the CPU time of f1 and k1 goes (only where it is named)

Without a name: all but the last.

  --records N   records of each, instead of their own numbers (recovery and decode have none)
  --pairs N     runs of each variant (default 5)
  --kills N     of recovery (default 9)
  --tasks N     of recovery (default 1) and exchange (default 1, 4, 8 and 16): 1, or an even number from 4 on, in two stages
  --input F     f1 or k1: lines of a file of your own
  --output F    f1 or k1: where the rows of tidemark are left
  --json        one JSON object on standard output; progress goes to standard error
  --help

Exits 0 where the results are right, 1 where one is wrong or a run fails, 2 where it does not understand you.
`;

class Usage extends Error {}

function readOptions() {
  const text = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values, positionals } = parse({
    records: text,
    pairs: text,
    kills: text,
    tasks: text,
    input: text,
    output: text,
    json: flag,
    help: flag,
  });
  const unknown = positionals.find((name) => !Object.hasOwn(benchmarks, name));
  if (unknown !== undefined)
    throw new Usage(`there is no benchmark "${unknown}"; there are ${Object.keys(benchmarks).join(", ")}`);
  const names = positionals.length === 0 ? all : [...new Set(positionals)];
  const isOneJob = names.length === 1 && ["f1", "k1"].includes(names[0]);
  for (const option of ["input", "output"])
    if (values[option] !== undefined && !isOneJob) throw new Usage(`--${option} is for f1 alone, or for k1 alone`);
  if (values.input !== undefined && values.records !== undefined)
    throw new Usage("--records has no meaning beside --input: all lines of the file are read");
  const { json, input = null, output = null } = values;
  return {
    names,
    json,
    help: values.help,
    input,
    output,
    records: wholeNumber("records", values.records, { least: 1_000, most: 100_000_000 }),
    pairs: wholeNumber("pairs", values.pairs, { least: 1, most: 99 }) ?? 5,
    kills: wholeNumber("kills", values.kills, { least: 1, most: 99 }) ?? 9,
    tasks: readTasks(values.tasks),
  };
}

function parse(options) {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new Usage(error.message);
  }
}

/** Of all stages: one task has one stage, several are in two of as many tasks each, and one task feeds none of one. */
function readTasks(text) {
  const tasks = wholeNumber("tasks", text, { least: 1, most: 128 });
  if (tasks === null || tasks === 1 || (tasks >= 4 && tasks % 2 === 0)) return tasks;
  throw new Usage(`--tasks must be 1, or an even number from 4 on, not ${tasks}`);
}

function wholeNumber(name, text, { least, most }) {
  if (text === undefined) return null;
  const value = Number(text);
  if (text !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Usage(`--${name} must be a whole number from ${least} to ${most}, not "${text}"`);
}

const machine = () => ({ cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, node: process.version });

/** @returns {Promise<Record<string, unknown>>} results by benchmark */
async function runAll(options) {
  const results = {};
  for (const name of options.names) {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
    const clean = () => rmSync(folder, { recursive: true, force: true });
    // Also where it is interrupted.
    process.once("exit", clean);
    const say = (text) => process.stderr.write(`${name}: ${text}\n`);
    try {
      const { run, report } = await benchmarks[name]();
      results[name] = await run({ ...options, folder, say });
      if (!options.json) process.stdout.write(`\n${report(results[name])}\n`);
    } finally {
      clean();
      process.off("exit", clean);
    }
  }
  return results;
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  const results = await runAll(options);
  if (options.json) process.stdout.write(`${JSON.stringify({ machine: machine(), ...results })}\n`);
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
])
  process.once(signal, () => process.exit(code));

main().catch((error) => {
  process.stderr.write(`${error instanceof Usage ? `${error.message}\nnpm run bench -- --help` : error.stack}\n`);
  process.exitCode = error instanceof Usage ? 2 : 1;
});
