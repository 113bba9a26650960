import type { LogEvent } from "../../connectors/cloudwatch-logs.js";
import { type Millis, millis } from "../../model/ids.js";

/** Events come to be found some time after they were written, and not in the order of their times. */
const lateMillis = 60_000;

/** What is new at each look into one log group: later looks begin a while before the newest event, and tell none twice. */
export class Follower {
  readonly #told = new Map<string, Millis>();
  #newest: Millis;

  constructor(readonly since: Millis) {
    this.#newest = since;
  }

  /** Where the next look begins. */
  get from(): Millis {
    return millis(Math.max(this.since, this.#newest - lateMillis));
  }

  /** Those that were not told before. */
  fresh(found: readonly LogEvent[]): readonly LogEvent[] {
    const fresh = found.filter(({ id }) => !this.#told.has(id));
    for (const { id, at } of fresh) {
      this.#told.set(id, at);
      this.#newest = millis(Math.max(this.#newest, at));
    }
    // No look comes back to what is older.
    for (const [id, at] of this.#told) if (at < this.from) this.#told.delete(id);
    return fresh;
  }
}
