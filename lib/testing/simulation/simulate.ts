import { millis } from "../../model/ids.js";
import type { Plan } from "../../pipeline/plan.js";
import type { Line } from "../faults/process.js";
import { type Random, randomOf } from "../seeded/random.js";
import { Scheduler, startOfTime } from "../seeded/scheduler.js";
import { type LaneDelay, newCloud } from "./cloud.js";
import { checkEnd } from "./final-checks.js";
import { planInput } from "./input.js";
import { Invariants } from "./invariants.js";
import type { Person } from "./person.js";
import { planReleases, planReplays, planSavepoints, planWishes } from "./planned-wishes.js";
import { Platform } from "./platform.js";
import { drawProfile, isWrong, noFaults, type Outage, type Profile } from "./profile.js";
import { bringToRest } from "./rest.js";
import { chainTasksOf } from "./shape.js";
import type { Stage } from "./stage.js";
import { pipelineName, type TallyOptions, tallyPipeline } from "./tally-pipeline.js";
import { targetTables } from "./targets.js";

/** What became of a seed. */
export interface Outcome {
  readonly seed: number;
  readonly profile: Profile;
  /** null: every invariant held, and the tables are what they must be. */
  readonly violation: string | null;
  /** All that happened, in order, with virtual times; empty where none was to be kept. */
  readonly trace: readonly string[];
  readonly steps: number;
  readonly virtualMillis: number;
  readonly generations: number;
  readonly checkpoints: number;
  readonly records: number;
}

/** In calm a pipeline comes to rest within so much virtual time, whatever went before. */
const calmMillisMax = 15 * 60_000;
/** So much are clocks of processes wrong in calm that begin then. */
const calmSkewMillis = 3_000;
/** Zombies and late writes are waited for. */
const afterwardsMillis = 6 * 60_000;
const scheduleMillis = 10_000;
const collectorCalls = 20;
const collectorPauseMillis = 3 * 60_000;
const linesMax = 100_000;

/**
 * One run of a pipeline in a world where everything goes wrong, decided by the seed alone: the same seed gives the same trace.
 *
 * @example
 * const { violation, trace } = await simulate(7);
 */
export async function simulate(
  seed: number,
  options: { readonly change?: (profile: Profile) => Profile; readonly trace?: "kept" | "none" } = {},
): Promise<Outcome> {
  const random = randomOf(`seed ${seed}`);
  const drawn = drawProfile(random.fork("profile"));
  const profile = options.change?.(drawn) ?? drawn;
  const run = newRun(random, profile, options.trace ?? "kept");
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
  if (profile.collects) await collectAll(run);
  if (!run.failed()) await checkEnd(run.person);
  return run.outcome(seed);
}

/** The collector waits until functions that read an older head are dead, and then has some calls of the supervisor. */
async function collectAll(run: Run): Promise<void> {
  const { platform, setup } = run.person;
  const { scheduler } = setup.stage;
  for (let call = 0; call < collectorCalls && !run.failed(); call++) {
    platform.supervisor({ pipeline: pipelineName, report: null });
    let isOver = false;
    scheduler.after(collectorPauseMillis, () => {
      isOver = true;
    });
    await scheduler.run(() => isOver || run.failed(), Number.POSITIVE_INFINITY);
  }
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

function newRun(random: Random, profile: Profile, kept: "kept" | "none"): Run {
  const scheduler = new Scheduler(random.fork("scheduler"));
  const trace: string[] = [];
  let violation: string | null = null;
  let faults = profile.faults;
  let open = true;
  const tell = (line: Line) => {
    if (kept === "none" || trace.length >= linesMax) return;
    trace.push(`${scheduler.now - startOfTime} ${typeof line === "string" ? line : line()}`);
  };
  const stage: Stage = {
    scheduler,
    timeline: scheduler,
    random: random.fork("faults"),
    faults: () => faults,
    crashAt: () => null,
    ratesOf: (service) => {
      if (faults === noFaults) return noFaults;
      const slow = service === profile.slowService ? 0.5 : faults.slow;
      return { ...faults, slow, lost: isOut(profile.outage, service, scheduler.now) ? 1 : faults.lost };
    },
    // A clock that is wrong by more than a session's length, such as a supervisor's, may restart what runs again and again: that is no calm.
    get skewMillis() {
      return faults === noFaults ? Math.min(profile.skewMillis, calmSkewMillis) : profile.skewMillis;
    },
    tell,
    violated: (why) => {
      const line = `VIOLATED ${why}`;
      if (trace.length < linesMax) tell(line);
      else trace.push(line);
      violation ??= why;
    },
  };
  const person = newPerson(stage, profile, random);
  const schedule = () => {
    if (!open) return;
    person.platform.supervisor({ pipeline: pipelineName, report: null });
    scheduler.after(scheduleMillis, schedule);
  };
  scheduler.after(0, schedule);
  planWishes(person, random.fork("wishes"));
  planSavepoints(person, random.fork("savepoints"));
  planReplays(person, random.fork("replays"));
  planReleases(person, random.fork("releases"));
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

function newPerson(stage: Stage, profile: Profile, random: Random): Person {
  const end = profile.endMillis === null ? null : millis(startOfTime + profile.endMillis);
  const cloud = newCloud(stage);
  for (const { name, key } of targetTables) cloud.tables.createTable(name, [{ name: key, type: "string" }]);
  const input = planInput(stage, cloud.log, profile, random.fork("input"));
  const { start, variant, padding, shape } = profile;
  const from = typeof start === "string" ? start : { at: new Date(startOfTime + start.afterMillis) };
  const call = callOf(stage, random.fork("calls"));
  const briefly = random.fork("brief calls");
  const briefCall = () =>
    new Promise<void>((resolve) => {
      stage.scheduler.after(briefly.between(1, 20), resolve);
    });
  const plans = new Map<string, Plan>();
  // Each deployment has the next number of tasks; the last stays.
  const planOf = (version: string) => {
    const at = Math.min(Number(version), profile.parallelism.length) - 1;
    const parallelism = profile.parallelism[at] ?? 1;
    const chainTasks = chainTasksOf(profile.shape, at);
    const made = {
      ...profile,
      code: version,
      throws: isWrong(profile, version),
      parallelism,
      chainTasks,
      start: from,
      end,
      call,
      briefCall,
    };
    const plan = plans.get(version) ?? tallyPipeline(made);
    plans.set(version, plan);
    return plan;
  };
  const apart = Math.max(...profile.parallelism) > 1;
  const counts = profile.alignment === "at-least-once" ? "at least once" : "once";
  const options = { padding, variant, apart, shape, counts } as const;
  const invariants = new Invariants({ stage, cloud, input, plan: planOf("1"), options }, profile);
  const isOver = (generation: number) => generation < (invariants.head?.generation ?? 0);
  const laneDelay = laneDelayOf(stage, profile, random);
  const setup = { stage, cloud, watch: invariants, profile, planOf, laneDelay, apart, isOver };
  return { setup, platform: new Platform(setup), invariants, input, end, underWay: 0, forks: [] };
}

/** Half of the lanes of a task are slow, until calm comes: one of them may bring its frames seconds after another. */
function laneDelayOf({ scheduler }: Stage, { pressure, chaosMillis }: Profile, random: Random): LaneDelay {
  const { laneMillis } = pressure;
  return (process, lane) => {
    const [, task] = /^task (\S+)/.exec(process) ?? [];
    if (laneMillis === 0 || task === undefined || scheduler.now - startOfTime > chaosMillis) return 0;
    const chance = random.fork(`lane ${lane} of ${task}`);
    return chance.chance(0.5) ? chance.between(200, laneMillis) : 0;
  };
}

/** A service of the user's: it answers in its own time, and sometimes too late. */
function callOf(stage: Stage, random: Random): TallyOptions["call"] {
  return (record) =>
    new Promise((resolve) => {
      const isSlow = random.chance(stage.faults().slow / 4);
      stage.scheduler.after(isSlow ? random.between(500, 4_000) : random.between(1, 200), () => resolve(record));
    });
}

function isOut(outage: Outage | null, service: string, now: number): boolean {
  if (outage === null || outage.service !== service) return false;
  const since = now - startOfTime - outage.fromMillis;
  return since >= 0 && since < outage.lengthMillis;
}
