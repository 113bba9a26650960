import type { DedupeState } from "../model/dedupe.js";
import { StreamError } from "../model/errors.js";
import type { Millis } from "../model/ids.js";
import type { RecordView } from "./record-view.js";

/** Who gets the records of a batch. */
export interface Receiver {
  readonly take: (value: unknown, record: RecordView) => void;
  /** Asked after each record. Where it says no, the rest stays for later. */
  readonly mayGoOn: () => boolean;
  /** Gets what does not decode; where it returns, the record counts as taken. */
  readonly onBad: (error: StreamError, record: RecordView) => void;
}

/** `end`: the next record is past the end of the input. */
export type Given = "usedUp" | "stopped" | "end";

/** The last record that a position is behind. `sub`: within its aggregate, where that is not used up. */
export interface Place {
  readonly sequenceNumber: string;
  readonly sub: number | null;
  readonly arrivedAt: Millis | null;
}

/** The records of one read that are not yet taken. */
export interface Batch {
  /** Gives records one by one, until they are used up or the receiver has enough. May be called again for the rest. */
  give(to: Receiver): Given;
  /** Something was given, or passed over. */
  readonly isBegun: boolean;
  /** C6: what was taken of the shard up to {@link place}; undefined: repeats are not left out. */
  taken(): DedupeState | undefined;
  /** Behind which the position is after what was given so far; null: nothing was. */
  place(): Place | null;
}

/** The record is named, never quoted: an error of a codec of somebody's own may hold its body. */
export function undecodable(record: RecordView, codec: string, cause: unknown): StreamError {
  const why = cause instanceof StreamError ? cause.message : "it does not decode";
  const sub = record.subSequenceNumber === null ? "" : `, user record ${record.subSequenceNumber}`;
  return new StreamError(
    "invalid",
    `source "${record.source}", shard ${record.shard}, sequence number ${record.sequenceNumber}${sub}: ${why} (codec ${codec})`,
    { cause },
  );
}
