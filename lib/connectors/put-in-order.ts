import { StreamError } from "../model/errors.js";
import type { Clock } from "../ports/clock.js";
import {
  entriesBytesMax,
  entriesMax,
  type StreamAnswer,
  type StreamEntry,
  type Streams,
  sizeOfEntry,
} from "../ports/streams.js";
import { mayPass } from "./again.js";

/** Calls in a row after which nothing more was put: half a minute. */
const attemptsMax = 10;
const pauseMillis = 100;
const pauseMillisMax = 5_000;

interface Way {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly stream: string;
}

/**
 * Puts entries until all are answered. Those of one key stand in the stream in their order, if whoever reads leaves out each one
 * before which the one before it of its key did not come (C6): what failed, or has a lower sequence number than the one before it, is put
 * again, with all that follows it of its key.
 *
 * @throws StreamError `transient` where nothing could be put for half a minute; whatever else the port throws
 */
export async function putInOrder(way: Way, entries: readonly StreamEntry[]): Promise<void> {
  let attempt = 1;
  for (let left = entries; left.length > 0; ) {
    const some = left.slice(0, countAtOnce(left));
    const answers = await answersTo(way, some);
    const again = missing(some, answers);
    attempt = again.length < some.length ? 1 : attempt + 1;
    if (attempt > attemptsMax) throw stuck(way.stream, some.length, answers);
    left = [...again, ...left.slice(some.length)];
    if (again.length > 0) await way.clock.sleep(Math.min(pauseMillis * 2 ** (attempt - 1), pauseMillisMax));
  }
}

/** A call whose answer was lost may have put any of them: they are put again, and readers know them. */
async function answersTo({ streams, stream }: Way, entries: readonly StreamEntry[]): Promise<readonly StreamAnswer[]> {
  try {
    return await streams.put(stream, entries);
  } catch (error) {
    if (!mayPass(error)) throw error;
    return entries.map(() => ({ kind: "refused", why: error instanceof Error ? error.message : String(error) }));
  }
}

function countAtOnce(entries: readonly StreamEntry[]): number {
  let bytes = 0;
  const over = entries.findIndex((entry, index) => {
    bytes += sizeOfEntry(entry);
    return index > 0 && bytes > entriesBytesMax;
  });
  return Math.min(over === -1 ? entries.length : over, entriesMax);
}

/** Of each key, from the first that was refused, or overtaken by one before it. */
export function missing(entries: readonly StreamEntry[], answers: readonly StreamAnswer[]): readonly StreamEntry[] {
  /** By key; null: one of the key is missing, and so are all behind it. */
  const last = new Map<string, bigint | null>();
  return entries.filter(({ partitionKey }, index) => {
    const answer = answers[index];
    const before = last.get(partitionKey);
    const number = answer?.kind === "put" && before !== null ? BigInt(answer.sequenceNumber) : null;
    const isBehind = number !== null && (before === undefined || before === null || number > before);
    last.set(partitionKey, isBehind ? number : null);
    return !isBehind;
  });
}

function stuck(stream: string, count: number, answers: readonly StreamAnswer[]): StreamError {
  const refused = answers.find((answer) => answer.kind === "refused");
  const why = refused === undefined ? "they came in another order" : refused.why;
  return new StreamError(
    "transient",
    `Kinesis stream "${stream}": none of ${count} records could be put in ${attemptsMax} attempts: ${why}`,
  );
}
