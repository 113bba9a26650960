import { StreamError } from "../model/errors.js";
import type { Clock } from "../ports/clock.js";

/** A user's call that takes time: of a `mapAsync`. */
export type Call = (signal: AbortSignal) => Promise<unknown>;

/** What became of a call. */
export type Called =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: unknown };

/** How long an end waits for calls that were aborted, and do not heed it. */
const abortedMillisMax = 2_000;

/** The calls of a session: each with its time-out and its abort signal, and none left over at the end (N4). */
export class Calls {
  readonly #clock: Clock;
  /** Each with what aborts it. */
  readonly #underWay = new Map<Promise<unknown>, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Never rejects. After `timeoutMillis` the call is aborted and counts as failed, `transient`. */
  async start(call: Call, timeoutMillis: number): Promise<Called> {
    // Two signals: the user's is not aborted by an answer, the time-out's is.
    const [user, timer] = [new AbortController(), new AbortController()];
    const answer = settled(call, user.signal);
    this.#underWay.set(answer, () => {
      timer.abort();
      user.abort();
    });
    answer.then(() => this.#underWay.delete(answer));
    const late = this.#clock.sleep(timeoutMillis, timer.signal).then((): Called => {
      const error = tooLate(timeoutMillis);
      if (!timer.signal.aborted) user.abort(error);
      return { kind: "failed", error };
    });
    const called = await Promise.race([answer, late]);
    timer.abort();
    return called;
  }

  /** Aborts all calls, and waits for them for a while. */
  async end(): Promise<void> {
    for (const abort of this.#underWay.values()) abort();
    if (this.#underWay.size === 0) return;
    const over = new AbortController();
    const ended = Promise.allSettled(this.#underWay.keys());
    await Promise.race([ended, this.#clock.sleep(abortedMillisMax, over.signal)]);
    over.abort();
  }
}

/** A function that throws before its promise is as one that rejects. */
async function settled(call: Call, signal: AbortSignal): Promise<Called> {
  try {
    return { kind: "value", value: await call(signal) };
  } catch (error) {
    return { kind: "failed", error };
  }
}

const tooLate = (timeoutMillis: number) =>
  new StreamError("transient", `the call had no answer after ${timeoutMillis} ms, its time-out`);
