import { lineDecoder } from "../model/lines.js";
import type { Source } from "../pipeline/source.js";
import type { LogLines } from "../ports/log.js";
import { type Batch, type Given, type Place, type Receiver, undecodable } from "./batch.js";
import type { CurrentRecord, ShardView } from "./record-view.js";

/** A block as lines are found in it: by characters of its text, or by bytes where it is none. */
interface Block {
  readonly length: number;
  /** Of the next line feed from there on; -1: there is none. */
  readonly lineFeed: (from: number) => number;
  readonly hasReturn: (at: number) => boolean;
  readonly decode: (from: number, to: number) => unknown;
  /** How many bytes lie between. */
  readonly bytes: (from: number, to: number) => number;
}

/** Lines of a file. A line costs no object and no copy but what its value is made of. */
export class LineBatch implements Batch, CurrentRecord {
  readonly #source: Source<unknown>;
  readonly #view: ShardView;
  readonly #read: LogLines;
  readonly #block: Block;
  /** Where the next line begins. */
  #next: number;
  /** The line that is given, or was given last. */
  #from = -1;
  #to = -1;
  /** A place whose offset in bytes is known: those of later ones are counted from there. */
  #known = { at: 0, bytes: 0 };

  /** @param behind where the first line behind the position begins: `skip` lines later than the block */
  constructor(source: Source<unknown>, view: ShardView, read: LogLines, behind: { readonly skip: number }) {
    this.#source = source;
    this.#view = view;
    this.#read = read;
    this.#block = blockOf(source, read);
    this.#next = 0;
    for (let skipped = 0; skipped < behind.skip; skipped++) this.#next = this.#lineEnd(this.#next) + 1;
  }

  give(to: Receiver): Given {
    const view = this.#view;
    const { length, hasReturn } = this.#block;
    view.at = this;
    while (this.#next < length) {
      const from = this.#next;
      const end = this.#lineEnd(from);
      const last = end > from && hasReturn(end - 1) ? end - 1 : end;
      if (last === from) {
        this.#next = end + 1;
        continue;
      }
      this.#from = from;
      this.#to = last;
      this.#deliver(from, last, to);
      this.#next = end + 1;
      if (!to.mayGoOn()) return this.#next < length ? "stopped" : "usedUp";
    }
    return "usedUp";
  }

  get isBegun(): boolean {
    return this.#from !== -1;
  }

  /** Whoever writes a file writes no repeats. */
  taken(): undefined {
    return undefined;
  }

  place(): Place | null {
    return !this.isBegun ? null : { sequenceNumber: this.sequenceNumber, sub: null, arrivedAt: null };
  }

  get sequenceNumber(): string {
    return String(this.#read.offset + this.#byteAt(this.#from));
  }
  get data(): Uint8Array {
    const from = this.#byteAt(this.#from);
    return this.#read.bytes.subarray(from, from + this.#block.bytes(this.#from, this.#to));
  }
  readonly subSequenceNumber = null;
  readonly arrivedAt = null;

  #lineEnd(from: number): number {
    const found = this.#block.lineFeed(from);
    return found === -1 ? this.#block.length : found;
  }

  #deliver(from: number, end: number, to: Receiver): void {
    let value: unknown;
    try {
      value = this.#block.decode(from, end);
    } catch (cause) {
      to.onBad(undecodable(this.#view, this.#source.codec.name, cause), this.#view);
      return;
    }
    to.take(value, this.#view);
  }

  /** Counted from the end, where that is nearer: a batch that is used up stands at its last line. */
  #byteAt(at: number): number {
    const { length, bytes } = this.#block;
    const known = this.#known;
    if (length - at < at - known.at) return this.#read.bytes.length - bytes(at, length);
    if (at > known.at) this.#known = { at, bytes: known.bytes + bytes(known.at, at) };
    return this.#known.bytes;
  }
}

const returnCode = 13;
const feedCode = 10;

function blockOf(source: Source<unknown>, { bytes, text }: LogLines): Block {
  const { codec } = source;
  if (text === null) {
    return {
      length: bytes.length,
      lineFeed: (from) => bytes.indexOf(feedCode, from),
      hasReturn: (at) => bytes[at] === returnCode,
      decode: (from, to) => codec.decode(bytes.subarray(from, to)),
      bytes: (from, to) => to - from,
    };
  }
  const isAscii = text.length === bytes.length;
  return {
    length: text.length,
    lineFeed: (from) => text.indexOf("\n", from),
    hasReturn: (at) => text.charCodeAt(at) === returnCode,
    decode: lineDecoder(codec).block(text),
    bytes: (from, to) => (isAscii ? to - from : Buffer.byteLength(text.slice(from, to))),
  };
}
