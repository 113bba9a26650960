import { randomBytes } from "node:crypto";
import { type Millis, millis } from "../model/ids.js";

/** Time and chance. Nothing in the protocol rests on it: a wrong clock costs time, never a record. */
export interface Clock {
  now(): Millis;
  /** Resolves after `length` ms, or at once where the signal is or becomes aborted. Never rejects. */
  sleep(length: number, signal?: AbortSignal): Promise<void>;
  random(bytes: number): Uint8Array;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => millis(Date.now()),
  sleep: (length, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, length);
      signal?.addEventListener("abort", done, { once: true });
    }),
  random: (bytes) => randomBytes(bytes),
};
