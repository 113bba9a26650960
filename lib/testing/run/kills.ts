import type { CrashMoment, Process } from "../faults/process.js";
import type { Random } from "../seeded/random.js";
import type { Timeline } from "../seeded/scheduler.js";

/** From the moment when a session is to die, so many of its calls go by first, at most. */
const callsMax = 30;
/** A pipeline gives up after ten failures without a checkpoint between them: a few of those are left to the pipeline itself. */
const betweenCheckpointsMax = 5;

/** Kills sessions: so many, at moments that the seed draws. */
export class Kills {
  done = 0;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #times: readonly number[];
  #sinceCheckpoint = 0;
  #callsLeft: number | null = null;

  constructor(timeline: Timeline, random: Random, options: { readonly count: number; readonly lengthMillis: number }) {
    const { count, lengthMillis } = options;
    this.#timeline = timeline;
    this.#random = random;
    const times = Array.from({ length: count }, () => timeline.now + random.int(Math.max(1, lengthMillis)));
    this.#times = times.sort((a, b) => a - b);
  }

  /** Asked at every call of a session. */
  crashAt(session: Process): CrashMoment | null {
    const next = this.#times[this.done];
    if (next === undefined || this.#timeline.now < next || !session.isAlive) return null;
    if (this.#sinceCheckpoint >= betweenCheckpointsMax) return null;
    this.#callsLeft ??= this.#random.int(callsMax);
    if (this.#callsLeft-- > 0) return null;
    this.#callsLeft = null;
    this.#sinceCheckpoint++;
    this.done++;
    return this.#random.pick(["before", "after"] as const);
  }

  checkpointed(): void {
    this.#sinceCheckpoint = 0;
  }
}
