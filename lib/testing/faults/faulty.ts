import { StreamError } from "../../model/errors.js";
import { type Clock, systemClock } from "../../ports/clock.js";
import type { World } from "../../ports/world.js";
import { randomOf } from "../seeded/random.js";
import type { Timeline } from "../seeded/scheduler.js";
import { faultyPorts } from "./faulty-ports.js";
import { type CrashMoment, type Line, Process, type Venue } from "./process.js";
import { type CallRates, lightCallFaults, noCallFaults } from "./rates.js";

/** A death that is planned: at the nth call of that name, counted from 1. */
export interface CrashPoint {
  /** Such as `registers.swap`, or "*" for any call. */
  readonly call: string;
  readonly nth: number;
  /** "before": the request was never sent. "after": it was carried out, and the answer never comes. */
  readonly moment: CrashMoment;
}

export interface FaultyOptions {
  /** The same seed and the same calls in the same order meet the same faults. */
  readonly seed: number | string;
  /** {@link lightCallFaults} where none are given; those that are left out are 0. */
  readonly rates?: Partial<CallRates>;
  readonly crashes?: readonly CrashPoint[];
  /** Where latency and late writes are waited for: the clock of a {@link Scheduler}, or that of the machine, where none is given. */
  readonly clock?: Clock;
}

export interface Faulty<W> {
  /** The same ports, behind everything that can go wrong between a process and a service. */
  readonly world: W;
  /** Resolves with the reason when the process dies: its calls are answered no more, and whoever waits for one waits for ever. */
  readonly crashed: Promise<string>;
  /** Kills it now. */
  kill(why: string): void;
  /** From now on nothing goes wrong. Late writes that are on their way still arrive. */
  calm(): void;
  /** What happened, oldest first. */
  trace(): readonly string[];
}

/**
 * Ports of one process in a world where everything goes wrong that can: two coins for each write (did it happen; did the caller
 * learn it), writes that happen long after they were called lost, calls that take seconds, crashes before and after a call, and
 * a log that throttles, forgets cursors and shows old shards. Any subset of a World's ports; a new process is another `faulty`
 * over the same ports.
 *
 * @example
 * const { world, crashed } = faulty({ registers: memoryRegisters().registers }, { seed: 7, rates: { lost: 0.1 } });
 * await world.registers.swap(key, null, "{}");     // may throw `ambiguous`: then it has happened, will happen, or never does
 * @throws StreamError `invalid`, where a rate is no probability
 */
export function faulty<W extends Partial<World>>(world: W, options: FaultyOptions): Faulty<W> {
  const { seed, crashes = [], clock = systemClock } = options;
  let rates = options.rates === undefined ? lightCallFaults : { ...noCallFaults, ...options.rates };
  checkRates(rates);
  const trace: string[] = [];
  let died: (why: string) => void = () => undefined;
  const crashed = new Promise<string>((resolve) => {
    died = resolve;
  });
  const venue: Venue = {
    timeline: timelineOf(clock),
    random: randomOf(`faults ${seed}`),
    ratesOf: () => rates,
    crashAt: countingPoints(crashes),
    skewMillis: 0,
    tell: (line: Line) => void trace.push(typeof line === "string" ? line : line()),
    violated: (why) => {
      throw new StreamError("bug", why);
    },
  };
  const process = new Process("process", venue, (why) => died(why));
  return {
    world: faultyPorts(world, venue, process, () => undefined),
    crashed,
    kill: (why) => process.kill(why),
    calm: () => {
      rates = noCallFaults;
    },
    trace: () => [...trace],
  };
}

function checkRates(rates: CallRates): void {
  for (const [name, rate] of Object.entries(rates)) {
    if (typeof rate === "number" && rate >= 0 && rate <= 1) continue;
    throw new StreamError("invalid", `faulty(): the rate "${name}" is ${rate}; it must be a probability, 0 to 1`);
  }
}

function countingPoints(points: readonly CrashPoint[]): Venue["crashAt"] {
  const counts = new Map<string, number>();
  const count = (name: string): number => {
    const counted = (counts.get(name) ?? 0) + 1;
    counts.set(name, counted);
    return counted;
  };
  return (_process, call) => {
    const [ofName, ofAll] = [count(call), count("*")];
    const isNow = ({ call: name, nth }: CrashPoint) => (name === "*" ? nth === ofAll : name === call && nth === ofName);
    return points.find(isNow)?.moment ?? null;
  };
}

const timelineOf = (clock: Clock): Timeline => ({
  get now() {
    return clock.now();
  },
  after: (delay, run) => void clock.sleep(delay).then(run),
});
