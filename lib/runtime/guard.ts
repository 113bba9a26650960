import { StreamError } from "../model/errors.js";
import type { World } from "../ports/world.js";

/** The ports as one session has them. */
export interface GuardedWorld {
  readonly world: World;
  /** Calls so far, by port and method: what the checkpoint's requests cost. */
  requests(): Readonly<Record<string, number>>;
  /** From now on every call is refused (N4). */
  end(): void;
  /** Resolves when no call is under way any more (N4: a frozen sandbox would go on with it minutes later). */
  idle(): Promise<void>;
}

const isIterable = (answer: unknown): answer is AsyncIterable<unknown> =>
  typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;

/** N4: counts calls and what is under way, and refuses what a finished session asks for. The clock is not guarded. */
export function guardWorld(world: World): GuardedWorld {
  const calls = new GuardedCalls();
  return {
    world: {
      clock: world.clock,
      registers: guardPort(calls, world.registers, "registers"),
      blobs: guardPort(calls, world.blobs, "blobs"),
      log: guardPort(calls, world.log, "log"),
      files: guardPort(calls, world.files, "files"),
      objects: guardPort(calls, world.objects, "objects"),
      tables: guardPort(calls, world.tables, "tables"),
      streams: guardPort(calls, world.streams, "streams"),
      functions: guardPort(calls, world.functions, "functions"),
    },
    requests: () => calls.counted(),
    end: () => calls.end(),
    idle: () => calls.idle(),
  };
}

class GuardedCalls {
  readonly #counts = new Map<string, number>();
  readonly #underWay = new Set<Promise<unknown>>();
  #ended = false;

  refuseAfterEnd(call: string): void {
    if (this.#ended) throw new StreamError("fenced", `${call}: the session has ended (N4)`);
  }

  count(call: string): void {
    this.#counts.set(call, (this.#counts.get(call) ?? 0) + 1);
  }

  track<T>(answer: Promise<T>): Promise<T> {
    this.#underWay.add(answer);
    const done = () => this.#underWay.delete(answer);
    answer.then(done, done);
    return answer;
  }

  counted(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  end(): void {
    this.#ended = true;
  }

  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }
}

function guardPort<P extends object>(calls: GuardedCalls, port: P, name: string): P {
  // Made once: sessions call their ports some hundred times a second.
  const guarded = new Map<string, unknown>();
  return new Proxy(port, {
    get(target, member) {
      const known = typeof member === "string" ? guarded.get(member) : undefined;
      if (known !== undefined) return known;
      const method: unknown = Reflect.get(target, member);
      if (typeof method !== "function" || typeof member !== "string") return method;
      const call = `${name}.${member}`;
      const through = (...args: unknown[]) => {
        calls.refuseAfterEnd(call);
        const answer: unknown = Reflect.apply(method, target, args);
        // A number at once, such as the size of an item, is no request.
        if (typeof answer !== "object") return answer;
        calls.count(call);
        if (answer instanceof Promise) calls.track(answer);
        return isIterable(answer) ? guardPages(calls, answer, call) : answer;
      };
      guarded.set(member, through);
      return through;
    },
  });
}

/** Each step of a list may be a request of its own. */
function guardPages(calls: GuardedCalls, pages: AsyncIterable<unknown>, call: string): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      calls.refuseAfterEnd(call);
      const steps = pages[Symbol.asyncIterator]();
      return {
        next: () => {
          calls.refuseAfterEnd(call);
          return calls.track(steps.next());
        },
        return: async (value) => calls.track(steps.return?.(value) ?? Promise.resolve({ done: true, value })),
      };
    },
  };
}
