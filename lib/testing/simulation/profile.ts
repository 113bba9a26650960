import type { Alignment } from "../../model/checkpoints.js";
import { type CallRates, heavyCallFaults, lightCallFaults, noCallFaults } from "../faults/rates.js";
import type { Random } from "../seeded/random.js";
import { drawPressure, drawShape, noPressure, type Pressure, plainShape, type Shape } from "./shape.js";
import type { Variant } from "./tally-pipeline.js";

/** How often what goes wrong, per call or per invocation. */
export interface FaultRates extends CallRates {
  /** An invocation comes twice, late, or never. */
  readonly delivery: number;
  /** A session lives on after its deadline: its machine's clock and the platform's disagree. */
  readonly overtime: number;
}

export const services = ["registers", "blobs", "log", "tables", "files", "functions"] as const;

/** A service of which no call gets its answer for a while. */
export interface Outage {
  readonly service: (typeof services)[number];
  readonly fromMillis: number;
  readonly lengthMillis: number;
}

/** What a seed's run is made of. */
export interface Profile {
  readonly faults: FaultRates;
  /** One service of which every other call takes seconds: what waits for it meets what does not. */
  readonly slowService: (typeof services)[number] | "none";
  readonly outage: Outage | null;
  /** Characters that fill rows: of so many that what is held does not fit into an ack. */
  readonly padding: number;
  /** Clocks of processes differ from the true time by up to so much. */
  readonly skewMillis: number;
  /** Where the source begins: at the oldest record, at what comes after the first opening, or so long after time began. */
  readonly start: "trim-horizon" | "latest" | { readonly afterMillis: number };
  /** The input ends so long after time began. */
  readonly endMillis: number | null;
  /** The pipeline is started so late. */
  readonly firstWishMillis: number;
  /** Records are gone when they are older. */
  readonly retentionMillis: number;
  readonly shards: number;
  readonly keys: number;
  readonly records: number;
  readonly reshards: number;
  /** Until then records are put, and things go wrong. */
  readonly chaosMillis: number;
  readonly sessionMillis: readonly [least: number, most: number];
  /** Restarts, stops, deployments and restores by a person. */
  readonly wishes: number;
  /** What of the library the run is about. */
  readonly variant: Variant;
  /** How often several records come as one. */
  readonly aggregates: number;
  /** Records come in so many bursts, with quiet between them; at any time where it is 0. */
  readonly bursts: number;
  readonly suspendAfterMillis: number | null;
  /** Complete checkpoints that are kept. */
  readonly retained: number;
  /** After its end the collector gets the time that it needs, and what is left then is looked at. */
  readonly collects: boolean;
  /** Tasks of each stage, deployment by deployment; the last stays. */
  readonly parallelism: readonly number[];
  readonly alignment: Alignment;
  /** The source says that it is partitioned by the key of the tallies: they may need no exchange. */
  readonly partitioned: boolean;
  /** Failures until the pipeline gives up, and a person must start it again. */
  readonly restartAttempts: number;
  readonly shape: Shape;
  readonly pressure: Pressure;
  /** Savepoints that people make; some are deleted, some restored. */
  readonly savepoints: number;
  /** Times that people go back to a checkpoint and say what becomes of output after it. */
  readonly replays: number;
  /** P4: deployments that take effect by themselves; 0: people start what they deploy. */
  readonly releases: number;
  /** Versions whose code throws at every record. */
  readonly wrongVersions: readonly number[];
}

/** Whether the code of a version throws at every record. */
export const isWrong = ({ wrongVersions }: Profile, version: string): boolean =>
  wrongVersions.includes(Number(version));

/** What a profile has none of when it is about the rest. */
export const plainest = {
  parallelism: [1, 1, 1],
  alignment: "unaligned",
  shape: plainShape,
  pressure: noPressure,
  savepoints: 0,
  replays: 0,
  releases: 0,
  wrongVersions: [],
} as const satisfies Partial<Profile>;

export const noFaults: FaultRates = { ...noCallFaults, delivery: 0, overtime: 0 };
const light: FaultRates = { ...lightCallFaults, delivery: 0.1, overtime: 0.1 };
const heavy: FaultRates = { ...heavyCallFaults, delivery: 0.3, overtime: 0.3 };

const dayMillis = 24 * 3_600_000;

/** The profile of a seed: some runs without any fault, some with a single kind of them, some with many of all. */
export function drawProfile(random: Random): Profile {
  const drawn = drawFirst(random);
  const { parallelism, variant } = drawn;
  // Each from chance of its own, so that all else of a seed stays what it is.
  const wider = random.fork("wider");
  const isApart = Math.max(...parallelism) > 1;
  const mayCountTwice = isApart && variant.tallies === "held" && variant.bad === "fail" && wider.chance(0.2);
  // Such a pipeline starts when it is deployed.
  const mayRelease = drawn.firstWishMillis === 0;
  const replays = wider.chance(0.25) ? wider.between(1, 4) : 0;
  const releases = mayRelease && wider.chance(0.25) ? wider.between(1, 3) : 0;
  const versions = releases === 0 || variant.bad === "quarantine" ? [] : [2, 3, 4];
  return {
    ...drawn,
    alignment: mayCountTwice ? "at-least-once" : drawn.alignment,
    shape: drawShape(random.fork("shape"), parallelism),
    pressure: drawPressure(random.fork("pressure"), parallelism),
    savepoints: wider.chance(0.25) ? wider.between(1, 4) : 0,
    replays,
    releases,
    wrongVersions: versions.filter(() => wider.chance(0.3)),
  };
}

type Later = "shape" | "pressure" | "savepoints" | "replays" | "releases" | "wrongVersions";

function drawFirst(random: Random): Omit<Profile, Later> {
  const sleeps = random.chance(0.25);
  const chaosMillis = 1_000 * (sleeps ? random.between(40, 120) : random.between(15, 60));
  const firstWishMillis = random.chance(0.3) ? random.int(chaosMillis) : 0;
  const retentionMillis = random.chance(0.1) ? random.between(15_000, 60_000) : dayMillis;
  // A start in the future is no start: the service refuses it.
  const afterMillis = random.int(firstWishMillis + 1);
  const starts = ["trim-horizon", "trim-horizon", "latest", { afterMillis }] as const;
  const drawn: Omit<Profile, Later | "parallelism" | "alignment" | "partitioned"> = {
    faults: drawFaults(random),
    slowService: random.chance(0.4) ? random.pick([...services, "tables"] as const) : "none",
    outage: random.chance(0.2) ? drawOutage(random, chaosMillis) : null,
    padding: random.chance(0.3) ? 2_000 : 0,
    skewMillis: random.chance(0.3) ? random.pick([3_000, 30_000]) : 0,
    // The horizon promises what is there at its first read: what is trimmed before that is not missed.
    start: retentionMillis === dayMillis ? random.pick(starts) : { afterMillis },
    endMillis: random.chance(0.5) ? random.between(Math.max(chaosMillis / 4, afterMillis + 1), chaosMillis) : null,
    firstWishMillis,
    retentionMillis,
    shards: random.between(1, 3),
    keys: random.between(1, 5),
    records: random.between(5, 60),
    reshards: random.chance(0.6) ? random.between(1, 5) : 0,
    chaosMillis,
    sessionMillis: random.chance(0.7) ? [14_000, 25_000] : [40_000, 90_000],
    wishes: random.chance(0.5) ? random.between(1, 4) : 0,
    variant: drawVariant(random),
    aggregates: random.chance(0.25) ? random.next() : 0,
    bursts: sleeps ? random.between(1, 3) : 0,
    suspendAfterMillis: sleeps ? random.between(1_000, 6_000) : null,
    retained: random.chance(0.5) ? random.between(1, 3) : 10,
    collects: random.chance(0.1),
    restartAttempts: random.chance(0.3) ? random.between(1, 3) : 10,
  };
  // Drawn last, so that all else of a seed is what it is with one task.
  const parallelism = drawParallelism(random, drawn.variant);
  const alignment = random.pick(alignments);
  // What is put aside depends on which operators are apart, and so on how the shards lie.
  const partitioned = random.chance(0.3) && drawn.variant.bad === "fail";
  const tasks = Math.max(...parallelism);
  if (tasks === 1) return { ...drawn, parallelism, alignment, partitioned };
  // Rates are per call, and many tasks make many more: else hardly a checkpoint is complete, let alone with frames in flight.
  const faults = calmer(drawn.faults, 2 * tasks);
  return { ...drawn, faults, records: drawn.records * random.between(2, 5), parallelism, alignment, partitioned };
}

const calmer = (faults: FaultRates, times: number): FaultRates => ({
  ...faults,
  crash: faults.crash / times,
  pause: faults.pause / times,
  lost: faults.lost / times,
  slow: faults.slow / times,
});

const alignments = ["unaligned", "unaligned", "aligned"] as const;

/** What a record leaves that is put aside depends on whether operators are apart: that does not change within a run. */
function drawParallelism(random: Random, { bad }: Variant): readonly number[] {
  const apart = random.chance(0.5);
  const tasks = () => (apart ? random.between(bad === "quarantine" ? 2 : 1, 4) : 1);
  return [tasks(), tasks(), tasks()];
}

function drawVariant(random: Random): Variant {
  return {
    tallies: random.chance(0.3) ? "eager" : "held",
    deletes: random.chance(0.3),
    calls: random.chance(0.3) ? random.pick(["ordered", "unordered"] as const) : "none",
    files: random.chance(0.3),
    bad: random.chance(0.25) ? "quarantine" : "fail",
  };
}

/** Where one kind of trouble comes alone, it comes often: what a mixture would hide behind other failures. */
const strong: FaultRates = {
  crash: 0.015,
  pause: 0.015,
  lost: 0.25,
  slow: 0.2,
  log: 0.3,
  few: 1,
  delivery: 0.6,
  overtime: 0.8,
};

function drawFaults(random: Random): FaultRates {
  const kind = random.next();
  if (kind < 0.06) return noFaults;
  if (kind < 0.35) return light;
  if (kind < 0.55) return heavy;
  const names = Object.keys(noFaults) as (keyof FaultRates)[];
  const chosen = [random.pick(names), random.pick(names)];
  const rates = names.map((name) => [name, chosen.includes(name) ? strong[name] * random.next() : 0]);
  return Object.fromEntries(rates) as unknown as FaultRates;
}

const drawOutage = (random: Random, chaosMillis: number): Outage => ({
  service: random.pick(services),
  fromMillis: random.int(chaosMillis),
  lengthMillis: random.between(1_000, 40_000),
});
