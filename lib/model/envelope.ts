import { StreamError } from "./errors.js";

/**
 * Which record of an output it is (C6), in front of the payload of every record that `kinesisStream` writes:
 *
 * | bytes | |
 * |---|---|
 * | 4 | F5 54 4D 01: a byte that begins no UTF-8, "TM", and the version of this format |
 * | 1 | n, the length of the lane |
 * | n | the lane, in ASCII |
 * | 6 | checkpoint |
 * | 4 | chunk |
 * | 2 | place of the record in its chunk |
 * | 2 | place of the one before it of the same partition key in its chunk; FF FF where it is the first |
 *
 * Numbers are big-endian. Never to be changed: streams keep it, and readers of other versions read it.
 */
export interface Envelope {
  /** Who prepared it: sink, incarnation, generation, task. */
  readonly lane: string;
  readonly checkpoint: number;
  readonly chunk: number;
  readonly place: number;
  /** null: no record of its chunk before it has its partition key. */
  readonly after: number | null;
}

const magic = Buffer.from([0xf5, 0x54, 0x4d, 0x01]);
const numbersBytes = 14;
const none = 0xffff;

export const envelopeBytes = (lane: string): number => magic.length + 1 + lane.length + numbersBytes;

export function enclose({ lane, checkpoint, chunk, place, after }: Envelope, payload: Uint8Array): Uint8Array {
  if (lane.length > 255 || place >= none) throw new StreamError("bug", `no envelope for place ${place} of ${lane}`);
  const bytes = Buffer.alloc(envelopeBytes(lane) + payload.length);
  magic.copy(bytes);
  bytes.writeUInt8(lane.length, magic.length);
  bytes.write(lane, magic.length + 1, "latin1");
  const numbers = magic.length + 1 + lane.length;
  bytes.writeUIntBE(checkpoint, numbers, 6);
  bytes.writeUInt32BE(chunk, numbers + 6);
  bytes.writeUInt16BE(place, numbers + 10);
  bytes.writeUInt16BE(after ?? none, numbers + 12);
  bytes.set(payload, numbers + numbersBytes);
  return bytes;
}

/**
 * The envelope of a record, and what is in it; null where it has none: another producer wrote it.
 *
 * @throws StreamError `invalid` for an envelope of a later version, or one that is cut off
 */
export function disclose(data: Uint8Array): { readonly envelope: Envelope; readonly payload: Uint8Array } | null {
  if (data[0] !== magic[0] || data[1] !== magic[1] || data[2] !== magic[2]) return null;
  if (data[3] !== magic[3])
    throw new StreamError("invalid", `a record has an envelope of version ${data[3]}: upgrade tidemark to read it`);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const numbers = magic.length + 1 + (bytes[magic.length] ?? 0);
  const start = numbers + numbersBytes;
  if (start > bytes.length) throw new StreamError("invalid", `a record of ${bytes.length} bytes ends in its envelope`);
  const after = bytes.readUInt16BE(numbers + 12);
  const envelope: Envelope = {
    lane: bytes.toString("latin1", magic.length + 1, numbers),
    checkpoint: bytes.readUIntBE(numbers, 6),
    chunk: bytes.readUInt32BE(numbers + 6),
    place: bytes.readUInt16BE(numbers + 10),
    after: after === none ? null : after,
  };
  return { envelope, payload: data.subarray(start) };
}
