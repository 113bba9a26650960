import { type Counted, priceOf, prices, type RequestCounts } from "../model/prices.js";
import type { Clock } from "../ports/clock.js";
import type { Metrics } from "./metrics.js";

/** What an invocation of a function works with, and pays for. */
export interface Metered {
  readonly clock: Clock;
  /** Of the whole process so far. */
  readonly counted: () => RequestCounts;
  /** null: nobody says, and the time costs nothing. */
  readonly memoryBytes: number | null;
  readonly architecture: string;
}

/** What an invocation has used since it was last asked, at list prices. */
export interface Used {
  readonly metrics: Metrics;
  /** By "Service.Operation". */
  readonly requestsBy: Readonly<Record<string, number>>;
  readonly gigabyteSeconds: number;
}

const gigabyte = 1024 ** 3;

/** Begins with the invocation. Starting it is paid for once, by it and not by its caller. */
export class Usage {
  readonly #metered: Metered;
  #counted: RequestCounts;
  #since: number;
  #starts = 1;

  constructor(metered: Metered) {
    this.#metered = metered;
    this.#counted = metered.counted();
    this.#since = metered.clock.now();
  }

  take(): Used {
    const { counted, clock, memoryBytes, architecture } = this.#metered;
    const [now, all] = [clock.now(), counted()];
    const sent = difference(all, this.#counted);
    const gigabyteSeconds = ((memoryBytes ?? 0) / gigabyte) * (Math.max(0, now - this.#since) / 1_000);
    const second = architecture === "arm64" ? prices.lambdaArmSecond : prices.lambdaX86Second;
    const own = this.#starts * prices.lambdaRequest + gigabyteSeconds * second;
    [this.#counted, this.#since, this.#starts] = [all, now, 0];
    const requests = sent.reduce((sum, [, one]) => sum + one.requests, 0);
    const dollars =
      own + sent.reduce((sum, [name, one]) => sum + (name === "Lambda.Invoke" ? 0 : priceOf(name, one)), 0);
    const requestsBy = Object.fromEntries(sent.map(([name, one]) => [name, one.requests]));
    return { metrics: { requests, dollars }, requestsBy, gigabyteSeconds };
  }
}

function difference(after: RequestCounts, before: RequestCounts): readonly (readonly [string, Counted])[] {
  return Object.entries(after)
    .map(([name, { requests, units }]) => {
      const { requests: then, units: unitsThen } = before[name] ?? { requests: 0, units: 0 };
      return [name, { requests: requests - then, units: units - unitsThen }] as const;
    })
    .filter(([, { requests, units }]) => requests > 0 || units > 0);
}
