// When a process is killed: at a share of the input, and then at a moment that chance picks.
import { setTimeout as sleep } from "node:timers/promises";

/** Shares of `records` at which the crashes come, evenly spread, none at the ends. @returns {number[]} */
export const crashPoints = (records, crashes) =>
  Array.from({ length: crashes }, (_, index) => Math.round((records * (index + 1)) / (crashes + 1)));

/** Waits up to `mostMs`. */
export const atChance = (mostMs, signal) => sleep(Math.random() * mostMs, undefined, { signal });

/** @returns {boolean} whether there was such a process */
export function killNow(pid) {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code === "ESRCH") return false;
    throw error;
  }
}
