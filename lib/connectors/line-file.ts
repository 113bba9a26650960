import type { LineWriter } from "../model/lines.js";
import { type Compression, type Compressor, compressor } from "./compression.js";
import type { OpenFile } from "./file-format.js";

/** Files are many where rows are partitioned: each begins small. */
const firstBytes = 4 * 1024;
/** What is compressed at a time: long enough to compress well, short enough that nobody waits for it. */
const pieceBytes = 1024 * 1024;

export interface FileLines {
  readonly writer: LineWriter<unknown>;
  /** What each line ends in. */
  readonly end: Uint8Array;
  /** What a file begins with whose first row this is. */
  readonly head: (row: unknown) => Uint8Array;
}

/** A file of text, line by line. */
export class LineFile implements OpenFile {
  rows = 0;
  readonly #lines: FileLines;
  readonly #compressor: Compressor;
  readonly #pieces: Uint8Array[] = [];
  #written = 0;
  #piece = Buffer.allocUnsafeSlow(firstBytes);
  #filled = 0;
  /** Up to here nothing is taken back. */
  #settled = 0;
  #settledRows = 0;

  constructor(lines: FileLines, compression: Compression) {
    this.#lines = lines;
    this.#compressor = compressor(compression);
  }

  append(row: unknown): void {
    const before = this.#filled;
    try {
      if (this.#written + before === 0) this.#add(this.#lines.head(row));
      this.#write(row);
      this.rows++;
    } catch (error) {
      this.#filled = before;
      throw error;
    }
  }

  settle(): void {
    if (this.#filled >= pieceBytes) this.#pass();
    this.#settled = this.#filled;
    this.#settledRows = this.rows;
  }

  rollback(): void {
    this.#filled = this.#settled;
    this.rows = this.#settledRows;
  }

  get size(): number {
    return this.#written + this.#filled;
  }

  get held(): number {
    return this.#written + this.#piece.length;
  }

  finish(): Uint8Array {
    this.#pass();
    this.#pieces.push(this.#compressor.end());
    return Buffer.concat(this.#pieces);
  }

  #write(row: unknown): void {
    const { writer, end: lineEnd } = this.#lines;
    for (;;) {
      const end = writer(row, this.#piece, this.#filled);
      const after = end + lineEnd.length;
      if (end >= 0 && after <= this.#piece.length) {
        this.#piece.set(lineEnd, end);
        this.#filled = after;
        return;
      }
      this.#grow(end < 0 ? -end : lineEnd.length);
    }
  }

  #add(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#piece.length) this.#grow(bytes.length);
    this.#piece.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #grow(missing: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#piece.length, this.#filled + missing));
    larger.set(this.#piece.subarray(0, this.#filled));
    this.#piece = larger;
  }

  #pass(): void {
    if (this.#filled === 0) return;
    const piece = this.#compressor.add(this.#piece.subarray(0, this.#filled));
    this.#pieces.push(piece);
    this.#written += piece.length;
    this.#filled = 0;
  }
}
