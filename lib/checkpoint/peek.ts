import { StreamError } from "../model/errors.js";
import type { Millis } from "../model/ids.js";
import type { Position } from "../model/shards.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogRead, LogRecord } from "../ports/log.js";
import { type KeptStream, lossAt, recordsAfter, shardGone, startOf } from "./retention.js";

/** What one look behind a position tells (P1, N3). */
export type Peek =
  /** Nothing came up to then. */
  | { readonly kind: "quiet"; readonly serverNow: Millis }
  /** Records, or the end of the shard. */
  | { readonly kind: "news" }
  /** Records may be gone. */
  | { readonly kind: "lost"; readonly error: StreamError }
  /** The service did not say: another look will tell. */
  | { readonly kind: "unknown" };

/** The record at the position, and one behind it. */
const recordsMax = 2;
/** A read may be empty although there is more: then the next one follows, so often at most. */
export const readsMax = 10;
/** The service answers five reads a second and shard. */
const readGapMillis = 200;

export interface PeekAt {
  readonly stream: KeptStream;
  readonly shardId: string;
  readonly position: Position;
  /** Of bounded input: what came then or later is none of it. */
  readonly end: Millis | null;
}

/** Reads at a position without taking anything. Throws nothing that passes. */
export async function peek(log: Log, clock: Clock, at: PeekAt): Promise<Peek> {
  try {
    return await follow(log, clock, at);
  } catch (error) {
    if (error instanceof StreamError && (error.kind === "transient" || error.kind === "ambiguous"))
      return { kind: "unknown" };
    throw error;
  }
}

async function follow(log: Log, clock: Clock, at: PeekAt): Promise<Peek> {
  const { stream, shardId, position } = at;
  const opened = await log.cursor(stream.stream, shardId, startOf(position));
  if (opened.kind === "throttled") return { kind: "unknown" };
  if (opened.kind === "absent") return { kind: "lost", error: shardGone(stream, shardId) };
  let { cursor } = opened;
  let isThere = false;
  for (let reads = 1; ; reads++) {
    const read = await log.read(stream.stream, cursor, recordsMax);
    if (read.kind !== "records") return { kind: "unknown" };
    isThere ||= isPosition(position, read.records[0]);
    const found = judge(at, read, isThere);
    if (found.kind !== "on") return found;
    // Something lies behind so many empty reads: a session, which remembers how far it came, will find it.
    if (reads === readsMax) return { kind: "news" };
    cursor = found.cursor;
    await clock.sleep(readGapMillis);
  }
}

const isPosition = (position: Position, first: LogRecord | undefined): boolean =>
  position.kind === "after" && first?.sequenceNumber === position.sequenceNumber;

type Judged = Peek | { readonly kind: "on"; readonly cursor: string };

/** P1: where the position's record is there nothing is missing; where it is not, the clock is asked. */
function judge(at: PeekAt, read: Extract<LogRead, { readonly kind: "records" }>, isThere: boolean): Judged {
  const { position } = at;
  if (read.records.length === 0 && read.behindMillis > 0 && read.next !== null)
    return { kind: "on", cursor: read.next };
  const error = isThere ? null : lossAt(at.stream, at.shardId, position, read.serverNow);
  if (error !== null) return { kind: "lost", error };
  // The rest of an aggregated record is behind the position.
  if (isThere && position.kind === "after" && position.sub !== null) return { kind: "news" };
  const behind = position.kind === "after" ? recordsAfter(read.records, position.sequenceNumber) : read.records;
  if (behind.some((record) => at.end === null || record.arrivedAt < at.end)) return { kind: "news" };
  if (behind.length > 0) return { kind: "quiet", serverNow: read.serverNow };
  if (read.next === null) return { kind: "news" };
  if (read.behindMillis > 0) return { kind: "on", cursor: read.next };
  return { kind: "quiet", serverNow: read.serverNow };
}
