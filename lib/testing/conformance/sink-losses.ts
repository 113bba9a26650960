import { StreamError } from "../../model/errors.js";
import type { SinkResources } from "../../pipeline/sink.js";

/**
 * What goes wrong with a call of a sink to its target. `request`: it never arrives. `answer`: it is carried out, and nobody learns
 * it. `late`: it is told lost, and is carried out long after.
 */
export type Loss = "request" | "answer" | "late";

export interface Losses {
  /** What goes wrong with the next call. */
  readonly lose: (next: Loss) => void;
  /** From now on nothing goes wrong, and what is late arrives. */
  readonly arrive: () => Promise<void>;
}

/** A way to a target on which calls are lost: {@link Losses} says which. */
export interface LossyWay extends Losses {
  /** Carries out a call of the sink, or loses it. @throws StreamError `ambiguous` where it is lost */
  readonly send: <T>(call: () => Promise<T>) => Promise<T>;
}

/** @example const way = lossyWay(); fetch = (...args) => way.send(() => realFetch(...args)) */
export function lossyWay(): LossyWay {
  let next: Loss | null = null;
  const late: (() => Promise<unknown>)[] = [];
  return {
    lose: (loss) => {
      next = loss;
    },
    async arrive() {
      next = null;
      // What came too late is nobody's failure any more.
      for (const call of late.splice(0)) await call().catch(() => undefined);
    },
    async send(call) {
      const loss = next;
      next = null;
      if (loss === "late") late.push(call);
      const answer = loss === "request" || loss === "late" ? null : await call();
      if (loss !== null) throw new StreamError("ambiguous", `the answer was lost (${loss})`);
      return answer as Awaited<ReturnType<typeof call>>;
    },
  };
}

/** The ports of a sink that writes to tables, streams, files or objects, behind such a way. */
export function lossyResources(resources: SinkResources): {
  readonly resources: SinkResources;
  readonly losses: Losses;
} {
  const way = lossyWay();
  const behind = <P extends object>(port: P): P =>
    new Proxy(port, {
      get(target, member) {
        const method: unknown = Reflect.get(target, member);
        if (typeof method !== "function" || member === "measure" || member === "list") return method;
        return (...args: unknown[]) => way.send(async (): Promise<unknown> => Reflect.apply(method, target, args));
      },
    });
  const { tables, streams, files, objects } = resources;
  return {
    resources: {
      ...resources,
      tables: behind(tables),
      streams: behind(streams),
      files: behind(files),
      objects: behind(objects),
    },
    losses: way,
  };
}
