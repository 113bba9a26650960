import { millis } from "../../model/ids.js";
import { newCloud } from "./cloud.js";
import { checkEnd } from "./final-checks.js";
import { planInput } from "./input.js";
import { Invariants } from "./invariants.js";
import { bringToRest, type Person, planWishes } from "./person.js";
import { Platform } from "./platform.js";
import type { Stage } from "./process.js";
import { drawProfile, noFaults, type Outage, type Profile } from "./profile.js";
import { randomOf } from "./random.js";
import { Scheduler } from "./scheduler.js";
import { startOfTime, tableKeys, tables, tallyPipeline } from "./tally-pipeline.js";

/** What became of a seed. */
export interface Outcome {
  readonly seed: number;
  readonly profile: Profile;
  /** null: every invariant held, and the tables are what they must be. */
  readonly violation: string | null;
  /** All that happened, in order, with virtual times. */
  readonly trace: readonly string[];
  readonly steps: number;
  readonly virtualMillis: number;
  readonly generations: number;
  readonly checkpoints: number;
  readonly records: number;
}

/** In calm a pipeline comes to rest within so much virtual time, whatever went before. */
const calmMillisMax = 15 * 60_000;
/** Zombies and late writes are waited for. */
const afterwardsMillis = 6 * 60_000;
const scheduleMillis = 10_000;
const linesMax = 100_000;

/**
 * One run of a pipeline in a world where everything goes wrong, decided by the seed alone: the same seed gives the same trace.
 *
 * @example
 * const { violation, trace } = await simulate(7);
 */
export async function simulate(
  seed: number,
  change: (profile: Profile) => Profile = (drawn) => drawn,
): Promise<Outcome> {
  const random = randomOf(`seed ${seed}`);
  const profile = change(drawProfile(random.fork("profile")));
  const run = newRun(random, profile);
  const { scheduler } = run.person.setup.stage;
  await scheduler.run(run.failed, startOfTime + profile.chaosMillis);
  run.calm();
  let atRest = false;
  bringToRest(run.person, () => {
    atRest = true;
  });
  await scheduler.run(() => atRest || run.failed(), startOfTime + profile.chaosMillis + calmMillisMax);
  if (!atRest && !run.failed())
    run.person.setup.stage.violated(`liveness: not at rest after ${calmMillisMax} ms of calm`);
  run.close();
  await scheduler.run(run.failed, scheduler.now + afterwardsMillis);
  if (!run.failed()) await checkEnd(run.person);
  return run.outcome(seed);
}

interface Run {
  readonly person: Person;
  /** From now on nothing goes wrong. */
  calm(): void;
  /** From now on nobody calls the supervisor by schedule. */
  close(): void;
  readonly failed: () => boolean;
  outcome(seed: number): Outcome;
}

function newRun(random: ReturnType<typeof randomOf>, profile: Profile): Run {
  const scheduler = new Scheduler(random.fork("scheduler"), startOfTime);
  const trace: string[] = [];
  let violation: string | null = null;
  let faults = profile.faults;
  let open = true;
  const tell = (line: string) => {
    if (trace.length < linesMax) trace.push(`${scheduler.now - startOfTime} ${line}`);
  };
  const stage: Stage = {
    scheduler,
    random: random.fork("faults"),
    faults: () => faults,
    faultsOf: (service) => {
      if (faults === noFaults) return noFaults;
      const slow = service === profile.slowService ? 0.5 : faults.slow;
      return { ...faults, slow, lost: isOut(profile.outage, service, scheduler.now) ? 1 : faults.lost };
    },
    skewMillis: profile.skewMillis,
    tell,
    violated: (why) => {
      tell(`VIOLATED ${why}`);
      violation ??= why;
    },
  };
  const person = newPerson(stage, profile, random);
  const schedule = () => {
    if (!open) return;
    person.platform.supervisor({ pipeline: "tally", report: null });
    scheduler.after(scheduleMillis, schedule);
  };
  scheduler.after(0, schedule);
  planWishes(person, random.fork("wishes"));
  return {
    person,
    calm: () => {
      tell("calm");
      faults = noFaults;
    },
    close: () => {
      open = false;
    },
    failed: () => violation !== null,
    outcome: (seed) => ({
      seed,
      profile,
      violation,
      trace,
      steps: scheduler.steps,
      virtualMillis: scheduler.now - startOfTime,
      generations: person.invariants.head?.generation ?? 0,
      checkpoints: person.invariants.lineage.completed.length,
      records: person.input.puts.length,
    }),
  };
}

function newPerson(stage: Stage, profile: Profile, random: ReturnType<typeof randomOf>): Person {
  const end = profile.endMillis === null ? null : millis(startOfTime + profile.endMillis);
  const cloud = newCloud(stage);
  for (const name of Object.keys(tables) as (keyof typeof tables)[])
    cloud.tables.createTable(tables[name], [{ name: tableKeys[name], type: "string" }]);
  const input = planInput(stage, cloud.log.control, profile, random.fork("input"));
  const { start } = profile;
  const from = typeof start === "string" ? start : { at: new Date(startOfTime + start.afterMillis) };
  const plan = tallyPipeline({ ...profile, start: from, end });
  const invariants = new Invariants({ stage, cloud, input, plan, padding: profile.padding });
  const setup = { stage, cloud, watch: invariants, profile, plan };
  return { setup, platform: new Platform(setup), invariants, input, end };
}

function isOut(outage: Outage | null, service: string, now: number): boolean {
  if (outage === null || outage.service !== service) return false;
  const since = now - startOfTime - outage.fromMillis;
  return since >= 0 && since < outage.lengthMillis;
}
