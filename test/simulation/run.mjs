// npm run sim -- --seeds N [--from S] [--jobs J], or SEED=N npm run sim: see the simulation's main.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { main } from "../../dist/testing/simulation/main.js";

const args = process.argv.slice(2);
const { values } = parseArgs({
  args,
  options: { seeds: { type: "string" }, from: { type: "string" }, jobs: { type: "string" }, all: { type: "boolean" } },
});
const jobs = Number(values.jobs ?? 1);
process.exit(jobs > 1 ? await inProcesses() : await main(without("jobs"), process.env));

/** Each process takes a part of the seeds, which lie one behind the other. */
async function inProcesses() {
  const seeds = Number(values.seeds ?? 1000);
  const from = Number(values.from ?? 1);
  const size = Math.ceil(seeds / jobs);
  const parts = Array.from({ length: jobs }, (_, job) => {
    const begin = from + job * size;
    const count = Math.max(0, Math.min(size, from + seeds - begin));
    return runPart(begin, count);
  });
  return Math.max(...(await Promise.all(parts)));
}

function runPart(from, count) {
  const own = ["--seeds", String(count), "--from", String(from), ...(values.all === true ? ["--all"] : [])];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...own], { stdio: "inherit" });
  return new Promise((resolve) => {
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

function without(name) {
  const at = args.indexOf(`--${name}`);
  return at === -1 ? args : args.toSpliced(at, 2);
}
