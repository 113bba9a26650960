import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

export const checksumAlgorithms = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** A checksum that is being computed. `finish` is called once. */
export interface RunningChecksum {
  update(chunk: Buffer): void;
  finish(): Buffer;
}

/** A checksum as S3 keeps it: base64, with `-N` behind it where it is one of N parts' checksums. */
export interface StoredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: string;
  readonly type: "FULL_OBJECT" | "COMPOSITE";
}

export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm}`;
}

/** The element of a request or an answer in XML: `ChecksumCRC32`, `ChecksumCRC64NVME`, … */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm.toUpperCase()}`;
}

/** The algorithm of a header such as `x-amz-sdk-checksum-algorithm: CRC32C`, or null where it names none of ours. */
export function checksumAlgorithm(name: string | undefined): ChecksumAlgorithm | null {
  const lower = name?.toLowerCase();
  return checksumAlgorithms.find((algorithm) => algorithm === lower) ?? null;
}

export function startChecksum(algorithm: ChecksumAlgorithm | "md5"): RunningChecksum {
  switch (algorithm) {
    case "crc32":
      return startWord((chunk, value) => crc32(chunk, value), 0);
    case "crc32c":
      return startWord(crc32c, 0);
    case "crc64nvme":
      return startCrc64();
    default: {
      const hash = createHash(algorithm);
      return { update: (chunk) => void hash.update(chunk), finish: () => hash.digest() };
    }
  }
}

function startWord(step: (chunk: Buffer, value: number) => number, start: number): RunningChecksum {
  let value = start;
  return {
    update(chunk) {
      value = step(chunk, value);
    },
    finish() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value >>> 0);
      return bytes;
    },
  };
}

const castagnoli = 0x82f63b78;
let crc32cTable: Int32Array | null = null;

function makeCrc32cTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ castagnoli : value >>> 1;
    return value;
  });
}

function crc32c(chunk: Buffer, before: number): number {
  crc32cTable ??= makeCrc32cTable();
  const table = crc32cTable;
  let value = ~before;
  for (let at = 0; at < chunk.length; at++) {
    value = (table[(value ^ (chunk[at] as number)) & 0xff] as number) ^ (value >>> 8);
  }
  return ~value;
}

// CRC-64/NVME, reflected. Two tables of 32-bit halves: BigInt arithmetic for each byte would be a hundred times slower.
const nvme = { high: 0x9a6c9329, low: 0xac4bc9b5 };
let crc64Tables: { readonly high: Int32Array; readonly low: Int32Array } | null = null;

function makeCrc64Tables(): { readonly high: Int32Array; readonly low: Int32Array } {
  const tables = { high: new Int32Array(256), low: new Int32Array(256) };
  for (let byte = 0; byte < 256; byte++) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        high ^= nvme.high;
        low ^= nvme.low;
      }
    }
    tables.high[byte] = high;
    tables.low[byte] = low;
  }
  return tables;
}

function startCrc64(): RunningChecksum {
  crc64Tables ??= makeCrc64Tables();
  const tables = crc64Tables;
  let high = ~0;
  let low = ~0;
  return {
    update(chunk) {
      for (let at = 0; at < chunk.length; at++) {
        const index = (low ^ (chunk[at] as number)) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (tables.low[index] as number);
        high = (high >>> 8) ^ (tables.high[index] as number);
      }
    },
    finish() {
      const bytes = Buffer.alloc(8);
      bytes.writeInt32BE(~high, 0);
      bytes.writeInt32BE(~low, 4);
      return bytes;
    },
  };
}
