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
          if (ended) throw new StreamError("fenced", `${name}.${member}: the session has ended (N4)`);
          const answer: unknown = Reflect.apply(method, target, args);
          // A number at once, such as the size of an item, is no request.
          if (typeof answer !== "object") return answer;
          counts.set(`${name}.${member}`, (counts.get(`${name}.${member}`) ?? 0) + 1);
          if (answer instanceof Promise) track(answer);
          return answer;
        };
      },
    });

  const track = (answer: Promise<unknown>) => {
    underWay.add(answer);
    const done = () => underWay.delete(answer);
    answer.then(done, done);
  };

  return {
    world: {
      clock: world.clock,
      registers: guard(world.registers, "registers"),
      blobs: guard(world.blobs, "blobs"),
      log: guard(world.log, "log"),
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
