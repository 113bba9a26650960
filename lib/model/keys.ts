import { hash } from "node:crypto";
import { StreamError } from "./errors.js";
import { endBlock, md5FirstByte, oneBlockBytesMax } from "./md5.js";

/** What records are grouped by. 1 and "1" and 1n are three keys. */
export type Key = string | number | bigint | boolean | readonly Key[];

export const keyGroupCount = 128;

/**
 * K1: the bytes that a key is hashed by. A string is its UTF-8, as Kinesis hashes a partition key; any other key is its
 * canonical CBOR (RFC 8949, section 4.2.1; a bigint always as a bignum, tag 2 or 3) behind a byte 0xFF, which begins no UTF-8.
 * Never to be changed.
 *
 * @throws StreamError `invalid` where the value is no key: null, undefined, NaN, an object, a lone surrogate
 */
export function keyBytes(key: Key): Uint8Array {
  if (typeof key === "string") return utf8(key);
  if (Number.isSafeInteger(key)) return integerBytes(key as number);
  const parts: Uint8Array[] = [Uint8Array.of(0xff)];
  appendCbor(parts, key);
  return Buffer.concat(parts);
}

/** K1: the top bits of MD5, 0 … 127: slices of the hash space that Kinesis uses for its shards. */
export function keyGroupOf(bytes: Uint8Array): number {
  if (bytes.length > oneBlockBytesMax) return Number.parseInt(hash("md5", bytes, "hex").slice(0, 2), 16) >> 1;
  block.fill(0);
  for (let i = 0; i < bytes.length; i += 1) put(i, bytes[i] ?? 0);
  endBlock(block, bytes.length);
  return md5FirstByte(block) >> 1;
}

/** K1: `keyGroupOf(keyBytes(key))`, without allocating for a short ASCII string. Such keys come by the hundred thousand. */
export function keyGroupOfKey(key: Key): number {
  if (typeof key !== "string" || key.length > oneBlockBytesMax) return keyGroupOf(keyBytes(key));
  block.fill(0);
  for (let i = 0; i < key.length; i += 1) {
    const unit = key.charCodeAt(i);
    if (unit > 0x7f) return keyGroupOf(keyBytes(key));
    put(i, unit);
  }
  endBlock(block, key.length);
  return md5FirstByte(block) >> 1;
}

/** Scratch space of one call. */
const block = new Int32Array(16);

function put(at: number, byte: number): void {
  block[at >> 2] = (block[at >> 2] ?? 0) | (byte << ((at & 3) << 3));
}

function appendCbor(parts: Uint8Array[], key: Key): void {
  switch (typeof key) {
    case "string": {
      const bytes = utf8(key);
      parts.push(cborHeader(3, bytes.length), bytes);
      return;
    }
    case "number":
      parts.push(cborNumber(key));
      return;
    case "boolean":
      parts.push(Uint8Array.of(key ? 0xf5 : 0xf4));
      return;
    case "bigint":
      appendBignum(parts, key);
      return;
    default:
      if (!Array.isArray(key)) throw notAKey(key);
      parts.push(cborHeader(4, key.length));
      for (const part of key) appendCbor(parts, part);
  }
}

function appendBignum(parts: Uint8Array[], value: bigint): void {
  const magnitude = value < 0n ? -1n - value : value;
  const hex = magnitude === 0n ? "" : magnitude.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  parts.push(Uint8Array.of(value < 0n ? 0xc3 : 0xc2), cborHeader(2, bytes.length), bytes);
}

/** A whole number inside ±2^53 is an integer (-0 is 0), every other one the shortest float that holds it. */
function cborNumber(value: number): Uint8Array {
  if (Number.isNaN(value)) throw notAKey(value);
  if (Number.isSafeInteger(value)) return value < 0 ? cborHeader(1, -1 - value) : cborHeader(0, value);
  const half = halfFloat(value);
  if (half !== null) return Uint8Array.of(0xf9, half >> 8, half & 0xff);
  const single = Math.fround(value) === value;
  const bytes = Buffer.alloc(single ? 5 : 9);
  bytes.writeUInt8(single ? 0xfa : 0xfb, 0);
  if (single) bytes.writeFloatBE(value, 1);
  else bytes.writeDoubleBE(value, 1);
  return bytes;
}

/** The 16 bits of a half-precision float that is exactly the value, or null. */
function halfFloat(value: number): number | null {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (size > 65_504) return null;
  const exponent = Math.max(Math.floor(Math.log2(size)), -14);
  const fraction = size / 2 ** (exponent - 10);
  if (!Number.isInteger(fraction)) return null;
  return sign | (fraction < 1_024 ? fraction : ((exponent + 15) << 10) + (fraction - 1_024));
}

/** The bytes of a key that is a whole number: in one piece, for they are the usual keys after strings. */
function integerBytes(value: number): Uint8Array {
  const head = value < 0 ? cborHeader(1, -1 - value) : cborHeader(0, value);
  const bytes = new Uint8Array(1 + head.length);
  bytes[0] = 0xff;
  bytes.set(head, 1);
  return bytes;
}

function cborHeader(major: number, size: number): Uint8Array {
  const type = major << 5;
  if (size < 24) return Uint8Array.of(type | size);
  const width = size < 0x100 ? 1 : size < 0x1_0000 ? 2 : size < 0x1_0000_0000 ? 4 : 8;
  const bytes = Buffer.alloc(1 + width);
  bytes.writeUInt8(type | (24 + Math.log2(width)), 0);
  if (width === 8) bytes.writeBigUInt64BE(BigInt(size), 1);
  else bytes.writeUIntBE(size, 1, width);
  return bytes;
}

function utf8(text: string): Uint8Array {
  if (!text.isWellFormed()) throw notAKey(text);
  return Buffer.from(text, "utf8");
}

function notAKey(value: unknown): StreamError {
  const what =
    typeof value === "number"
      ? "NaN"
      : value === null
        ? "null"
        : typeof value === "string"
          ? "a string with a lone surrogate"
          : `a value of type ${typeof value}`;
  return new StreamError(
    "invalid",
    `${what} is not a key; a key is a string, number, bigint, boolean, or an array of keys`,
  );
}
