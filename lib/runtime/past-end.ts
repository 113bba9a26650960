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

/** The service may answer with nothing although there is more: followed so far, as where a sleeping pipeline's shards are looked at (N3). */
const readsMax = 10;

/**
 * Whether bounded input ends within this shard, so that what comes out of it begins past the end. Asked of shards that another task
 * reads; it changes nothing. False where that cannot be said now.
 */
export async function endsWithin(log: Log, stream: string, shardId: string, end: Millis): Promise<boolean> {
  try {
    const opened = await log.cursor(stream, shardId, { kind: "timestamp", at: end });
    if (opened.kind !== "cursor") return false;
    let cursor = opened.cursor;
    for (let reads = 0; reads < readsMax; reads++) {
      const read = await log.read(stream, cursor, 1);
      if (read.kind !== "records") return false;
      if (read.records.length > 0) return true;
      if (read.next === null) return false;
      // One that is open, and empty from there on, can only get records that are past the end.
      if (read.behindMillis === 0) return read.serverNow >= end;
      cursor = read.next;
    }
    return false;
  } catch (error) {
    if (asStreamError(error).kind === "transient") return false;
    throw error;
  }
}
