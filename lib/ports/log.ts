import type { Millis } from "../model/ids.js";

export interface LogShard {
  readonly shardId: string;
  /** One after a split, two after a merge. A parent that was trimmed may no longer be listed itself. */
  readonly parents: readonly string[];
  /** Decimal, inclusive: the range of MD5 hashes of partition keys. */
  readonly hashKeys: readonly [first: string, last: string];
}

export interface LogRecord {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly data: Uint8Array;
  readonly arrivedAt: Millis;
}

/** `at`: the record with exactly this sequence number, or, where it is gone, silently the oldest one later (P1 is the caller's). */
export type LogStart =
  | { readonly kind: "horizon" }
  | { readonly kind: "timestamp"; readonly at: Millis }
  | { readonly kind: "at"; readonly sequenceNumber: string };

/** `throttled`: not now. Asked too often, or for a start at a time that the server's clock has not reached. */
export type LogCursor =
  | { readonly kind: "cursor"; readonly cursor: string }
  | { readonly kind: "absent" }
  | { readonly kind: "throttled" };

export interface LogRecords {
  readonly kind: "records";
  readonly records: readonly LogRecord[];
  /** null: the shard is closed and this was its end. */
  readonly next: string | null;
  readonly behindMillis: number;
  /** The server's clock at the answer. */
  readonly serverNow: Millis;
}

/**
 * A block of a text, made of whole lines. Each line that is not empty is a record without its line end ("\n" or "\r\n"); its
 * sequence number is the offset of its first byte, in decimal. One string for all of them: a record costs no object.
 */
export interface LogLines {
  readonly kind: "lines";
  readonly bytes: Uint8Array;
  /** The bytes as text; null where they are not all UTF-8. */
  readonly text: string | null;
  /** Of the first byte. */
  readonly offset: number;
  /** null: this was the end. */
  readonly next: string | null;
}

export type LogRead = LogRecords | LogLines | { readonly kind: "expired" } | { readonly kind: "throttled" };

export type LogDescription =
  | {
      readonly kind: "found";
      readonly arn: string;
      readonly createdAt: Millis;
      readonly retentionMillis: number;
      readonly serverNow: Millis;
    }
  | { readonly kind: "absent" };

/**
 * A sharded log read by sequence number: Kinesis, or a file as one shard of lines. Records of a shard have one order, and reading again gives them again.
 * Sequence numbers are decimal and compared as integers: they differ in length.
 */
export interface Log {
  describe(stream: string): Promise<LogDescription>;
  /** All shards that are still kept, closed ones too. May be old: a shard that was just made may be missing. */
  shards(stream: string): Promise<readonly LogShard[]>;
  cursor(stream: string, shardId: string, start: LogStart): Promise<LogCursor>;
  /** At most `limit` records and 10 MB; may be empty although there is more. A cursor lives five minutes. */
  read(stream: string, cursor: string, limit: number): Promise<LogRead>;
}
