import { type Millis, millis } from "../../model/ids.js";
import type { Random } from "./random.js";

interface Event {
  readonly at: number;
  /** Drawn: events of one moment happen in any order. */
  readonly tie: number;
  readonly run: () => unknown;
}

/**
 * Virtual time, and the one order in which everything happens. An event runs, then every microtask that it set off, then the
 * next event: nothing else is asynchronous, so the seed alone decides the run.
 */
export class Scheduler {
  #now: number;
  readonly #events: Event[] = [];
  readonly #random: Random;
  /** Events run so far. */
  steps = 0;

  constructor(random: Random, start: Millis) {
    this.#random = random;
    this.#now = start;
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
      const next = this.#events[0];
      if (next === undefined || next.at > limit) return;
      this.#pop();
      this.#now = next.at;
      this.steps++;
      next.run();
      await microtasksRan();
    }
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

/** Node runs what `nextTick` is given once no microtask is left; files and thread pools have no turn before the run is over. */
const microtasksRan = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
