import { StreamError } from "../../model/errors.js";
import { type Millis, millis } from "../../model/ids.js";
import type { Clock } from "../../ports/clock.js";
import type { Random } from "./random.js";

/** Where things are put that happen later. */
export interface Timeline {
  readonly now: Millis;
  after(delay: number, run: () => unknown): void;
}

/** Where virtual time begins, unless told otherwise: 2023-11-14T22:13:20Z. */
export const startOfTime: Millis = millis(1_700_000_000_000);

interface Event {
  readonly at: number;
  /** Drawn: events of one moment happen in any order. */
  readonly tie: number;
  readonly run: () => unknown;
}

/**
 * Virtual time, and the one order in which everything happens. An event runs, then every microtask that it set off, then the
 * next event. Where nothing else is asynchronous (no sockets, files, timers or threads) the seed alone decides the run.
 *
 * @example
 * const scheduler = new Scheduler(randomOf("seed 7"));
 * const clock = scheduler.clock(randomOf("clock"));
 * await scheduler.until(clock.sleep(86_400_000));    // a day, at once
 */
export class Scheduler implements Timeline {
  #now: number;
  readonly #events: Event[] = [];
  readonly #random: Random;
  readonly #beforeTimePasses: (() => Promise<void>) | null;
  /** Events run so far. */
  steps = 0;

  /** @param options `beforeTimePasses`: awaited before the clock goes on, for what takes real time */
  constructor(
    random: Random,
    options: { readonly start?: Millis; readonly beforeTimePasses?: () => Promise<void> } = {},
  ) {
    this.#random = random;
    this.#now = options.start ?? startOfTime;
    this.#beforeTimePasses = options.beforeTimePasses ?? null;
  }

  get now(): Millis {
    return millis(this.#now);
  }

  /** Runs `run` when virtual time has come to `at`; at once means: after what runs now. */
  at(at: number, run: () => unknown): void {
    this.#push({ at: Math.max(at, this.#now), tie: this.#random.next(), run });
  }

  after(delay: number, run: () => unknown): void {
    this.at(this.#now + delay, run);
  }

  /** Runs events until `done`, or there are none, or time would pass `limit`. */
  async run(done: () => boolean, limit: number): Promise<void> {
    await microtasksRan();
    while (!done()) {
      let next = this.#events[0];
      if (this.#beforeTimePasses !== null && (next === undefined || next.at > this.#now)) {
        await this.#beforeTimePasses();
        next = this.#events[0];
      }
      if (next === undefined || next.at > limit) return;
      this.#pop();
      this.#now = next.at;
      this.steps++;
      next.run();
      await microtasksRan();
    }
  }

  /**
   * Runs events until `work` has its result, which is returned, or its error, which is thrown.
   *
   * @throws StreamError `bug` where nothing is left that could happen: what `work` waits for does not run in virtual time
   */
  async until<T>(work: Promise<T>, limit: number = Number.POSITIVE_INFINITY): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    work.then(settle, settle);
    await this.run(() => settled, limit);
    if (!settled) throw new StreamError("bug", "no event is left, and what is waited for has not come");
    return work;
  }

  /** A clock that shows this time, and sleeps in it. */
  clock(random: Random): Clock {
    return {
      now: () => this.now,
      random: (bytes) => random.bytes(bytes),
      sleep: (length, signal) => sleepIn(this, length, signal, (run) => run()),
    };
  }

  /** A binary heap: the earliest is first. */
  #push(event: Event): void {
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const least = isBefore(heap[right], heap[left]) ? right : left;
      const below = heap[least];
      if (below === undefined || !isBefore(below, last)) break;
      heap[at] = below;
      at = least;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Event | undefined, b: Event | undefined): boolean =>
  a !== undefined && (b === undefined || a.at < b.at || (a.at === b.at && a.tie < b.tie));

/** A {@link Clock}'s sleep. `resume` may put off the waking, or never wake. */
export function sleepIn(
  timeline: Timeline,
  length: number,
  signal: AbortSignal | undefined,
  resume: (run: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      signal?.removeEventListener("abort", done);
      resolve();
    };
    signal?.addEventListener("abort", done, { once: true });
    timeline.after(Math.max(0, Math.ceil(length)), () => resume(done));
  });
}

/** Node runs what `nextTick` is given once no microtask is left; files and thread pools have no turn before the run is over. */
const microtasksRan = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
