import type { KeyGroups } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { FrameSlice } from "../model/frames.js";
import { type Millis, millis } from "../model/ids.js";
import { type Key, keyGroupOfKey } from "../model/keys.js";
import { CborReader } from "../state/cbor-reader.js";
import { CborWriter } from "../state/cbor-writer.js";
import { checkSliceHeader, recordMembers, shardMembers } from "./frame-format.js";
import type { RecordView } from "./record-view.js";

/** What a slice tells once of a shard. */
interface Shard {
  readonly source: string;
  readonly shard: string;
  readonly firstNumber: string;
  readonly firstArrival: number;
}

const nowhere: Shard = { source: "", shard: "", firstNumber: "", firstArrival: 0 };

/**
 * The records of a slice, one after the other, in the order in which they were added. Its bytes were checked by who read them (P3).
 *
 * @example
 * const reader = new SliceReader("totals", bytes, slice, [0, 63]);
 * while (reader.next()) operator.take(reader.key, reader.input, reader.value, reader.record);
 */
export class SliceReader {
  key: Key = "";
  /** Which side of a connect it comes from. */
  input: 0 | 1 = 0;
  value: unknown = undefined;
  /** Good until the next call of {@link next}. */
  readonly record: RecordView;
  readonly #edge: string;
  readonly #bytes: Uint8Array;
  readonly #slice: FrameSlice;
  readonly #wanted: KeyGroups;
  readonly #isAllWanted: boolean;
  readonly #reader: CborReader;
  readonly #shards: Shard[] = [];
  readonly #place: FramePlace;
  #seen = 0;
  /** Follows, when the data of a record is asked for: the values that were given may have been changed since. */
  #shadow: SliceReader | null = null;

  /**
   * @param edge the operator that it feeds
   * @param bytes as they were before compression
   * @param wanted records of other key groups are passed over
   * @throws StreamError `corrupt` where it is no slice of that edge
   */
  constructor(edge: string, bytes: Uint8Array, slice: FrameSlice, wanted: KeyGroups) {
    this.#edge = edge;
    this.#bytes = bytes;
    this.#slice = slice;
    this.#wanted = wanted;
    this.#isAllWanted = wanted[0] <= slice.keyGroups[0] && slice.keyGroups[1] <= wanted[1];
    this.#reader = new CborReader(bytes);
    this.#place = new FramePlace(() => this.#data());
    this.record = this.#place;
    this.#within(() => checkSliceHeader(this.#reader.value(), edge));
  }

  /** Goes to the next record that is wanted. False where there is none. @throws StreamError `corrupt` */
  next(): boolean {
    try {
      for (;;) {
        if (this.#reader.done) return this.#end();
        this.#read();
        if (this.#isAllWanted || this.#isWanted()) return true;
      }
    } catch (cause) {
      throw this.#corrupt(cause);
    }
  }

  #isWanted(): boolean {
    const keyGroup = keyGroupOfKey(this.key);
    return this.#wanted[0] <= keyGroup && keyGroup <= this.#wanted[1];
  }

  #read(): void {
    const reader = this.#reader;
    let members = reader.arrayOf();
    if (members === shardMembers) {
      this.#shards.push(shardOf(reader));
      members = reader.arrayOf();
    }
    const input = reader.value();
    const shard = this.#shards[reader.value() as number];
    if (members !== recordMembers || (input !== 0 && input !== 1) || shard === undefined) {
      throw new StreamError("corrupt", "a record that is none");
    }
    this.#place.read(shard, reader);
    this.key = reader.value() as Key;
    this.input = input;
    this.value = reader.value();
    this.#seen += 1;
  }

  #end(): false {
    if (this.#seen === this.#slice.records) return false;
    throw new StreamError("corrupt", `${this.#seen} records, ${this.#slice.records} were written`);
  }

  /** What dead letters keep of a record: as JSON, or, where that cannot say it, as CBOR. */
  #data(): Uint8Array {
    this.#shadow ??= new SliceReader(this.#edge, this.#bytes, this.#slice, this.#wanted);
    while (this.#shadow.#seen < this.#seen) this.#shadow.next();
    const { value } = this.#shadow;
    if (isJson(value)) return Buffer.from(JSON.stringify(value), "utf8");
    const writer = new CborWriter();
    writer.value(value);
    return writer.take();
  }

  /** The hash was right, so a failure in here is the writer's or the reader's, yet nothing to build on. */
  #within(read: () => void): void {
    try {
      read();
    } catch (cause) {
      throw this.#corrupt(cause);
    }
  }

  #corrupt(cause: unknown): StreamError {
    const where = `a frame of edge "${this.#edge}", slice at byte ${this.#slice.offset}, record ${this.#seen + 1}`;
    return new StreamError("corrupt", `${where}: ${asStreamError(cause).message}`, { cause });
  }
}

function shardOf(reader: CborReader): Shard {
  const source = reader.value();
  const shard = reader.value();
  const firstNumber = reader.value();
  const firstArrival = reader.value();
  if (typeof source === "string" && typeof shard === "string" && typeof firstNumber === "string") {
    if (typeof firstArrival === "number") return { source, shard, firstNumber, firstArrival };
  }
  throw new StreamError("corrupt", "a shard that is none");
}

/** Where a record stood before it was sent. What nobody asks for is not made. */
class FramePlace implements RecordView {
  subSequenceNumber: number | null = null;
  arrivedAt: Millis | null = null;
  #shard: Shard = nowhere;
  #common = 0;
  #rest = "";
  readonly #dataOf: () => Uint8Array;

  constructor(dataOf: () => Uint8Array) {
    this.#dataOf = dataOf;
  }

  /** The members that say it. */
  read(shard: Shard, reader: CborReader): void {
    this.#shard = shard;
    const common = reader.value();
    const rest = reader.value();
    const sub = reader.value();
    const later = reader.value();
    if (typeof common !== "number" || typeof rest !== "string" || !isNumberOrNull(sub) || !isNumberOrNull(later)) {
      throw new StreamError("corrupt", "a place that is none");
    }
    this.#common = common;
    this.#rest = rest;
    this.subSequenceNumber = sub;
    this.arrivedAt = later === null ? null : millis(shard.firstArrival + later);
  }

  get source(): string {
    return this.#shard.source;
  }
  get shard(): string {
    return this.#shard.shard;
  }
  get sequenceNumber(): string {
    const { firstNumber } = this.#shard;
    return this.#rest === "" && this.#common === firstNumber.length
      ? firstNumber
      : firstNumber.slice(0, this.#common) + this.#rest;
  }
  get data(): Uint8Array {
    return this.#dataOf();
  }
}

const isNumberOrNull = (item: unknown): item is number | null => item === null || typeof item === "number";

/** Whether JSON says the value, so that a person, too, can read it: members that are undefined it leaves out, a Date it writes out. */
function isJson(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  if (value instanceof Date) return Number.isFinite(value.getTime());
  if (Array.isArray(value)) return value.every(isJson);
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).every((member) => member === undefined || isJson(member));
}
