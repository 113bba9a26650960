import { StreamError } from "../model/errors.js";
import { CborReader } from "../state/cbor-reader.js";
import { CborWriter } from "../state/cbor-writer.js";
import type { HeldRow } from "./held-output.js";

const format = 1;

/** The rows of a held committable: a CBOR sequence of the format and one [key, row, seq] each; of a deletion [key, key attributes, seq, true]. */
export function encodeHeldRows(rows: readonly HeldRow[]): Uint8Array {
  const writer = new CborWriter();
  writer.value(format);
  for (const { key, row, change, seq } of rows)
    writer.value(change === "put" ? [key, row, seq] : [key, row, seq, true]);
  return writer.take();
}

/** @throws StreamError `corrupt` where the bytes are no such body (their hash was checked before, P3) */
export function decodeHeldRows(bytes: Uint8Array): readonly HeldRow[] {
  const reader = new CborReader(bytes);
  const found = reader.value();
  if (found !== format)
    throw new StreamError("invalid", `held rows of format ${String(found)}: upgrade tidemark to read them`);
  const rows: HeldRow[] = [];
  while (!reader.done) {
    rows.push(heldRow(reader.value()));
  }
  return rows;
}

function heldRow(item: unknown): HeldRow {
  const [key, row, seq, isDeletion] = Array.isArray(item) ? (item as readonly unknown[]) : [];
  if (typeof key === "string" && typeof seq === "number") {
    return { key, row, change: isDeletion === true ? "delete" : "put", seq };
  }
  throw new StreamError("corrupt", "an item among held rows is no [key, row, seq]");
}
