import { gzipSync } from "node:zlib";
import { sliceBytesMax } from "../checkpoint/exchange.js";
import type { KeyGroups } from "../model/checkpoints.js";
import { invariant, StreamError } from "../model/errors.js";
import type { FrameSlice } from "../model/frames.js";
import { type Key, keyBytes, keyGroupCount, keyGroupOf, keyGroupOfKey } from "../model/keys.js";
import { sha256 } from "../model/sha256.js";
import { CborWriter } from "../state/cbor-writer.js";
import { frameHeader, recordMembers, shardMembers, sliceHeaderItem } from "./frame-format.js";
import type { RecordView } from "./record-view.js";

const compressedFromBytes = 1_024;
// Frames are written once and read once, soon: level 1 is quickest, and most of what there is to gain.
const gzipLevel = 1;
const gzipSystemByte = 9;

/** A frame as it leaves: see {@link FrameWriter.take}. */
export interface EncodedFrame {
  readonly bytes: Uint8Array | null;
  readonly slices: readonly FrameSlice[];
  readonly records: number;
}

/**
 * Records on their way to the tasks behind an edge, encoded as they come: a part for each consumer, which becomes a slice (E1).
 * docs/FRAME-FORMAT.md says how.
 *
 * @example
 * const writer = new FrameWriter("totals", [[0, 63], [64, 127]]);
 * writer.add("ann", 0, { amount: 5 }, record);
 * const { bytes, slices, records } = writer.take();
 */
export class FrameWriter {
  readonly #edge: string;
  /** Ascending. */
  readonly #parts: readonly Part[];
  readonly #byKeyGroup: (Part | undefined)[] = new Array<Part | undefined>(keyGroupCount).fill(undefined);
  #bytes = 0;
  #records = 0;
  /** Parts that have something since the mark. */
  readonly #touched: Part[] = [];
  #markedBytes = 0;
  #markedRecords = 0;

  /** @param consumers the key groups of each task that is fed, disjoint */
  constructor(edge: string, consumers: readonly KeyGroups[]) {
    this.#edge = edge;
    const header = new CborWriter({ startBytes: 64 });
    header.value(sliceHeaderItem(edge));
    const ascending = consumers.toSorted(([a], [b]) => a - b);
    this.#parts = ascending.map((keyGroups) => new Part(keyGroups, header.view()));
    for (const part of this.#parts) {
      const [first, last] = part.keyGroups;
      for (let keyGroup = first; keyGroup <= last; keyGroup += 1) this.#byKeyGroup[keyGroup] = part;
    }
  }

  /** Of all slices, not yet compressed. */
  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#records;
  }

  /**
   * @param input which side of a connect it comes from
   * @throws StreamError `invalid` for a value that would not come back, or what is no key; naming the edge. The frame is as before then
   */
  add(key: Key, input: 0 | 1, value: unknown, record: RecordView): void {
    let part: Part | undefined;
    try {
      // The bytes of a key that is not plain are its hash's and its encoding's.
      const encoded = isPlain(key) ? null : keyBytes(key);
      part = this.#byKeyGroup[encoded === null ? keyGroupOfKey(key) : keyGroupOf(encoded)];
      invariant(part !== undefined, "no task owns the key group of a key");
      if (!part.isTouched) this.#touch(part);
      this.#bytes += part.add(encoded ?? key, input, value, record);
      this.#records += 1;
    } catch (cause) {
      part?.dropLast();
      throw this.#refusal(cause);
    }
  }

  /** Where {@link rollback} goes back to. */
  mark(): void {
    for (const part of this.#touched) part.isTouched = false;
    this.#touched.length = 0;
    this.#markedBytes = this.#bytes;
    this.#markedRecords = this.#records;
  }

  /** Takes back what was added since the mark, or since the frame was begun. */
  rollback(): void {
    for (const part of this.#touched) part.rollback();
    this.#bytes = this.#markedBytes;
    this.#records = this.#markedRecords;
    this.mark();
  }

  /** The frame, and begins the next one. The same records give the same bytes. Without records it has no bytes, and no slices. */
  take(): EncodedFrame {
    const records = this.#records;
    const pieces: Uint8Array[] = [frameHeader()];
    const slices: FrameSlice[] = [];
    let offset = frameHeader().length;
    for (const part of this.#parts) {
      if (part.records === 0) continue;
      const count = part.records;
      const encoded = part.take();
      const stored = storedBytes(encoded);
      const codec = stored === encoded ? ("cbor" as const) : ("cbor+gzip" as const);
      const length = stored.length;
      slices.push({ keyGroups: part.keyGroups, offset, length, records: count, codec, sha256: sha256(stored) });
      pieces.push(stored);
      offset += length;
    }
    this.#bytes = 0;
    this.#records = 0;
    this.mark();
    return { bytes: records === 0 ? null : Buffer.concat(pieces), slices, records };
  }

  #touch(part: Part): void {
    part.mark();
    this.#touched.push(part);
  }

  #refusal(cause: unknown): unknown {
    if (!(cause instanceof StreamError)) return cause;
    return new StreamError(cause.kind, `on its way to operator "${this.#edge}": ${cause.message}`, { cause });
  }
}

/** Of these the writer's form is the canonical one. */
const isPlain = (key: Key): key is string | number => typeof key === "string" || Number.isSafeInteger(key);

/** A shard that a part has records of. What follows is told by the difference to its first one. */
interface Shard {
  readonly source: string;
  readonly shard: string;
  readonly index: number;
  readonly firstNumber: string;
  readonly firstArrival: number;
  /** The sequence number that came last: the records of an aggregate share one. */
  number: string;
  /** How much of it the first one has too, and the rest. */
  common: number;
  rest: string;
}

/** The records for one consumer. */
class Part {
  readonly keyGroups: KeyGroups;
  records = 0;
  /** Something was added since the mark of the frame. */
  isTouched = false;
  readonly #header: Uint8Array;
  readonly #writer = new CborWriter({ bytesMax: sliceBytesMax });
  readonly #shards: Shard[] = [];
  readonly #bySource = new Map<string, Map<string, Shard>>();
  /** Mostly the next record's, too. */
  #shard: Shard | null = null;
  readonly #marked = { size: 0, records: 0, shards: 0 };
  readonly #before = { size: 0, records: 0, shards: 0 };

  constructor(keyGroups: KeyGroups, header: Uint8Array) {
    this.keyGroups = keyGroups;
    this.#header = Uint8Array.from(header);
  }

  /** @param key or its bytes, where it is neither string nor whole number; @returns how many bytes came */
  add(key: Key | Uint8Array, input: 0 | 1, value: unknown, record: RecordView): number {
    const writer = this.#writer;
    const before = this.#before;
    before.size = writer.size;
    before.records = this.records;
    before.shards = this.#shards.length;
    if (before.size === 0) writer.raw(this.#header);
    this.#place(input, record);
    if (key instanceof Uint8Array) writer.raw(key.subarray(1));
    // 0 and -0 are one key.
    else writer.value(typeof key === "number" ? key + 0 : key);
    writer.value(value);
    this.records += 1;
    return writer.size - before.size;
  }

  take(): Uint8Array {
    this.records = 0;
    this.#forgetShards(0);
    return this.#writer.take();
  }

  mark(): void {
    this.isTouched = true;
    this.#marked.size = this.#writer.size;
    this.#marked.records = this.records;
    this.#marked.shards = this.#shards.length;
  }

  rollback(): void {
    this.#cutBack(this.#marked);
  }

  /** What the last {@link add} had written, which failed. */
  dropLast(): void {
    this.#cutBack(this.#before);
  }

  #cutBack(to: { readonly size: number; readonly records: number; readonly shards: number }): void {
    this.#writer.raw(this.#writer.take().subarray(0, to.size));
    this.records = to.records;
    this.#forgetShards(to.shards);
  }

  /** The head of a record, and where it stood. */
  #place(input: 0 | 1, record: RecordView): void {
    const shard = this.#shardOf(record);
    const { sequenceNumber, arrivedAt } = record;
    if (sequenceNumber !== shard.number) compare(shard, sequenceNumber);
    const writer = this.#writer;
    writer.arrayOf(recordMembers);
    writer.value(input);
    writer.value(shard.index);
    writer.value(shard.common);
    writer.value(shard.rest);
    writer.value(record.subSequenceNumber);
    writer.value(arrivedAt === null ? null : arrivedAt - shard.firstArrival);
  }

  #shardOf(record: RecordView): Shard {
    const { source, shard } = record;
    const last = this.#shard;
    if (last !== null && last.shard === shard && last.source === source) return last;
    const found = this.#bySource.get(source)?.get(shard) ?? this.#newShard(record);
    this.#shard = found;
    return found;
  }

  #newShard({ source, shard, sequenceNumber, arrivedAt }: RecordView): Shard {
    const firstArrival = arrivedAt ?? 0;
    const writer = this.#writer;
    writer.arrayOf(shardMembers);
    writer.value(source);
    writer.value(shard);
    writer.value(sequenceNumber);
    writer.value(firstArrival);
    const all = { common: sequenceNumber.length, rest: "" };
    const index = this.#shards.length;
    const made: Shard = {
      source,
      shard,
      index,
      firstNumber: sequenceNumber,
      firstArrival,
      number: sequenceNumber,
      ...all,
    };
    this.#shards.push(made);
    const siblings = this.#bySource.get(source);
    if (siblings === undefined) this.#bySource.set(source, new Map([[shard, made]]));
    else siblings.set(shard, made);
    return made;
  }

  /** All but the first so many. */
  #forgetShards(kept: number): void {
    for (const { source, shard } of this.#shards.splice(kept)) this.#bySource.get(source)?.delete(shard);
    this.#shard = null;
  }
}

/** Sequence numbers of a shard begin alike: they count on, in the order of the log. */
function compare(shard: Shard, number: string): void {
  const { firstNumber } = shard;
  const most = Math.min(firstNumber.length, number.length);
  let common = 0;
  while (common < most && firstNumber.charCodeAt(common) === number.charCodeAt(common)) common += 1;
  shard.number = number;
  shard.common = common;
  shard.rest = number.slice(common);
}

/** The bytes, compressed if that pays. */
function storedBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length < compressedFromBytes) return bytes;
  const zipped = gzipSync(bytes, { level: gzipLevel });
  zipped[gzipSystemByte] = 0xff; // "unknown": zlib names the operating system here
  return zipped.length < bytes.length ? zipped : bytes;
}
