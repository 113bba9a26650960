import { StreamError } from "../../model/errors.js";
import { type Millis, millis } from "../../model/ids.js";
import type { Clock } from "../../ports/clock.js";
import type { FaultRates } from "./profile.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

/** What processes have in common: time, chance, what goes wrong at the moment, and where all that happens is told. */
export interface Stage {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** Of this moment: calm comes at the end. */
  /** What goes wrong with the calls of a service, such as `registers`. */
  readonly faultsOf: (service: string) => FaultRates;
  /** What goes wrong elsewhere. */
  readonly faults: () => FaultRates;
  readonly skewMillis: number;
  readonly tell: (line: string) => void;
  /** What must never be: the run ends with it. */
  readonly violated: (why: string) => void;
}

/** One invocation of a function, or a person at a terminal: it is alive, has come to its end, or was killed somewhere in between. */
export class Process {
  readonly name: string;
  readonly clock: Clock;
  state: "alive" | "ended" | "dead" = "alive";
  pausedUntil = 0;
  readonly #stage: Stage;
  readonly #died: (why: string) => void;

  constructor(name: string, stage: Stage, died: (why: string) => void) {
    this.name = name;
    this.#stage = stage;
    this.#died = died;
    const skew = stage.skewMillis === 0 ? 0 : stage.random.between(-stage.skewMillis, stage.skewMillis);
    this.clock = {
      now: () => millis(stage.scheduler.now + skew),
      sleep: (length, signal) => this.#sleep(length, signal),
      random: (bytes) => stage.random.bytes(bytes),
    };
  }

  get isAlive(): boolean {
    return this.state === "alive";
  }

  get now(): Millis {
    return this.clock.now();
  }

  /** From here on nothing of it runs; what it has sent may still arrive. */
  kill(why: string): void {
    if (this.state !== "alive") return;
    this.state = "dead";
    this.#stage.tell(`${this.name} dies: ${why}`);
    this.#died(why);
  }

  /** It returned. */
  end(): void {
    if (this.state === "alive") this.state = "ended";
  }

  pause(length: number): void {
    this.pausedUntil = this.#stage.scheduler.now + length;
    this.#stage.tell(`${this.name} stands still for ${length} ms`);
  }

  /** Goes on with `run`, unless it is dead: now, or when its pause is over. */
  resume(run: () => void): void {
    if (this.state === "dead") return;
    if (this.pausedUntil > this.#stage.scheduler.now) {
      this.#stage.scheduler.at(this.pausedUntil, () => this.resume(run));
      return;
    }
    run();
  }

  #sleep(length: number, signal?: AbortSignal): Promise<void> {
    if (this.state === "dead") return never();
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        signal?.removeEventListener("abort", done);
        resolve();
      };
      signal?.addEventListener("abort", done, { once: true });
      this.#stage.scheduler.after(Math.max(0, Math.ceil(length)), () => this.resume(done));
    });
  }
}

/** For what a dead process waits. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export interface Call<T> {
  /** Such as `registers.swap`. */
  readonly name: string;
  readonly kind: "read" | "write";
  /** What it is about, for the trace. */
  readonly about: string;
  /** What the service does, at one moment. */
  readonly effect: () => Promise<T>;
  readonly tellResult: (result: T) => string;
}

interface Fate {
  readonly latency: number;
  readonly crash: "none" | "before" | "after";
  readonly effect: { readonly kind: "happens" | "never" } | { readonly kind: "late"; readonly delay: number };
  readonly answer: "told" | "ambiguous" | "transient";
}

/** A call of a process on a service: it takes time, and all goes wrong with it that can. */
export function callThrough<T>(stage: Stage, process: Process, call: Call<T>): Promise<T> {
  if (process.state === "dead") return never();
  if (process.state === "ended") stage.violated(`N4: ${process.name} calls ${call.name} after its end`);
  const faults = stage.faultsOf(call.name.slice(0, call.name.indexOf(".")));
  const fate = drawFate(stage.random, faults, call.kind);
  if (fate.crash === "before") {
    process.kill(`before ${call.name} ${call.about}`);
    return never();
  }
  if (stage.random.chance(faults.pause)) process.pause(drawPause(stage.random));
  return new Promise((resolve, reject) => {
    const settle = (result: T | null) => answer(stage, process, call, fate, result, resolve, reject);
    const { effect } = fate;
    if (effect.kind === "happens") {
      stage.scheduler.after(fate.latency, () => carryOut(stage, process, call, fate, settle, reject));
      return;
    }
    if (effect.kind === "late") {
      stage.scheduler.after(effect.delay, () => carryOut(stage, process, call, fate, null, reject));
    }
    stage.scheduler.after(fate.latency, () => settle(null));
  });
}

async function carryOut<T>(
  stage: Stage,
  process: Process,
  call: Call<T>,
  fate: Fate,
  settle: ((result: T) => void) | null,
  reject: (error: unknown) => void,
): Promise<void> {
  const line = `${process.name} ${call.name} ${call.about}`;
  try {
    const result = await call.effect();
    stage.tell(`${line} -> ${call.tellResult(result)}${settle === null ? " (late)" : ""}`);
    settle?.(result);
  } catch (error) {
    stage.tell(`${line} -> ${error instanceof Error ? error.message : String(error)}`);
    if (settle === null) return;
    if (fate.crash === "after") process.kill(`waiting for ${call.name} ${call.about}`);
    else process.resume(() => reject(error));
  }
}

function answer<T>(
  stage: Stage,
  process: Process,
  call: Call<T>,
  fate: Fate,
  result: T | null,
  resolve: (result: T) => void,
  reject: (error: unknown) => void,
): void {
  if (fate.crash === "after") {
    process.kill(`waiting for ${call.name} ${call.about}`);
    return;
  }
  if (fate.answer === "told") {
    process.resume(() => resolve(result as T));
    return;
  }
  stage.tell(`${process.name} ${call.name} ${call.about}: ${fate.answer}, ${fate.effect.kind}`);
  const { answer: kind } = fate;
  process.resume(() => reject(new StreamError(kind, `simulated: the answer of ${call.name} ${call.about} was lost`)));
}

/** Two coins: did it happen, and did the caller learn it. */
function drawFate(random: Random, faults: FaultRates, kind: "read" | "write"): Fate {
  const latency = random.chance(faults.slow) ? random.between(500, 8_000) : random.between(1, 25);
  const crash = random.chance(faults.crash) ? random.pick(["before", "after"] as const) : "none";
  const happens = { latency, crash, effect: { kind: "happens" }, answer: "told" } as const;
  if (!random.chance(faults.lost)) return happens;
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
