import type { SnapshotFile, SnapshotSlice } from "../model/snapshots.js";
import { fileHeaderBytes } from "./snapshot-format.js";

/** Bytes that are read for nothing rather than asking once more: a request takes about as long as so many bytes. */
export const gapBytesMax = 256 * 1024;

/** One read asks for no more, unless a single slice is larger. */
export const readBytesMax = 8 * 1024 * 1024;

/** One read of a file, and the slices that lie in it. The first one of a file begins at its header. */
export interface SliceRead {
  readonly file: SnapshotFile;
  readonly offset: number;
  readonly length: number;
  readonly slices: readonly SnapshotSlice[];
}

/** Which ranges of a file to read for these slices. Always at least one, for the header. */
export function planReads(file: SnapshotFile, slices: readonly SnapshotSlice[]): readonly SliceRead[] {
  const reads: SliceRead[] = [];
  let read: SliceRead = { file, offset: 0, length: fileHeaderBytes, slices: [] };
  for (const slice of slices.toSorted((a, b) => a.offset - b.offset)) {
    const end = read.offset + read.length;
    const length = slice.offset + slice.length - read.offset;
    if (slice.offset - end <= gapBytesMax && length <= readBytesMax) {
      read = { ...read, length: Math.max(read.length, length), slices: [...read.slices, slice] };
    } else {
      reads.push(read);
      read = { file, offset: slice.offset, length: slice.length, slices: [slice] };
    }
  }
  return [...reads, read];
}
