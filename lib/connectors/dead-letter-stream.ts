import { disclose } from "../model/envelope.js";
import { StreamError } from "../model/errors.js";
import { fromUtf8 } from "../model/utf8.js";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogRecord } from "../ports/log.js";
import { letterOf } from "./stored-letters.js";

/** Five reads a second are a shard's, for all its readers together. */
const readGapMillis = 250;
const busyPauseMillis = 1_000;
const recordsPerRead = 10_000;

/** The dead letters in a stream of {@link kinesisStream}: those that it still has, shard by shard, repeats too. What else is in it is passed over. */
export async function lettersInStream(log: Log, clock: Clock, stream: string): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (const { shardId } of await log.shards(stream)) {
    let cursor = await beginningOf(log, clock, stream, shardId);
    while (cursor !== null) {
      const read = await log.read(stream, cursor, recordsPerRead);
      if (read.kind === "records") {
        letters.push(...read.records.flatMap(letterIn));
        cursor = read.behindMillis === 0 ? null : read.next;
      } else if (read.kind !== "throttled") {
        throw new StreamError("transient", `stream "${stream}", shard ${shardId}: a read was ${read.kind}; try again`);
      }
      await clock.sleep(read.kind === "throttled" ? busyPauseMillis : readGapMillis);
    }
  }
  return letters;
}

/** Null: the shard went meanwhile, with all that it had. */
async function beginningOf(log: Log, clock: Clock, stream: string, shardId: string): Promise<string | null> {
  for (;;) {
    const opened = await log.cursor(stream, shardId, { kind: "horizon" });
    if (opened.kind === "cursor") return opened.cursor;
    if (opened.kind === "absent") return null;
    await clock.sleep(busyPauseMillis);
  }
}

function letterIn({ data }: LogRecord): readonly DeadLetter[] {
  try {
    const letter = letterOf(JSON.parse(fromUtf8(disclose(data)?.payload ?? data)));
    return letter === null ? [] : [letter];
  } catch {
    return [];
  }
}
