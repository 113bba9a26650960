import { StreamError } from "../model/errors.js";
import { sha256 } from "../model/sha256.js";
import { inlineBytesMax, type Stored } from "../model/stored.js";
import type { Blobs } from "../ports/blobs.js";

/** Makes bytes durable: by value where they are few, else under `key`, which has no other content (R6). */
export async function storeBody(blobs: Blobs, key: string, bytes: Uint8Array): Promise<Stored> {
  const hash = sha256(bytes);
  if (bytes.length <= inlineBytesMax) {
    return { kind: "inline", base64: Buffer.from(bytes).toString("base64"), size: bytes.length, sha256: hash };
  }
  await blobs.put(key, bytes);
  return { kind: "object", key, size: bytes.length, sha256: hash };
}

/**
 * P3: the bytes, once size and SHA-256 are what they were.
 *
 * @throws StreamError `corrupt`: gone, cut short, or changed
 */
export async function loadBody(blobs: Blobs, stored: Stored): Promise<Uint8Array> {
  if (stored.kind === "inline") return checked(Buffer.from(stored.base64, "base64"), stored, "an inline body");
  const bytes = await blobs.get(stored.key);
  if (bytes === null) throw gone(stored.key);
  return checked(bytes, stored, stored.key);
}

/** A part of a body. Its bytes are checked by the one who knows their hash: a slice has its own (P3). */
export async function loadBodyRange(
  blobs: Blobs,
  stored: Stored,
  range: readonly [offset: number, length: number],
): Promise<Uint8Array> {
  const [offset, length] = range;
  if (stored.kind === "inline") return (await loadBody(blobs, stored)).subarray(offset, offset + length);
  const bytes = await blobs.get(stored.key, range);
  if (bytes === null) throw gone(stored.key);
  return bytes;
}

function gone(key: string): StreamError {
  return new StreamError(
    "corrupt",
    `${key} is gone: a checkpoint that refers to it cannot be restored; was it deleted by hand or by a lifecycle rule?`,
  );
}

function checked(bytes: Uint8Array, stored: Stored, where: string): Uint8Array {
  if (bytes.length !== stored.size) {
    throw new StreamError("corrupt", `${where} has ${bytes.length} bytes, ${stored.size} were written`);
  }
  const found = sha256(bytes);
  if (found !== stored.sha256)
    throw new StreamError("corrupt", `${where} has SHA-256 ${found}, ${stored.sha256} was written`);
  return bytes;
}
