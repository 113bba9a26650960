import { StreamError } from "./errors.js";
import { type Millis, millis } from "./ids.js";

/** A length of time with its unit: "500ms", "10s", "5m", "24h". */
export type Duration = `${number}${"ms" | "s" | "m" | "h"}`;

const unitMillis: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * A duration in milliseconds.
 *
 * @param what where the text stands, for the error message, such as `pipeline "p": checkpoint.interval`
 * @throws StreamError `invalid` where the text is not a number and a unit, or less than half a millisecond
 * @example parseDuration("1.5s", "interval")   // 1500
 */
export function parseDuration(text: string, what: string): Millis {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const size = Math.round(Number(match?.[1]) * (unitMillis[match?.[2] ?? ""] ?? Number.NaN));
  if (!(size > 0 && Number.isSafeInteger(size))) {
    throw new StreamError(
      "invalid",
      `${what}: "${text}" is not a duration; write a number and ms, s, m or h, at least 1 ms, such as "10s"`,
    );
  }
  return millis(size);
}

/** A length of time for people: "340 ms", "12.5 s", "3 min", "2 h". */
export function formatMillis(length: number): string {
  if (length < 1_000) return `${Math.round(length)} ms`;
  if (length < 60_000) return `${(length / 1_000).toFixed(1)} s`;
  if (length < 3_600_000) return `${Math.round(length / 60_000)} min`;
  return `${(length / 3_600_000).toFixed(1)} h`;
}
