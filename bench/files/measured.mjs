// What a run tells of itself, in one line of JSON: CPU time of all its threads, from the first record to the last row.
import { parseArgs } from "node:util";

/** Of both kinds of runs. */
export function readArguments() {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: { job: text, variant: text, input: text, output: text, folder: text, interval: text },
  });
  return values;
}

/** @param {() => unknown} run what is measured: modules are loaded, nothing else has happened */
export async function measured(run) {
  const [cpuBefore, wallBefore] = [process.cpuUsage(), performance.now()];
  const result = await run();
  const { user, system } = process.cpuUsage(cpuBefore);
  const wallMs = performance.now() - wallBefore;
  const whole = process.cpuUsage();
  const told = {
    cpuMs: (user + system) / 1_000,
    /** With node's own start and the loading of modules. */
    processCpuMs: (whole.user + whole.system) / 1_000,
    wallMs,
    rssMb: process.resourceUsage().maxRSS / 1_024,
    ...result,
  };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
