import { createHash } from "node:crypto";

// Kinesis records that a producer has packed many user records into: 4 bytes of magic, a message in protocol buffers, its MD5.
// https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md

/** One of the records in an aggregate. */
export interface UserRecord {
  /** Its place among all in the aggregate, from 0. */
  readonly sub: number;
  readonly data: Uint8Array;
  readonly partitionKey: string;
  /** Decimal. null: the MD5 of the partition key says the shard. */
  readonly explicitHashKey: string | null;
}

const magic = [0xf3, 0x89, 0x9a, 0xc2];
const digestLength = 16;

/** The user records of an aggregate; null where the bytes are none: another beginning, a wrong MD5, or no such message. */
export function userRecordsOf(data: Uint8Array): readonly UserRecord[] | null {
  if (data.length <= magic.length + digestLength || !magic.every((byte, at) => data[at] === byte)) return null;
  const message = data.subarray(magic.length, data.length - digestLength);
  const digest = createHash("md5").update(message).digest();
  if (digest.compare(data, data.length - digestLength) !== 0) return null;
  return readAggregate(message);
}

/**
 * Those that belong to the shard. A producer packs what it believes to be of one shard; when the shard was split meanwhile, the
 * aggregate lands in one child whole, and the producer sends what belongs to the other child again. So that is left out here.
 */
export function withinShard(
  records: readonly UserRecord[],
  hashKeys: readonly [first: string, last: string],
): readonly UserRecord[] {
  const [first, last] = [BigInt(hashKeys[0]), BigInt(hashKeys[1])];
  if (first === 0n && last === hashKeyMax) return records;
  const known = new Map<string, boolean>();
  return records.filter(({ partitionKey, explicitHashKey }) => {
    const key = explicitHashKey ?? `"${partitionKey}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const hash = BigInt(explicitHashKey ?? `0x${createHash("md5").update(partitionKey).digest("hex")}`);
    const isWithin = first <= hash && hash <= last;
    known.set(key, isWithin);
    return isWithin;
  });
}

const hashKeyMax = 2n ** 128n - 1n;

/** A field of a message: a number, or bytes. */
interface Field {
  readonly id: number;
  readonly value: number | Uint8Array;
}

function readAggregate(message: Uint8Array): readonly UserRecord[] | null {
  const partitionKeys: string[] = [];
  const hashKeys: string[] = [];
  const bodies: Uint8Array[] = [];
  const ok = eachField(message, ({ id, value }) => {
    if (typeof value === "number") return;
    if (id === 1) partitionKeys.push(textOf(value));
    else if (id === 2) hashKeys.push(textOf(value));
    else if (id === 3) bodies.push(value);
  });
  if (!ok || !hashKeys.every((key) => /^\d{1,39}$/.test(key))) return null;
  const records: UserRecord[] = [];
  for (const [sub, body] of bodies.entries()) {
    const record = readRecord(body, sub, partitionKeys, hashKeys);
    if (record === null) return null;
    records.push(record);
  }
  return records;
}

function readRecord(
  message: Uint8Array,
  sub: number,
  partitionKeys: readonly string[],
  hashKeys: readonly string[],
): UserRecord | null {
  let partitionKey: string | undefined;
  let hashKeyIndex: number | null = null;
  let data: Uint8Array | null = null;
  const ok = eachField(message, ({ id, value }) => {
    if (id === 1 && typeof value === "number") partitionKey = partitionKeys[value];
    else if (id === 2 && typeof value === "number") hashKeyIndex = value;
    else if (id === 3 && typeof value !== "number") data = value;
  });
  const explicitHashKey = hashKeyIndex === null ? null : hashKeys[hashKeyIndex];
  if (!ok || partitionKey === undefined || data === null || explicitHashKey === undefined) return null;
  return { sub, data, partitionKey, explicitHashKey };
}

/** False where the bytes are no message. Fields of fixed width are of no meaning here, and passed over. */
function eachField(message: Uint8Array, visit: (field: Field) => void): boolean {
  const at = { index: 0 };
  while (at.index < message.length) {
    const tag = readNumber(message, at);
    const [id, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) {
      const value = readNumber(message, at);
      if (Number.isNaN(value)) return false;
      visit({ id, value });
      continue;
    }
    const length = wire === 2 ? readNumber(message, at) : wire === 1 ? 8 : wire === 5 ? 4 : Number.NaN;
    if (!(at.index + length <= message.length)) return false;
    const value = message.subarray(at.index, at.index + length);
    at.index += length;
    if (wire === 2) visit({ id, value });
  }
  return true;
}

/** NaN where it is cut off or larger than any that a message of 1 MiB has use for. */
function readNumber(message: Uint8Array, at: { index: number }): number {
  let value = 0;
  for (let scale = 1; scale < 2 ** 49; scale *= 128) {
    const byte = message[at.index++];
    if (byte === undefined) return Number.NaN;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  return Number.NaN;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
