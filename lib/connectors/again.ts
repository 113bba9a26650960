import { StreamError } from "../model/errors.js";
import type { Clock } from "../ports/clock.js";

const attemptsMax = 6;
const pauseMillis = 100;

/** Calls again where an answer was lost or the service was busy, for some seconds. Only what may happen twice (R5). */
export async function again<T>(clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!mayPass(error) || attempt === attemptsMax) throw error;
      await clock.sleep(pauseMillis * 2 ** (attempt - 1));
    }
  }
}

export const mayPass = (error: unknown): boolean =>
  error instanceof StreamError && (error.kind === "transient" || error.kind === "ambiguous");

/** Calls for every item, so many at a time. Where one fails, those that are under way are awaited first (N4). */
export async function forEachOf<T>(
  items: readonly T[],
  atOnce: number,
  call: (item: T) => Promise<void>,
): Promise<void> {
  for (let first = 0; first < items.length; first += atOnce) {
    const results = await Promise.allSettled(items.slice(first, first + atOnce).map(call));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}
