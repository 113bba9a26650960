import type { Millis } from "../model/ids.js";

/** A record and where it stood. One object for all records of a shard: it is good only during the call that it is given to. */
export interface RecordView {
  /** The source's name in the pipeline. */
  readonly source: string;
  readonly shard: string;
  readonly sequenceNumber: string;
  /** The place in an aggregate, from 0; null: a record of its own. */
  readonly subSequenceNumber: number | null;
  /** Of the server's clock; null where the log knows no time. */
  readonly arrivedAt: Millis | null;
  /** The record as it is in the log, not yet decoded. */
  readonly data: Uint8Array;
}

/** The record that a batch is at. */
export type CurrentRecord = Pick<RecordView, "sequenceNumber" | "subSequenceNumber" | "arrivedAt" | "data">;

/** What nobody asks for is not made: no number as text, no copy of the bytes. */
export class ShardView implements RecordView {
  /** Set before the first record is given. */
  at: CurrentRecord = before;

  constructor(
    readonly source: string,
    readonly shard: string,
  ) {}

  get sequenceNumber(): string {
    return this.at.sequenceNumber;
  }
  get subSequenceNumber(): number | null {
    return this.at.subSequenceNumber;
  }
  get arrivedAt(): Millis | null {
    return this.at.arrivedAt;
  }
  get data(): Uint8Array {
    return this.at.data;
  }
}

const before: CurrentRecord = { sequenceNumber: "", subSequenceNumber: null, arrivedAt: null, data: new Uint8Array(0) };
