import { StreamError } from "../../model/errors.js";
import type { Random } from "../seeded/random.js";
import { type CrashMoment, never, type Process, type Venue } from "./process.js";
import type { CallRates } from "./rates.js";

export interface Call<T> {
  readonly service: string;
  /** Such as `registers.swap`. */
  readonly name: string;
  readonly kind: "read" | "write";
  /** What it is about, for the trace. */
  readonly about: () => string;
  /** What the service does, at one moment. */
  readonly effect: () => Promise<T>;
  readonly tellResult: (result: T) => string;
}

interface Fate {
  readonly latency: number;
  readonly crash: CrashMoment | null;
  readonly effect: { readonly kind: "happens" | "never" } | { readonly kind: "late"; readonly delay: number };
  readonly answer: "told" | "ambiguous" | "transient";
}

/** A call of a process on a service: it takes time, and all goes wrong with it that can. */
export function callThrough<T>(venue: Venue, process: Process, call: Call<T>): Promise<T> {
  if (process.state === "dead") return never();
  if (process.state === "ended") venue.violated(`N4: ${process.name} calls ${call.name} after its end`);
  const rates = venue.ratesOf(call.service);
  const drawn = drawFate(venue.random, rates, call.kind);
  const fate = { ...drawn, crash: venue.crashAt(process, call.name) ?? drawn.crash };
  if (fate.crash === "before") {
    process.kill(`before ${call.name} ${call.about()}`);
    return never();
  }
  if (venue.random.chance(rates.pause)) process.pause(drawPause(venue.random));
  return new Promise((resolve, reject) => {
    const { effect } = fate;
    if (effect.kind === "happens") {
      const settle = (result: T) => answer(venue, process, call, fate, result, resolve, reject);
      venue.timeline.after(fate.latency, () => carryOut(venue, process, call, fate, settle, reject));
      return;
    }
    if (effect.kind === "late") {
      venue.timeline.after(effect.delay, () => carryOut(venue, process, call, fate, null, reject));
    }
    venue.timeline.after(fate.latency, () => answer(venue, process, call, fate, null, resolve, reject));
  });
}

async function carryOut<T>(
  venue: Venue,
  process: Process,
  call: Call<T>,
  fate: Fate,
  settle: ((result: T) => void) | null,
  reject: (error: unknown) => void,
): Promise<void> {
  const line = () => `${process.name} ${call.name} ${call.about()}`;
  try {
    const result = await call.effect();
    venue.tell(() => `${line()} -> ${call.tellResult(result)}${settle === null ? " (late)" : ""}`);
    settle?.(result);
  } catch (error) {
    venue.tell(() => `${line()} -> ${error instanceof Error ? error.message : String(error)}`);
    if (settle === null) return;
    if (fate.crash === "after") process.kill(`waiting for ${call.name} ${call.about()}`);
    else process.resume(() => reject(error));
  }
}

function answer<T>(
  venue: Venue,
  process: Process,
  call: Call<T>,
  fate: Fate,
  result: T | null,
  resolve: (result: T) => void,
  reject: (error: unknown) => void,
): void {
  if (fate.crash === "after") {
    process.kill(`waiting for ${call.name} ${call.about()}`);
    return;
  }
  const { answer: kind } = fate;
  if (kind === "told") {
    process.resume(() => resolve(result as T));
    return;
  }
  venue.tell(() => `${process.name} ${call.name} ${call.about()}: ${kind}, ${fate.effect.kind}`);
  process.resume(() => reject(new StreamError(kind, `simulated: the answer of ${call.name} was lost`)));
}

/** Two coins: did it happen, and did the caller learn it. */
function drawFate(random: Random, rates: CallRates, kind: "read" | "write"): Fate {
  const latency = random.chance(rates.slow) ? random.between(500, 8_000) : random.between(1, 25);
  const crash = random.chance(rates.crash) ? random.pick(["before", "after"] as const) : null;
  const happens = { latency, crash, effect: { kind: "happens" }, answer: "told" } as const;
  if (!random.chance(rates.lost)) return happens;
  if (kind === "read") return { ...happens, answer: "transient" };
  const coin = random.next();
  if (coin < 0.25) return { ...happens, effect: { kind: "never" }, answer: random.pick(["ambiguous", "transient"]) };
  if (coin < 0.6) return { ...happens, answer: "ambiguous" };
  // Told lost first, carried out afterwards, perhaps when all has moved on.
  const delay = latency + (random.chance(0.5) ? random.between(1, 500) : random.between(500, 60_000));
  return { ...happens, effect: { kind: "late", delay }, answer: "ambiguous" };
}

const drawPause = (random: Random): number =>
  random.chance(0.5) ? random.between(500, 10_000) : random.between(10_000, 150_000);
