import { StreamError } from "../model/errors.js";
import { CborReader } from "../state/cbor-reader.js";
import { CborWriter } from "../state/cbor-writer.js";
import type { HeldRow } from "./sink-buffer.js";

const format = 1;

/** The rows of a held committable: a CBOR sequence of the format and one [key, row, seq] each. */
export function encodeHeldRows(rows: readonly HeldRow[]): Uint8Array {
  const writer = new CborWriter();
  writer.value(format);
  for (const { key, row, seq } of rows) writer.value([key, row, seq]);
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
  const [key, row, seq] = Array.isArray(item) ? (item as readonly unknown[]) : [];
  if (typeof key === "string" && typeof seq === "number") return { key, row, seq };
  throw new StreamError("corrupt", "an item among held rows is no [key, row, seq]");
}
