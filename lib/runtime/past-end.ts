import { asStreamError } from "../model/errors.js";
import type { Millis } from "../model/ids.js";
import type { Log, LogShard } from "../ports/log.js";

/** Shards that come from one of these, by any number of splits and merges: bounded input that ended there begins past its end in them. */
export function beginPast(listed: readonly LogShard[], ended: readonly string[]): ReadonlySet<string> {
  const past = new Set(ended);
  for (let before = 0; before < past.size; ) {
    before = past.size;
    for (const { shardId, parents } of listed) if (parents.some((parent) => past.has(parent))) past.add(shardId);
  }
  for (const shardId of ended) past.delete(shardId);
  return past;
}

/**
 * Whether bounded input ends within this shard, so that what comes out of it begins past the end. Asked of shards that another task
 * reads; it changes nothing. False where that cannot be said now.
 */
export async function endsWithin(log: Log, stream: string, shardId: string, end: Millis): Promise<boolean> {
  try {
    const opened = await log.cursor(stream, shardId, { kind: "timestamp", at: end });
    if (opened.kind !== "cursor") return false;
    const read = await log.read(stream, opened.cursor, 1);
    if (read.kind !== "records") return false;
    // One that is open, and empty from there on, can only get records that are past the end.
    return read.records.length > 0 || (read.next !== null && read.behindMillis === 0 && read.serverNow >= end);
  } catch (error) {
    if (asStreamError(error).kind === "transient") return false;
    throw error;
  }
}
