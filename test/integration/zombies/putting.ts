// Records that come while other things happen.
import { setTimeout as sleep } from "node:timers/promises";
import type { Input } from "./stream.js";
import type { Word } from "./words.js";

export interface Putting {
  /** Resolves when so much of the whole is put. */
  until(share: number): Promise<void>;
}

/** In parts, until it is told to stop, so that all that happens happens while records come. */
export function startPutting(
  input: Input,
  all: readonly Word[],
  { recordsPerPart, partsPerSecond }: { readonly recordsPerPart: number; readonly partsPerSecond: number },
): Putting {
  let [put, wanted] = [0, 0];
  let failed: unknown = null;
  const work = async () => {
    for (;;) {
      while (put < Math.min(wanted, all.length)) {
        await input.put(all.slice(put, put + recordsPerPart));
        put += recordsPerPart;
        await sleep(1_000 / partsPerSecond);
      }
      if (put >= all.length) return;
      await sleep(20);
    }
  };
  work().catch((error: unknown) => {
    failed = error;
  });
  return {
    async until(share) {
      wanted = Math.round(all.length * share);
      while (put < Math.min(wanted, all.length) && failed === null) await sleep(20);
      if (failed !== null) throw failed;
    },
  };
}
