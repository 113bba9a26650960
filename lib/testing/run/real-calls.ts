import type { Plan, UserFunction } from "../../pipeline/plan.js";
import { systemClock } from "../../ports/clock.js";

/** So long virtual time stands still for a call that has no answer yet: then it may be waiting for its time-out. */
const graceMillis = 1_000;

/**
 * The calls of `mapAsync`, and those of a user's sinks, are the user's, and may take real time: while one is under way virtual time stands still, or it would
 * run into its time-out at once.
 */
export class RealCalls {
  readonly #underWay = new Set<Promise<void>>();

  /** The plan, with calls that are seen here. */
  watchPlan(plan: Plan): Plan {
    const waiting = plan.graph.nodes.filter(({ kind }) => kind === "mapAsync").map(({ id }) => id);
    if (waiting.length === 0) return plan;
    const functions = new Map(plan.functions);
    for (const id of waiting) {
      const call = functions.get(id);
      if (call !== undefined) functions.set(id, this.#seen(call));
    }
    return { ...plan, functions };
  }

  /** Before virtual time goes on. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) {
      const over = new AbortController();
      const grace = systemClock.sleep(graceMillis, over.signal).then(() => "too long" as const);
      const first = await Promise.race([grace, ...this.#underWay]);
      over.abort();
      if (first === "too long") this.#underWay.clear();
    }
  }

  watch<T>(answer: Promise<T>): Promise<T> {
    const done = () => void this.#underWay.delete(seen);
    const seen: Promise<void> = answer.then(done, done);
    this.#underWay.add(seen);
    return answer;
  }

  #seen(call: UserFunction): UserFunction {
    return (...args: unknown[]) => {
      const answer: unknown = call(...args);
      return answer instanceof Promise ? this.watch(answer) : answer;
    };
  }
}
