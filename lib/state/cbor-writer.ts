import { StreamError } from "../model/errors.js";
import { encodeWtf8 } from "./wtf8.js";

/** Deeper than this a value is taken to refer to itself. */
export const valueDepthMax = 256;

/** No single run of items may grow beyond this: 1 GiB. */
export const itemsBytesMax = 1 << 30;

const startBytes = 4 * 1024;
const shortTextMax = 24;

/**
 * Writes values as CBOR (RFC 8949), one item after the other (RFC 8742), for other languages to read and to come back as they were.
 * Our own rather than a library's because state must return exactly: the usual encoders rename a member `__proto__`, write
 * small bigints and -0 as plain integers, give Map and object one form, and write class instances as objects without a word.
 *
 * | JavaScript | CBOR |
 * |---|---|
 * | whole number inside ±(2^53 − 1), but -0 | integer, shortest form |
 * | other number | float: half for -0, NaN and infinities, else single if exact, else double |
 * | bigint | bignum, tag 2 or 3, always |
 * | string | text; with a lone surrogate: tag 273 (WTF-8) on bytes |
 * | undefined, null, boolean | simple values |
 * | Uint8Array | bytes |
 * | Date | tag 1 on seconds |
 * | array | array |
 * | plain object | map with text keys, in the object's order |
 * | Map | tag 259 on a map, in the map's order |
 * | Set | tag 258 on an array, in the set's order |
 */
export class CborWriter {
  #bytes: Buffer;
  #size = 0;
  #depth = 0;
  readonly #bytesMax: number;

  constructor(options: { readonly bytesMax?: number; readonly startBytes?: number } = {}) {
    this.#bytesMax = options.bytesMax ?? itemsBytesMax;
    this.#bytes = Buffer.allocUnsafe(options.startBytes ?? startBytes);
  }

  /** Bytes written since the last {@link take}. */
  get size(): number {
    return this.#size;
  }

  /** What was written since the last call, as bytes of their own. The writer starts anew. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.#size);
    taken.set(this.#bytes.subarray(0, this.#size));
    this.#size = 0;
    this.#depth = 0;
    return taken;
  }

  /** What was written since the last {@link take}, to be read at once: the writer goes on in the same memory. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Bytes that are CBOR already. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  /** The beginning of an array: `length` items follow. */
  arrayOf(length: number): void {
    this.#head(0x80, length);
  }

  /** The beginning of an array of three whose first item is a number from 0 to 255, in one piece: each key of a snapshot has it. */
  entryOf(group: number): void {
    this.#room(3);
    const bytes = this.#bytes;
    let at = this.#size;
    bytes[at++] = 0x83;
    if (group >= 24) bytes[at++] = 0x18;
    bytes[at++] = group;
    this.#size = at;
  }

  /** The beginning of a text: `length` bytes of UTF-8 follow. */
  textOf(length: number): void {
    this.#head(0x60, length);
  }

  /** @throws StreamError `invalid` for a value that would not come back: an instance of a class, a function, a symbol, a cycle */
  value(value: unknown): void {
    switch (typeof value) {
      case "string":
        this.#text(value);
        return;
      case "number":
        this.#number(value);
        return;
      case "boolean":
        this.#byte(value ? 0xf5 : 0xf4);
        return;
      case "undefined":
        this.#byte(0xf7);
        return;
      case "bigint":
        this.#bigint(value);
        return;
      case "object":
        if (value === null) this.#byte(0xf6);
        else this.#object(value);
        return;
      default:
        throw unfit(`a ${typeof value}`);
    }
  }

  #object(value: object): void {
    this.#depth += 1;
    if (this.#depth > valueDepthMax)
      throw unfit(`a value that refers to itself, or nests deeper than ${valueDepthMax},`);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) this.#members(value);
    else if (Array.isArray(value)) this.#array(value, prototype);
    else this.#builtIn(value, prototype);
    this.#depth -= 1;
  }

  #members(value: object): void {
    if (Object.getOwnPropertySymbols(value).length > 0) throw unfit("an object with a member named by a symbol");
    const names = Object.keys(value);
    this.#head(0xa0, names.length);
    for (const name of names) {
      this.#text(name);
      this.value((value as Readonly<Record<string, unknown>>)[name]);
    }
  }

  #array(values: readonly unknown[], prototype: unknown): void {
    if (prototype !== Array.prototype) throw instanceOfClass(values);
    this.arrayOf(values.length);
    for (let i = 0; i < values.length; i += 1) this.value(values[i]);
  }

  #builtIn(value: object, prototype: unknown): void {
    if (prototype === Map.prototype) this.#map(value as ReadonlyMap<unknown, unknown>);
    else if (prototype === Set.prototype) this.#set(value as ReadonlySet<unknown>);
    else if (prototype === Date.prototype) this.#date(value as Date);
    else if (value instanceof Uint8Array && (prototype === Uint8Array.prototype || prototype === Buffer.prototype)) {
      this.#head(0x40, value.length);
      this.raw(value);
    } else throw instanceOfClass(value);
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    this.#head(0xc0, 259);
    this.#head(0xa0, map.size);
    for (const [key, value] of map) {
      this.value(key);
      this.value(value);
    }
  }

  #set(set: ReadonlySet<unknown>): void {
    this.#head(0xc0, 258);
    this.arrayOf(set.size);
    for (const value of set) this.value(value);
  }

  #date(date: Date): void {
    this.#head(0xc0, 1);
    this.#number(date.getTime() / 1_000);
  }

  #text(text: string): void {
    if (text.length < shortTextMax && this.#shortAscii(text)) return;
    if (!text.isWellFormed()) {
      const bytes = encodeWtf8(text);
      this.#head(0xc0, 273);
      this.#head(0x40, bytes.length);
      this.raw(bytes);
      return;
    }
    const length = Buffer.byteLength(text, "utf8");
    this.textOf(length);
    this.#room(length);
    this.#bytes.write(text, this.#size, "utf8");
    this.#size += length;
  }

  /** Most member names and many values are short and ASCII: a loop beats the call into Buffer. False leaves no trace. */
  #shortAscii(text: string): boolean {
    this.#room(1 + shortTextMax);
    const bytes = this.#bytes;
    let at = this.#size + 1;
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      bytes[at] = unit;
      at += 1;
    }
    bytes[this.#size] = 0x60 | text.length;
    this.#size = at;
    return true;
  }

  #number(value: number): void {
    if (value > 0 && value < 24 && Number.isInteger(value)) {
      this.#byte(value);
      return;
    }
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value < 0) this.#head(0x20, -1 - value);
      else this.#head(0x00, value);
      return;
    }
    this.#room(9);
    if (value === 0) this.#half(0x8000);
    else if (!Number.isFinite(value)) this.#half(value > 0 ? 0x7c00 : value < 0 ? 0xfc00 : 0x7e00);
    else if (Math.fround(value) === value) {
      this.#bytes[this.#size] = 0xfa;
      this.#size = this.#bytes.writeFloatBE(value, this.#size + 1);
    } else {
      this.#bytes[this.#size] = 0xfb;
      this.#size = this.#bytes.writeDoubleBE(value, this.#size + 1);
    }
  }

  #half(bits: number): void {
    this.#bytes[this.#size] = 0xf9;
    this.#size = this.#bytes.writeUInt16BE(bits, this.#size + 1);
  }

  #bigint(value: bigint): void {
    const magnitude = value < 0n ? -1n - value : value;
    const hex = magnitude === 0n ? "" : magnitude.toString(16);
    const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
    this.#byte(value < 0n ? 0xc3 : 0xc2);
    this.#head(0x40, bytes.length);
    this.raw(bytes);
  }

  /** A major type with its length, number or tag, in the shortest form. */
  #head(major: number, size: number): void {
    this.#room(9);
    const bytes = this.#bytes;
    const at = this.#size;
    if (size < 24) {
      bytes[at] = major | size;
      this.#size = at + 1;
    } else if (size < 0x100) {
      bytes[at] = major | 24;
      bytes[at + 1] = size;
      this.#size = at + 2;
    } else if (size < 0x1_0000) {
      bytes[at] = major | 25;
      this.#size = bytes.writeUInt16BE(size, at + 1);
    } else if (size < 0x1_0000_0000) {
      bytes[at] = major | 26;
      this.#size = bytes.writeUInt32BE(size, at + 1);
    } else {
      bytes[at] = major | 27;
      this.#size = bytes.writeBigUInt64BE(BigInt(size), at + 1);
    }
  }

  #byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#size] = byte;
    this.#size += 1;
  }

  #room(more: number): void {
    const needed = this.#size + more;
    if (needed <= this.#bytes.length) return;
    if (needed > this.#bytesMax) throw tooLarge(this.#bytesMax);
    const grown = Buffer.allocUnsafe(Math.max(needed, Math.min(this.#bytes.length * 2, this.#bytesMax)));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
  }
}

function unfit(what: string): StreamError {
  return new StreamError(
    "invalid",
    `${what} cannot be kept in state; keep plain values: numbers, strings, bigints, booleans, null, Date, Uint8Array, and objects, arrays, Maps and Sets of them`,
  );
}

/** Names the class, never the value. */
function instanceOfClass(value: object): StreamError {
  const made: unknown = value.constructor;
  return unfit(`an instance of ${typeof made === "function" ? `class ${made.name}` : "a class"}`);
}

function tooLarge(bytesMax: number): StreamError {
  return new StreamError("invalid", `more than ${bytesMax} bytes; keep less under one key, or raise the parallelism`);
}
