import { lossAt, shardGone, startOf } from "../checkpoint/retention.js";
import { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";
import type { Position } from "../model/shards.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogCursor, LogLines, LogRecord, LogRecords } from "../ports/log.js";

/** What reading a shard keeps between two reads. */
export interface ShardCursor {
  cursor: string | null;
  lastReadAt: Millis;
  /** P1: since it was opened, the position was found to be still there. */
  verified: boolean;
}

/** What a read gave, and what of it is behind the position: all but its first `skip` records. */
export interface Fetched {
  readonly read: LogRecords | LogLines;
  readonly skip: number;
  /** Of the first record behind the position the user records up to this one were taken; null: it is whole. */
  readonly sub: number | null;
}

/** The service's limits: 5 reads a second and shard, 10,000 records a read. */
export const readGapMillis = 200;
export const recordsMax = 10_000;
const emptyGapMillis = 500;
const busyPauseMillis = 1_000;
const troublesMax = 10;
/** A cursor lives five minutes: one that is expired as soon as it is made is no cursor. */
const expirationsMax = 10;

interface Stream {
  readonly name: string;
  readonly stream: string;
  readonly retentionMillis: number;
}

/**
 * The next batch of a shard behind `position`; may be empty. Expired cursors are made anew, throttling and passing troubles wait.
 *
 * @throws StreamError `invalid`: the shard or the position is past the stream's retention (P1)
 */
export async function readShard(
  log: Log,
  clock: Clock,
  stream: Stream,
  shard: ShardCursor & { readonly entry: { readonly shardId: string }; readonly caughtUp: boolean },
  position: Position,
  signal: AbortSignal,
): Promise<Fetched> {
  const gap = shard.caughtUp ? emptyGapMillis : readGapMillis;
  const pause = shard.lastReadAt + gap - clock.now();
  // A timer of no length takes a millisecond, in which a file gives a thousand lines.
  if (pause > 0) await clock.sleep(pause, signal);
  let expirations = 0;
  for (let troubles = 0; ; ) {
    if (signal.aborted) throw new StreamError("fenced", "the session ends");
    const read = await attempt(log, clock, stream, shard, position);
    if (read.kind === "fetched") return read.fetched;
    if (read.kind === "trouble" && ++troubles === troublesMax) throw read.error;
    if (read.kind === "expired" && ++expirations === expirationsMax) throw neverFresh(stream, shard.entry.shardId);
    await clock.sleep(read.kind === "expired" ? readGapMillis : busyPauseMillis, signal);
  }
}

type Attempt =
  | { readonly kind: "fetched"; readonly fetched: Fetched }
  | { readonly kind: "expired" | "throttled" }
  | { readonly kind: "trouble"; readonly error: StreamError };

async function attempt(
  log: Log,
  clock: Clock,
  stream: Stream,
  shard: ShardCursor & { readonly entry: { readonly shardId: string } },
  position: Position,
): Promise<Attempt> {
  try {
    if (shard.cursor === null) {
      const opened: LogCursor = await log.cursor(stream.stream, shard.entry.shardId, startOf(position));
      if (opened.kind === "throttled") return opened;
      if (opened.kind === "absent") throw shardGone(stream, shard.entry.shardId);
      shard.cursor = opened.cursor;
      shard.verified = position.kind !== "after";
    }
    shard.lastReadAt = clock.now();
    const read = await log.read(stream.stream, shard.cursor, recordsMax);
    if (read.kind === "records") return { kind: "fetched", fetched: accept(stream, shard, position, read) };
    if (read.kind === "lines") return { kind: "fetched", fetched: acceptLines(shard, read) };
    if (read.kind === "expired") shard.cursor = null;
    return read;
  } catch (error) {
    if (error instanceof StreamError && error.kind === "transient") return { kind: "trouble", error };
    throw error;
  }
}

/** P1: a position is read AT its sequence number, whose record is dropped. Only where it is not there, readTo decides. */
function accept(
  stream: Stream,
  shard: ShardCursor & { readonly entry: { readonly shardId: string } },
  position: Position,
  read: LogRecords,
): Fetched {
  shard.cursor = read.next;
  if (shard.verified || position.kind !== "after") {
    checkRetention(stream, shard.entry.shardId, position, read.serverNow);
    return { read, skip: 0, sub: null };
  }
  const [first] = read.records;
  if (first === undefined && read.behindMillis > 0) return { read, skip: 0, sub: null };
  shard.verified = true;
  if (first?.sequenceNumber === position.sequenceNumber) {
    return position.sub === null ? { read, skip: 1, sub: null } : { read, skip: 0, sub: position.sub };
  }
  if (position.sub !== null) throw restGone(stream, shard.entry.shardId, position);
  checkRetention(stream, shard.entry.shardId, position, read.serverNow);
  return { read, skip: countBefore(read.records, position.sequenceNumber), sub: null };
}

/** That a line begins at the position was seen when the cursor was made. A file may be read as often as one likes. */
function acceptLines(shard: ShardCursor, read: LogLines): Fetched {
  const skip = shard.verified ? 0 : 1;
  shard.cursor = read.next;
  shard.verified = true;
  shard.lastReadAt = millis(0);
  return { read, skip, sub: null };
}

/** Those up to a sequence number, itself too. They differ in length: they are compared as integers. */
function countBefore(records: readonly LogRecord[], sequenceNumber: string): number {
  const after = BigInt(sequenceNumber);
  const first = records.findIndex((record) => BigInt(record.sequenceNumber) > after);
  return first === -1 ? records.length : first;
}

/** P1: it never skips ahead silently. */
function checkRetention(stream: Stream, shardId: string, position: Position, serverNow: Millis): void {
  const loss = lossAt(stream, shardId, position, serverNow);
  if (loss !== null) throw loss;
}

/** P1: what was not yet taken of an aggregate went with it, whatever a clock says. */
function restGone(
  stream: Stream,
  shardId: string,
  position: Extract<Position, { readonly kind: "after" }>,
): StreamError {
  return new StreamError(
    "invalid",
    `source "${stream.name}", shard ${shardId}: sequence number ${position.sequenceNumber} of stream "${stream.stream}" is gone, of which only the user records up to ${position.sub} were taken: the rest is lost (P1)`,
  );
}

function neverFresh(stream: Stream, shardId: string): StreamError {
  return new StreamError(
    "transient",
    `source "${stream.name}", shard ${shardId}: ${expirationsMax} cursors in a row were expired when they were made`,
  );
}
