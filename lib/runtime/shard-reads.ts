import { StreamError } from "../model/errors.js";
import type { Millis } from "../model/ids.js";
import type { Position } from "../model/shards.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogCursor, LogRead, LogRecord, LogStart } from "../ports/log.js";

/** What reading a shard keeps between two reads. */
export interface ShardCursor {
  cursor: string | null;
  lastReadAt: Millis;
  /** P1: since it was opened, the position was found to be still there. */
  verified: boolean;
}

/** Records behind the position. */
export type Batch = Extract<LogRead, { readonly kind: "records" }>;

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
): Promise<Batch> {
  const gap = shard.caughtUp ? emptyGapMillis : readGapMillis;
  await clock.sleep(Math.max(0, shard.lastReadAt + gap - clock.now()), signal);
  let expirations = 0;
  for (let troubles = 0; ; ) {
    if (signal.aborted) throw new StreamError("fenced", "the session ends");
    const read = await attempt(log, clock, stream, shard, position);
    if (read.kind === "records") return read;
    if (read.kind === "trouble" && ++troubles === troublesMax) throw read.error;
    if (read.kind === "expired" && ++expirations === expirationsMax) throw neverFresh(stream, shard.entry.shardId);
    await clock.sleep(read.kind === "expired" ? readGapMillis : busyPauseMillis, signal);
  }
}

type Attempt =
  | Batch
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
    if (read.kind === "records") return accept(stream, shard, position, read);
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
  read: Batch,
): Batch {
  shard.cursor = read.next;
  if (shard.verified || position.kind !== "after") {
    checkRetention(stream, shard.entry.shardId, position, read.serverNow);
    return read;
  }
  const [first] = read.records;
  if (first === undefined && read.behindMillis > 0) return read;
  shard.verified = true;
  if (first?.sequenceNumber === position.sequenceNumber) return { ...read, records: read.records.slice(1) };
  checkRetention(stream, shard.entry.shardId, position, read.serverNow);
  return { ...read, records: behind(read.records, position.sequenceNumber) };
}

/** Sequence numbers differ in length: they are compared as integers. */
function behind(records: readonly LogRecord[], sequenceNumber: string): readonly LogRecord[] {
  const after = BigInt(sequenceNumber);
  return records.filter((record) => BigInt(record.sequenceNumber) > after);
}

/** P1: it never skips ahead silently. Nothing is promised of `horizon`. */
function checkRetention(stream: Stream, shardId: string, position: Position, serverNow: Millis): void {
  if (position.readTo === null || position.readTo + stream.retentionMillis >= serverNow) return;
  throw new StreamError(
    "invalid",
    `source "${stream.name}", shard ${shardId}: records after ${describe(position)} are past the retention of ${stream.retentionMillis / 3_600_000} h of stream "${stream.stream}" (read up to ${new Date(position.readTo).toISOString()}, it is ${new Date(serverNow).toISOString()}): they are gone (P1)`,
  );
}

const describe = (position: Position): string =>
  position.kind === "after" ? `sequence number ${position.sequenceNumber}` : `its ${position.kind}`;

function shardGone(stream: Stream, shardId: string): StreamError {
  return new StreamError(
    "invalid",
    `source "${stream.name}": stream "${stream.stream}" has no shard ${shardId} any more, and it was not read to its end (P1): its records are past the retention, or the stream was made anew`,
  );
}

function neverFresh(stream: Stream, shardId: string): StreamError {
  return new StreamError(
    "transient",
    `source "${stream.name}", shard ${shardId}: ${expirationsMax} cursors in a row were expired when they were made`,
  );
}

function startOf(position: Position): LogStart {
  switch (position.kind) {
    case "horizon":
    case "beginning":
      return { kind: "horizon" };
    case "timestamp":
      return { kind: "timestamp", at: position.at };
    case "after":
      return { kind: "at", sequenceNumber: position.sequenceNumber };
  }
}
