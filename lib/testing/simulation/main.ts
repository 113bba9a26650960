/** `npm run sim -- --seeds N [--from S]`, or one seed with its trace: `SEED=7 npm run sim`. */
import { parseArgs } from "node:util";
import { formatMillis } from "../../model/duration.js";
import { systemClock } from "../../ports/clock.js";
import { type Outcome, simulate } from "./simulate.js";

/** Of the end of a trace; of what is before, only what {@link turn} tells. */
const linesShown = 400;

const progressMillis = 60_000;

/** Runs seeds, and ends with exit code 1 where one of them shows a violation. */
export async function main(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      all: { type: "boolean" },
    },
  });
  if (environment.SEED !== undefined) return showSeed(Number(environment.SEED));
  const from = Number(values.from);
  const count = Number(values.seeds);
  const began = systemClock.now();
  const failed: Outcome[] = [];
  let virtual = 0;
  let done = 0;
  let told = began;
  // What has run until then is told, and counts.
  let isInterrupted = false;
  process.once("SIGINT", () => {
    isInterrupted = true;
  });
  for (let seed = from; seed < from + count && !isInterrupted; seed++) {
    if (systemClock.now() - told >= progressMillis) {
      told = systemClock.now();
      console.error(`${done} of ${count} seeds, ${failed.length} failed, ${formatMillis(told - began)}`);
    }
    const outcome = await simulate(seed, { trace: "none" });
    done++;
    virtual += outcome.virtualMillis;
    if (outcome.violation !== null) {
      failed.push(outcome);
      tellFailure(outcome);
      if (values.all !== true) break;
    }
  }
  const seconds = Math.max(1, systemClock.now() - began) / 1_000;
  console.log(
    `${done} seeds from ${from}, ${failed.length} failed, ${(done / seconds).toFixed(1)} seeds a second, ${formatMillis(virtual)} of virtual time`,
  );
  return failed.length === 0 ? 0 : 1;
}

function tellFailure(outcome: Outcome): void {
  console.log(`SEED=${outcome.seed} npm run sim   # ${outcome.violation}`);
}

async function showSeed(seed: number): Promise<number> {
  const outcome = await simulate(seed);
  const { trace, profile, violation, ...figures } = outcome;
  const last = trace.slice(-linesShown);
  const before = trace.slice(0, -linesShown).filter((line) => turn.test(line));
  console.log(`made of ${JSON.stringify(profile)}\n\nwhat happened, with the milliseconds since time began:`);
  for (const line of before) console.log(line);
  if (before.length > 0) console.log(`\nthe last ${last.length} lines, with every call:`);
  for (const line of last) console.log(line);
  console.log(`\n${JSON.stringify(figures)}`);
  if (violation === null) console.log(`seed ${seed}: nothing is wrong`);
  else tellFailure(outcome);
  return violation === null ? 0 : 1;
}

/** What a history is told by: what people and the input do, how the head moves, how processes end. Not their calls. */
const turn =
  /^\d+ (person|input|calm|VIOLATED|.* (dies: (?!before|waiting)|stands still|ends: (?!running))|.*registers\.swap head .* -> swapped)/;
