import { InvalidArgumentError } from "commander";
import { type Duration, formatMillis, parseDuration } from "../model/duration.js";

/** Parses such as "2s" into milliseconds. A mistake is one of usage. */
export const duration =
  (most = Number.POSITIVE_INFINITY) =>
  (text: string): number => {
    const length = lengthOf(text);
    if (length <= most) return length;
    throw new InvalidArgumentError(`It is longer than ${formatMillis(most)}, the most that there is.`);
  };

function lengthOf(text: string): number {
  try {
    return parseDuration(text as Duration, "");
  } catch {
    throw new InvalidArgumentError(
      'It is no duration: write a number and ms, s, m or h, at least 1 ms, such as "10s".',
    );
  }
}

export function port(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  throw new InvalidArgumentError("It is no port: write a whole number from 0 to 65535.");
}
