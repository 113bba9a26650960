import type { LogSink, LogWriter } from "../pipeline/sink.js";
import { LogRowEncoder, logBody } from "./log-bodies.js";

/** Rows of a segment have no more bytes than this, but for a single one that has. */
const segmentBytesMax = 256 * 1024;

export interface LogSegment {
  readonly bytes: Uint8Array;
  readonly records: number;
}

/** Rows of one log sink since the last cut, all of them, in order; cut into segments as they come, so that every repeat finds the same ones. */
export class LogOutput {
  readonly kind = "log";
  /** Of all epochs. */
  rows = 0;
  /** Bytes of an epoch that are kept in memory: beyond, a cut must come first. */
  readonly bytesMax = 16 * 1024 * 1024;
  readonly #writer: LogWriter;
  readonly #rowsMax: number;
  readonly #encoder = new LogRowEncoder();
  #segments: LogSegment[] = [];
  /** Of the segment that is open; behind a mark there may be more than one segment holds. */
  #open: Uint8Array[] = [];
  #openBytes = 0;
  /** So many of the open rows nobody takes back. null: nobody takes any back. */
  #marked: number | null = null;
  #waiting = 0;
  #bytes = 0;

  constructor(sink: Pick<LogSink<never>, "rowsMax">, writer: LogWriter) {
    this.#writer = writer;
    this.#rowsMax = sink.rowsMax;
  }

  /** The row is encoded at once: what its owner does to it later is the owner's. */
  add(row: unknown): void {
    this.#writer.validate(row);
    const bytes = this.#encoder.encode(row);
    this.#open.push(bytes);
    this.#openBytes += bytes.length;
    this.#bytes += bytes.length;
    this.#waiting++;
    this.rows++;
    if (this.#marked === null) this.#close("full");
  }

  mark(): void {
    this.#close("full");
    this.#marked = this.#open.length;
  }

  rollback(): void {
    const back = this.#open.splice(this.#marked ?? this.#open.length);
    this.rows -= back.length;
    this.#waiting -= back.length;
    for (const row of back) {
      this.#bytes -= row.length;
      this.#openBytes -= row.length;
    }
  }

  /** Rows. */
  get waiting(): number {
    return this.#waiting;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** At a cut: all rows. The next epoch begins empty. */
  take(): readonly LogSegment[] {
    this.#close("all");
    const segments = this.#segments;
    this.#segments = [];
    this.#marked = null;
    this.#waiting = 0;
    this.#bytes = 0;
    return segments;
  }

  #close(which: "full" | "all"): void {
    for (;;) {
      const end = this.#endOfFirst();
      if (end === null && (which === "full" || this.#open.length === 0)) return;
      const rows = this.#open.splice(0, end ?? this.#open.length);
      for (const row of rows) this.#openBytes -= row.length;
      this.#segments.push({ bytes: logBody(rows), records: rows.length });
    }
  }

  /** Where the first segment of the open rows ends, if it is full. */
  #endOfFirst(): number | null {
    if (this.#open.length < this.#rowsMax && this.#openBytes <= segmentBytesMax) return null;
    let bytes = 0;
    for (const [index, row] of this.#open.entries()) {
      bytes += row.length;
      if (index > 0 && bytes > segmentBytesMax) return index;
      if (index + 1 === this.#rowsMax) return index + 1;
    }
    return null;
  }
}
