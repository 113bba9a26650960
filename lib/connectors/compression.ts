import * as zlib from "node:zlib";
import { quoted, refuse } from "../pipeline/checks.js";

export type Compression = "none" | "gzip" | "zstd";

const endings = { none: "", gzip: ".gz", zstd: ".zst" } as const satisfies Record<Compression, string>;

export const compressionEnding = (compression: Compression): string => endings[compression];

/** Compresses a file piece by piece. */
export interface Compressor {
  /** What stands in the file for that piece. The piece may be written anew afterwards. */
  add(piece: Uint8Array): Uint8Array;
  /** What stands behind the last. */
  end(): Uint8Array;
}

/** @throws StreamError `invalid`: there is no such compression, or this version of Node does not have it */
export function checkCompression(where: string, compression: unknown): Compression {
  if (typeof compression !== "string" || !Object.hasOwn(endings, compression)) {
    return refuse(where, `"compression" is ${quoted(String(compression))}; it may be none, gzip or zstd`);
  }
  if (compression === "zstd" && zstdOf() === null) {
    return refuse(
      where,
      `this Node (${process.version}) has no zstd, which came with 22.15; use gzip, or a newer Node`,
    );
  }
  return compression as Compression;
}

export function compressor(compression: Compression): Compressor {
  if (compression === "gzip") return gzipCompressor();
  const zstd = compression === "zstd" ? zstdOf() : null;
  // Frames one after the other are a file of zstd (RFC 8878, 3).
  return { add: (piece) => zstd?.(piece) ?? Uint8Array.from(piece), end: () => new Uint8Array(0) };
}

type Compress = (bytes: Uint8Array) => Uint8Array;

export function zstdOf(): Compress | null {
  const { zstdCompressSync } = zlib as unknown as { readonly zstdCompressSync?: Compress };
  return zstdCompressSync ?? null;
}

/** RFC 1952: deflate, no name, no time (the same rows give the same bytes), any system. */
const gzipHeader = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
/** RFC 1951: an empty last block. */
const lastBlock = Uint8Array.of(0x03, 0x00);

/**
 * One gzip member of many pieces: each is deflated by itself and ends at a byte, so that they can stand behind one another. So a
 * file needs little memory while it grows, and is one that every reader knows, which members one after the other are not.
 */
function gzipCompressor(): Compressor {
  let crc = 0;
  let size = 0;
  return {
    add(piece) {
      const isFirst = size === 0;
      crc = zlib.crc32(piece, crc);
      size += piece.length;
      const deflated = zlib.deflateRawSync(piece, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
      return isFirst ? Buffer.concat([gzipHeader, deflated]) : deflated;
    },
    end() {
      const trailer = Buffer.alloc(8);
      trailer.writeUInt32LE(crc, 0);
      trailer.writeUInt32LE(size % 2 ** 32, 4);
      return Buffer.concat([...(size === 0 ? [gzipHeader] : []), lastBlock, trailer]);
    },
  };
}
