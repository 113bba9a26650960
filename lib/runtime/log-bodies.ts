import { StreamError } from "../model/errors.js";
import { deleted, deletedKey } from "../pipeline/deletion.js";
import { CborReader } from "../state/cbor-reader.js";
import { CborWriter } from "../state/cbor-writer.js";

const format = 1;

/** Rows of a log, one by one. */
export class LogRowEncoder {
  #writer = new CborWriter();

  /** An array of the row; of a deletion [key attributes, true]. @throws StreamError `invalid` for a row that would not come back */
  encode(row: unknown): Uint8Array {
    const key = deletedKey(row);
    try {
      this.#writer.value(key === null ? [row] : [key, true]);
      return this.#writer.take();
    } catch (cause) {
      // It holds half a row.
      this.#writer = new CborWriter();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StreamError("invalid", `a row cannot be kept: ${why}`, { cause });
    }
  }
}

const header = (() => {
  const writer = new CborWriter();
  writer.value(format);
  return writer.take();
})();

/** The body of a segment: a CBOR sequence of the format and the rows. */
export const logBody = (rows: readonly Uint8Array[]): Uint8Array => {
  const bytes = Buffer.concat([header, ...rows]);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
};

/** @throws StreamError `corrupt` where the bytes are no such body (their hash was checked before, P3) */
export function decodeLogBody(bytes: Uint8Array): readonly unknown[] {
  const reader = new CborReader(bytes);
  const found = reader.value();
  if (found !== format)
    throw new StreamError("invalid", `a log of format ${String(found)}: upgrade tidemark to read it`);
  const rows: unknown[] = [];
  while (!reader.done) rows.push(logRow(reader.value()));
  return rows;
}

function logRow(item: unknown): unknown {
  if (Array.isArray(item) && item.length === 1) return item[0];
  if (Array.isArray(item) && item.length === 2 && item[1] === true && typeof item[0] === "object" && item[0] !== null)
    return deleted(item[0] as object);
  throw new StreamError("corrupt", "an item of a log is no [row]");
}
