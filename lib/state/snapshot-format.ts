import { StreamError } from "../model/errors.js";
import type { Column } from "./table.js";

/** What docs/SNAPSHOT-FORMAT.md describes. Another number is another format. */
export const snapshotFormat = 1;

export type SnapshotKind = "base" | "delta";

/** A slice is closed at the first end of a key group beyond this: a request takes about as long as so many bytes, and each slice stands in the index. */
export const sliceBytesTarget = 256 * 1024;

/** State of one task beyond this in one file asks for more tasks: 1 GiB before compression. */
export const snapshotBytesMax = 1 << 30;

const magic = Buffer.from("TIDEMARK", "latin1");
const kindBytes: Readonly<Record<SnapshotKind, number>> = { base: 0x42, delta: 0x44 };

export const fileHeaderBytes = magic.length + 2;

/** "TIDEMARK", the format as a byte, and "B" or "D". */
export function fileHeader(kind: SnapshotKind): Uint8Array {
  return Buffer.concat([magic, Uint8Array.of(snapshotFormat, kindBytes[kind])]);
}

/** The first item of a slice. */
export interface SliceHeader {
  readonly operator: string;
  readonly stateVersion: number;
  readonly columns: readonly Column[];
}

export function sliceHeaderItem({ operator, stateVersion, columns }: SliceHeader): readonly unknown[] {
  const names = columns.map(({ name }) => name);
  const kinds = columns.map(({ kind }) => kind);
  return [snapshotFormat, operator, stateVersion, names, kinds];
}

/** @throws StreamError `corrupt` where the item is no header of this format */
export function sliceHeaderOf(item: unknown): SliceHeader {
  const [format, operator, stateVersion, names, kinds] = Array.isArray(item) ? item : [];
  if (format !== snapshotFormat) {
    throw new StreamError("corrupt", `format ${String(format)}; this version of the library reads ${snapshotFormat}`);
  }
  if (typeof operator !== "string" || typeof stateVersion !== "number" || !isTexts(names) || !isTexts(kinds)) {
    throw new StreamError("corrupt", "a header that is none");
  }
  return { operator, stateVersion, columns: names.map((name, i) => ({ name, kind: columnKind(kinds[i]) })) };
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === "string");

function columnKind(text: string | undefined): Column["kind"] {
  if (text === "value" || text === "list" || text === "map") return text;
  throw new StreamError("corrupt", `state of kind ${String(text)}`);
}
