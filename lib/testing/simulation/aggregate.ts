import { createHash } from "node:crypto";

/** A record in an aggregate. */
export interface Packed {
  readonly key: string;
  readonly data: Uint8Array;
}

/** As the Kinesis Producer Library packs: magic, a message in protocol buffers, its MD5. Written from the format's description alone. */
export function packed(records: readonly Packed[]): Uint8Array {
  const keys = [...new Set(records.map(({ key }) => key))];
  const message = Buffer.concat([
    ...keys.map((key) => lengthy(1, Buffer.from(key))),
    ...records.map(({ key, data }) =>
      lengthy(3, Buffer.concat([Buffer.from([8]), varint(keys.indexOf(key)), lengthy(3, data)])),
    ),
  ]);
  const digest = createHash("md5").update(message).digest();
  return Buffer.concat([Buffer.from([0xf3, 0x89, 0x9a, 0xc2]), message, digest]);
}

const lengthy = (field: number, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from([field * 8 + 2]), varint(bytes.length), bytes]);

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

/** Where Kinesis puts a key. */
export const hashOf = (key: string): bigint => BigInt(`0x${createHash("md5").update(key).digest("hex")}`);
