import type { CheckpointStore } from "../../lib/checkpoint/store.js";
import { StreamError } from "../../lib/model/errors.js";
import { type Millis, millis } from "../../lib/model/ids.js";
import type { Clock } from "../../lib/ports/clock.js";
import type { Registers } from "../../lib/ports/registers.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { now } from "./checkpoint-samples.js";

/**
 * What becomes of a write's answer: it comes; the write is lost; it happens and the answer is lost; a retry underneath meets its own
 * write; it happens only after so many more calls.
 */
export type Fate = "answered" | "lost" | "unanswered" | "own conflict" | { readonly after: number };

/** A clock whose sleeps are over at once, and pass the time. */
export function quickClock(): Clock & { pass(length: number): void } {
  let at: number = now;
  let drawn = 0;
  return {
    now: (): Millis => millis(at),
    async sleep(length) {
      at += length;
    },
    random: (bytes) => new Uint8Array(bytes).fill(++drawn),
    pass(length) {
      at += length;
    },
  };
}

/** Registers that lose answers of `swap`, as the fates say, one for each call; then they answer. */
export function lossyRegisters(fates: readonly Fate[]) {
  const { registers, all } = memoryRegisters();
  const left = [...fates];
  let swaps = 0;
  let late: { after: number; readonly write: () => Promise<unknown> }[] = [];

  const tick = async () => {
    const due = late.filter((one) => one.after-- <= 0);
    late = late.filter((one) => !due.includes(one));
    for (const one of due) await one.write();
  };
  const lossy: Registers = {
    ...registers,
    async read(key) {
      await tick();
      return registers.read(key);
    },
    async swap(key, expected, body) {
      await tick();
      swaps++;
      const fate = left.shift() ?? "answered";
      const write = () => registers.swap(key, expected, body);
      if (fate === "answered") return write();
      if (fate === "unanswered") await write();
      if (fate === "own conflict") {
        await write();
        return { kind: "conflict", current: await registers.read(key) };
      }
      if (typeof fate === "object") late.push({ after: fate.after, write });
      throw new StreamError("ambiguous", "the answer is lost");
    },
  };
  return {
    registers: lossy,
    all,
    swaps: () => swaps,
    /** All that is still to happen does. */
    async settle() {
      while (late.length > 0) await tick();
    },
  };
}

export function memoryStore(fates: readonly Fate[] = []) {
  const memory = { ...lossyRegisters(fates), bucket: memoryBlobs() };
  const clock = quickClock();
  const store: CheckpointStore = { pipeline: "p", registers: memory.registers, blobs: memory.bucket.blobs, clock };
  return { ...memory, clock, store };
}
