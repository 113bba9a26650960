import { StreamError } from "../model/errors.js";
import { decodeWtf8 } from "./wtf8.js";

/** A power of 2. */
const namesKept = 128;
/** A text of fewer bytes has its length in the byte before it. */
const shortNameMax = 24;

/**
 * Reads the items that {@link CborWriter} writes, one after the other, and no other CBOR: no indefinite lengths, no other tags.
 *
 * @throws StreamError `corrupt` where the bytes end early or are none of ours
 */
export class CborReader {
  readonly #bytes: Buffer;
  /** Names of members that were read before. */
  readonly #names: (string | undefined)[] = new Array<string | undefined>(namesKept).fill(undefined);
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next item. */
  value(): unknown {
    const first = this.#byte();
    const major = first >> 5;
    const extra = first & 0x1f;
    switch (major) {
      case 0:
        return this.#size(extra);
      case 1:
        return -1 - this.#size(extra);
      case 2:
        return this.#binary(this.#size(extra));
      case 3:
        return this.#text(this.#size(extra));
      case 4:
        return this.#array(this.#size(extra));
      case 5:
        return this.#members(this.#size(extra));
      case 6:
        return this.#tagged(this.#size(extra));
      default:
        return this.#simple(extra);
    }
  }

  /** The beginning of an array: how many items follow. */
  arrayOf(): number {
    return this.#head(4);
  }

  #array(length: number): unknown[] {
    const values: unknown[] = [];
    for (let i = 0; i < length; i += 1) values.push(this.value());
    return values;
  }

  #members(count: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i += 1) {
      const name = this.#name();
      const value = this.value();
      if (name === "__proto__") {
        // An assignment would change the prototype instead of making a member.
        Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
      } else object[name] = value;
    }
    return object;
  }

  /** The name of a member: mostly one that was read before. */
  #name(): string {
    const start = this.#at;
    const length = (this.#bytes[start] ?? 0) - 0x60;
    if (length >= 0 && length < shortNameMax && start + length < this.#bytes.length) {
      const slot =
        (length * 31 + (this.#bytes[start + 1] ?? 0) * 7 + (this.#bytes[start + length] ?? 0)) & (namesKept - 1);
      const known = this.#names[slot];
      if (known !== undefined && known.length === length && this.#isText(known, start + 1)) {
        this.#at = start + 1 + length;
        return known;
      }
      const name = this.value() as string;
      this.#names[slot] = name;
      return name;
    }
    const name = this.value();
    if (typeof name !== "string") throw this.#foreign("a member that is not named by a string");
    return name;
  }

  #isText(text: string, from: number): boolean {
    for (let i = 0; i < text.length; i += 1) if (this.#bytes[from + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case 1:
        return dateOf(this.#numberItem());
      case 2:
        return this.#magnitude();
      case 3:
        return -1n - this.#magnitude();
      case 258:
        return new Set(this.#array(this.#head(4)));
      case 259:
        return this.#map(this.#head(5));
      case 273:
        return decodeWtf8(this.#binary(this.#head(2)));
      default:
        throw this.#foreign(`tag ${tag}`);
    }
  }

  #map(count: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i += 1) map.set(this.value(), this.value());
    return map;
  }

  #magnitude(): bigint {
    const bytes = this.#binary(this.#head(2));
    return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  }

  #numberItem(): number {
    const value = this.value();
    if (typeof value !== "number") throw this.#foreign("a date that is not a number");
    return value;
  }

  #simple(extra: number): unknown {
    switch (extra) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return undefined;
      case 25:
        return halfFloat(this.#bytes.readUInt16BE(this.#skip(2)));
      case 26:
        return this.#bytes.readFloatBE(this.#skip(4));
      case 27:
        return this.#bytes.readDoubleBE(this.#skip(8));
      default:
        throw this.#foreign(`simple value ${extra}`);
    }
  }

  /** Length, number or tag behind a major type that the caller demands. */
  #head(major: number): number {
    const first = this.#byte();
    if (first >> 5 !== major) throw this.#foreign(`major type ${first >> 5} instead of ${major}`);
    return this.#size(first & 0x1f);
  }

  #size(extra: number): number {
    if (extra < 24) return extra;
    switch (extra) {
      case 24:
        return this.#byte();
      case 25:
        return this.#bytes.readUInt16BE(this.#skip(2));
      case 26:
        return this.#bytes.readUInt32BE(this.#skip(4));
      case 27:
        return Number(this.#bytes.readBigUInt64BE(this.#skip(8)));
      default:
        throw this.#foreign(`additional information ${extra}`);
    }
  }

  /** Bytes of their own: a view would keep the whole snapshot in memory for as long as the value lives. */
  #binary(length: number): Uint8Array {
    const from = this.#skip(length);
    return Uint8Array.prototype.slice.call(new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + from, length));
  }

  #text(length: number): string {
    const from = this.#skip(length);
    const to = from + length;
    for (let at = from; at < to; at += 1) {
      if ((this.#bytes[at] ?? 0) > 0x7f) return this.#bytes.toString("utf8", from, to);
    }
    // Of ASCII it is the same, and quicker. Joining characters would make a rope, which is dear to look up.
    return this.#bytes.toString("latin1", from, to);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new StreamError("corrupt", `CBOR ends early, at byte ${this.#at}`);
    this.#at += 1;
    return byte;
  }

  /** Where the next `length` bytes begin; they count as read. */
  #skip(length: number): number {
    const from = this.#at;
    if (from + length > this.#bytes.length)
      throw new StreamError("corrupt", `CBOR ends early, at byte ${this.#bytes.length}`);
    this.#at = from + length;
    return from;
  }

  #foreign(what: string): StreamError {
    return new StreamError("corrupt", `CBOR at byte ${this.#at} holds ${what}, which this library never writes`);
  }
}

/** Second and fraction apart: far from 1970 a product of the two would be rounded to the millisecond before or after. */
function dateOf(seconds: number): Date {
  const whole = Math.floor(seconds);
  return new Date(whole * 1_000 + Math.round((seconds - whole) * 1_000));
}

function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (0x400 + fraction) * 2 ** (exponent - 25);
}
