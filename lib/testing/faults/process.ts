import { type Millis, millis } from "../../model/ids.js";
import type { Clock } from "../../ports/clock.js";
import type { Random } from "../seeded/random.js";
import { sleepIn, type Timeline } from "../seeded/scheduler.js";
import type { CallRates } from "./rates.js";

/** A line of a trace: made only where somebody listens. */
export type Line = string | (() => string);

/** When a process dies: before a call is sent, or when its effect is there and the answer is on its way. */
export type CrashMoment = "before" | "after";

/** What processes have in common: time, chance, what goes wrong at the moment, and where all that happens is told. */
export interface Venue {
  readonly timeline: Timeline;
  readonly random: Random;
  /** What goes wrong with the calls of a service, such as `registers`, at this moment. */
  readonly ratesOf: (service: string) => CallRates;
  /** Deaths that are planned, besides those that rates draw. Asked once a call. */
  readonly crashAt: (process: Process, call: string) => CrashMoment | null;
  /** Clocks of processes differ from the true time by up to so much. */
  readonly skewMillis: number;
  readonly tell: (line: Line) => void;
  /** What must never be. */
  readonly violated: (why: string) => void;
}

/** One invocation of a function, or a person at a terminal: it is alive, has come to its end, or was killed somewhere in between. */
export class Process {
  readonly name: string;
  readonly clock: Clock;
  state: "alive" | "ended" | "dead" = "alive";
  pausedUntil = 0;
  readonly #venue: Venue;
  readonly #died: (why: string) => void;

  constructor(name: string, venue: Venue, died: (why: string) => void) {
    this.name = name;
    this.#venue = venue;
    this.#died = died;
    const skew = venue.skewMillis === 0 ? 0 : venue.random.between(-venue.skewMillis, venue.skewMillis);
    this.clock = {
      now: () => millis(venue.timeline.now + skew),
      sleep: (length, signal) => this.#sleep(length, signal),
      random: (bytes) => venue.random.bytes(bytes),
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
    this.#venue.tell(`${this.name} dies: ${why}`);
    this.#died(why);
  }

  /** It returned. */
  end(): void {
    if (this.state === "alive") this.state = "ended";
  }

  pause(length: number): void {
    this.pausedUntil = this.#venue.timeline.now + length;
    this.#venue.tell(`${this.name} stands still for ${length} ms`);
  }

  /** Goes on with `run`, unless it is dead: now, or when its pause is over. */
  resume(run: () => void): void {
    if (this.state === "dead") return;
    const { timeline } = this.#venue;
    if (this.pausedUntil > timeline.now) {
      timeline.after(this.pausedUntil - timeline.now, () => this.resume(run));
      return;
    }
    run();
  }

  #sleep(length: number, signal?: AbortSignal): Promise<void> {
    if (this.state === "dead") return never();
    return sleepIn(this.#venue.timeline, length, signal, (run) => this.resume(run));
  }
}

/** For what a dead process waits. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
