import { StreamError } from "../model/errors.js";

/** What docs/FRAME-FORMAT.md describes. Another number is another format. */
export const frameFormat = 1;

/** "TIDEMARK", the format as a byte, and "F": the beginning of a frame. */
export const frameHeader = (): Uint8Array => Buffer.from(`TIDEMARK${String.fromCharCode(frameFormat)}F`, "latin1");

/** How many members the two kinds of items of a slice have. */
export const shardMembers = 4;
export const recordMembers = 8;

/** The first item of a slice. */
export const sliceHeaderItem = (edge: string): readonly unknown[] => [frameFormat, edge];

/** @throws StreamError `corrupt` where the item is no header of this format, or another edge's */
export function checkSliceHeader(item: unknown, edge: string): void {
  const [format, found] = Array.isArray(item) ? item : [];
  if (format !== frameFormat) {
    throw new StreamError("corrupt", `format ${String(format)}; this version of the library reads ${frameFormat}`);
  }
  if (found !== edge) throw new StreamError("corrupt", `holds records of edge "${String(found)}"`);
}
