import { once } from "node:events";

/** Lines on standard output. Waits while their reader is slower, so that no more than it takes is in memory. */
export async function writeLines(lines: readonly string[]): Promise<void> {
  if (lines.length > 0 && !process.stdout.write(lines.join(""))) await once(process.stdout, "drain");
}

/** So many keys, in words. */
export const counted = (keys: number): string => `${keys.toLocaleString("en-US")} ${keys === 1 ? "key" : "keys"}`;
