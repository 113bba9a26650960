// When a process is killed: at a share of the input, and then at a moment that chance picks.
import { setTimeout as sleep } from "node:timers/promises";

/** How far apart a checkpoint and a crash are is left to chance. */
const jitterMs = 900;

/** Shares of `records` at which the crashes come, evenly spread, none at the ends. @returns {number[]} */
export const crashPoints = (records, crashes) =>
  Array.from({ length: crashes }, (_, index) => Math.round((records * (index + 1)) / (crashes + 1)));

export const atChance = (signal) => sleep(Math.random() * jitterMs, undefined, { signal });

/** @returns {boolean} whether there was such a process */
export function killNow(pid) {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code === "ESRCH") return false;
    throw error;
  }
}
