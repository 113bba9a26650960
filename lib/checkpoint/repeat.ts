import { StreamError } from "../model/errors.js";
import type { Clock } from "../ports/clock.js";

export const repeatAttemptsMax = 6;
const firstPauseMillis = 50;

/**
 * Calls again where an answer was lost or the world was busy. Only for what may happen twice: reads, and facts, which are
 * repeated with the same bytes (R5). The last failure is thrown.
 */
export async function repeat<T>(clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const again = error instanceof StreamError && (error.kind === "transient" || error.kind === "ambiguous");
      if (!again || attempt === repeatAttemptsMax) throw error;
      await clock.sleep(firstPauseMillis * 2 ** (attempt - 1));
    }
  }
}
