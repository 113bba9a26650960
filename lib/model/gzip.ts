import { gunzipSync, gzipSync, inflateSync } from "node:zlib";
import type { Codec } from "./codecs.js";
import { StreamError } from "./errors.js";

/** What a compressed record may inflate to, where nothing else is said: ten times the largest record of a stream. */
export const inflatedBytesMaxDefault = 10 * 1024 * 1024;

/** What {@link gzip} takes besides the codec of what is inside. */
export interface GzipOptions {
  /** A limit on what a compressed record may inflate to, in bytes. 10 MiB where it is not given. */
  readonly inflatedBytesMax?: number;
}

/**
 * Compressed records: gzip (RFC 1952) and zlib (RFC 1950, also known as deflate), told apart by how they begin. `encode` writes
 * gzip. A record of a few bytes can inflate to a gigabyte: it is given up as soon as it is over the limit.
 *
 * @throws StreamError `invalid` for options that are unknown or of the wrong type. From `decode`: neither gzip nor zlib, damaged,
 *   cut off, followed by something else, or over the limit; from `encode`: a value over the limit
 * @example kinesisSource({ stream: "flights", codec: gzip(json(Flight)) })
 * @example gzip(text, { inflatedBytesMax: 1024 * 1024 })
 */
export function gzip<T>(codec: Codec<T>, options: GzipOptions = {}): Codec<T> {
  const inflatedBytesMax = limitOf(options);
  if (typeof codec?.name !== "string" || typeof codec.decode !== "function" || typeof codec.encode !== "function") {
    throw new StreamError(
      "invalid",
      "gzip(): the first argument is no codec; give that of what is inside, as json(schema)",
    );
  }
  return Object.freeze({
    name: `gzip(${codec.name})`,
    decode: (body: Uint8Array): T => codec.decode(inflated(body, inflatedBytesMax)),
    encode(value: T): Uint8Array {
      const body = codec.encode(value);
      if (body.length > inflatedBytesMax) throw overLimit(`the value (${body.length} bytes) is`, inflatedBytesMax);
      return gzipSync(body);
    },
  });
}

function inflated(body: Uint8Array, inflatedBytesMax: number): Uint8Array {
  const inflate = isGzip(body) ? gunzipSync : isZlib(body) ? inflateSync : null;
  if (inflate === null) throw refused(body, "is neither gzip nor zlib");
  // With `info`, and not as its types say, the result is the bytes with the engine that made them.
  const options = { maxOutputLength: inflatedBytesMax, info: true };
  let result: { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } };
  try {
    result = inflate(body, options) as unknown as typeof result;
  } catch (error) {
    const code = (error as { readonly code?: unknown }).code;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw overLimit(`the record (${body.length} bytes, compressed) inflates to`, inflatedBytesMax);
    }
    throw refused(body, code === "Z_BUF_ERROR" ? "is compressed, and cut off" : "is compressed, and damaged");
  }
  // What follows the compressed data is passed over by zlib, as if it had not been there.
  if (result.engine.bytesWritten !== body.length) throw refused(body, "goes on after its compressed data");
  return result.buffer;
}

const isGzip = (body: Uint8Array): boolean => body[0] === 0x1f && body[1] === 0x8b;

/** RFC 1950, 2.2: compression method 8, and the first two bytes are a multiple of 31. */
const isZlib = ([cmf = 0, flg = 0]: Uint8Array): boolean => (cmf & 0x0f) === 8 && (cmf * 256 + flg) % 31 === 0;

const refused = (body: Uint8Array, problem: string): StreamError =>
  new StreamError("invalid", `the record (${body.length} bytes) ${problem}`);

const overLimit = (what: string, limit: number): StreamError =>
  new StreamError(
    "invalid",
    `${what} more than inflatedBytesMax (${limit} bytes); give gzip() a larger inflatedBytesMax if there may be such records`,
  );

function limitOf(options: GzipOptions): number {
  const unknown = Object.keys(options).find((name) => name !== "inflatedBytesMax");
  if (unknown !== undefined) {
    throw new StreamError("invalid", `gzip(): ${JSON.stringify(unknown)} is not known; it may have inflatedBytesMax`);
  }
  const { inflatedBytesMax = inflatedBytesMaxDefault } = options;
  if (!Number.isSafeInteger(inflatedBytesMax) || inflatedBytesMax < 1) {
    throw new StreamError("invalid", "gzip(): inflatedBytesMax: must be a whole number of bytes, at least 1");
  }
  return inflatedBytesMax;
}
