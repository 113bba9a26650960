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
  const counts = new Map<string, number>();
  const underWay = new Set<Promise<unknown>>();
  let ended = false;

  const guard = <P extends object>(port: P, name: string): P =>
    new Proxy(port, {
      get(target, member) {
        const method: unknown = Reflect.get(target, member);
        if (typeof method !== "function" || typeof member !== "string") return method;
        return (...args: unknown[]) => {
          refuseAfterEnd(`${name}.${member}`);
          const answer: unknown = Reflect.apply(method, target, args);
          // A number at once, such as the size of an item, is no request.
          if (typeof answer !== "object") return answer;
          counts.set(`${name}.${member}`, (counts.get(`${name}.${member}`) ?? 0) + 1);
          if (answer instanceof Promise) track(answer);
          return isIterable(answer) ? guardPages(answer, `${name}.${member}`) : answer;
        };
      },
    });

  const refuseAfterEnd = (call: string) => {
    if (ended) throw new StreamError("fenced", `${call}: the session has ended (N4)`);
  };

  /** Each step of a list may be a request of its own. */
  const guardPages = (pages: AsyncIterable<unknown>, call: string): AsyncIterable<unknown> => ({
    [Symbol.asyncIterator]() {
      refuseAfterEnd(call);
      const steps = pages[Symbol.asyncIterator]();
      return {
        next: () => {
          refuseAfterEnd(call);
          return track(steps.next());
        },
        return: async (value) => track(steps.return?.(value) ?? Promise.resolve({ done: true, value })),
      };
    },
  });

  const track = <T>(answer: Promise<T>): Promise<T> => {
    underWay.add(answer);
    const done = () => underWay.delete(answer);
    answer.then(done, done);
    return answer;
  };

  return {
    world: {
      clock: world.clock,
      registers: guard(world.registers, "registers"),
      blobs: guard(world.blobs, "blobs"),
      log: guard(world.log, "log"),
      files: guard(world.files, "files"),
      tables: guard(world.tables, "tables"),
      functions: guard(world.functions, "functions"),
    },
    requests: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    end: () => {
      ended = true;
    },
    idle: async () => {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}
