import { StreamError } from "../model/errors.js";
import type { ReadTimes } from "../model/head.js";
import { type Millis, millis } from "../model/ids.js";
import type { Position, ShardTable } from "../model/shards.js";
import type { LogRecord, LogStart } from "../ports/log.js";

// P1: a position is read AT its sequence number, whose record is dropped. Where it is there, nothing is missing. Only where it is
// not, `readTo` decides, by the server's clock.

/** A stream as messages name it: of which source, and how long it keeps records. */
export interface KeptStream {
  readonly name: string;
  readonly stream: string;
  readonly retentionMillis: number;
}

/** The server tells its time in whole seconds, rounded down (the Date header): it may be as much later. */
const serverClockMillis = 1_000;

/** Whether records that arrived after `readTo` may be older than the stream keeps them. */
export const mayBePast = (readTo: Millis, retentionMillis: number, serverNow: Millis): boolean =>
  readTo + retentionMillis < serverNow + serverClockMillis;

/** Of a position whose record is not there. Nothing is promised of `horizon`. */
export function lossAt(stream: KeptStream, shardId: string, position: Position, serverNow: Millis): StreamError | null {
  if (position.readTo === null || !mayBePast(position.readTo, stream.retentionMillis, serverNow)) return null;
  return pastRetention(stream, shardId, `records after ${describe(position)}`, position.readTo, serverNow);
}

/** @param what it is that may be gone, such as `records after sequence number 7` */
export function pastRetention(
  stream: KeptStream,
  shardId: string,
  what: string,
  readTo: Millis,
  serverNow: Millis,
): StreamError {
  return new StreamError(
    "invalid",
    `source "${stream.name}", shard ${shardId}: ${what} are past the retention of ${stream.retentionMillis / 3_600_000} h of stream "${stream.stream}" (read up to ${iso(readTo)}, it is ${iso(serverNow)}): they may be gone (P1). Nothing can bring them back: begin anew under another pipeline name, and give the stream a longer retention`,
  );
}

export function shardGone(stream: KeptStream, shardId: string): StreamError {
  return new StreamError(
    "invalid",
    `source "${stream.name}": stream "${stream.stream}" has no shard ${shardId} any more, and it was not read to its end (P1): its records are past the retention, or the stream was made anew`,
  );
}

/** From where a position is read. */
export function startOf(position: Position): LogStart {
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

/** Sequence numbers differ in length: they are compared as integers. */
export function recordsAfter(records: readonly LogRecord[], sequenceNumber: string): readonly LogRecord[] {
  const after = BigInt(sequenceNumber);
  return records.filter((record) => BigInt(record.sequenceNumber) > after);
}

/** N3: the table with what is known of its positions since. A `readTo` only ever becomes later. */
export function readFurther(table: ShardTable, readTo: ReadTimes | null): ShardTable {
  if (readTo === null) return table;
  const sources = Object.entries(table).map(([name, source]) => {
    const shards = source.shards.map((entry) => {
      const later = readTo[name]?.[entry.shardId];
      if (later === undefined || entry.at.kind !== "open") return entry;
      return { ...entry, at: { ...entry.at, position: readToAtLeast(entry.at.position, later) } };
    });
    return [name, { ...source, shards }] as const;
  });
  return Object.fromEntries(sources);
}

/** P0: of the horizon nothing is promised, before its first read or after. */
function readToAtLeast(position: Position, later: Millis): Position {
  if (position.readTo === null) return position;
  return { ...position, readTo: millis(Math.max(position.readTo, later)) };
}

const describe = (position: Position): string =>
  position.kind === "after" ? `sequence number ${position.sequenceNumber}` : `its ${position.kind}`;

const iso = (time: Millis): string => new Date(time).toISOString();
