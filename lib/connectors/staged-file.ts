import type { LineWriter } from "../model/lines.js";
import type { Files } from "../ports/files.js";

/** What is written at a time. */
const pieceBytes = 1024 * 1024;
/** A piece is written when there is less room left than this: most lines then never meet its end. */
const slackBytes = 64 * 1024;

const lineFeed = 0x0a;

/** A file that grows line by line. Lines become bytes at once, in a piece of memory; pieces are written one after the other, beside the records. */
export class StagedFile {
  #piece = Buffer.allocUnsafeSlow(pieceBytes);
  #filled = 0;
  /** Up to here nothing is taken back. null: nothing ever is. */
  #marked: number | null = null;
  /** Of the pieces that were passed on. */
  #size = 0;
  #underWay = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly files: Files,
    readonly path: string,
  ) {}

  /** Bytes of all lines. */
  get size(): number {
    return this.#size + this.#filled;
  }

  /** Bytes that are not written yet. */
  get waiting(): number {
    return this.#filled + this.#underWay;
  }

  /** @throws StreamError what the writer throws; the line is left out then */
  append<T>(writer: LineWriter<T>, value: T): void {
    if (this.#marked === null && this.#piece.length - this.#filled < slackBytes) this.#pass();
    for (;;) {
      const end = writer(value, this.#piece, this.#filled);
      if (end >= 0 && end < this.#piece.length) {
        this.#piece[end] = lineFeed;
        this.#filled = end + 1;
        return;
      }
      this.#grow(end < 0 ? -end : 1);
    }
  }

  mark(): void {
    if (this.#piece.length - this.#filled < slackBytes) this.#pass();
    this.#marked = this.#filled;
  }

  rollback(): void {
    this.#filled = this.#marked ?? this.#filled;
  }

  /** Resolves when all lines are written. */
  flush(): Promise<void> {
    this.#pass();
    return this.#tail;
  }

  #grow(missing: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#piece.length, this.#filled + missing));
    larger.set(this.#piece.subarray(0, this.#filled));
    this.#piece = larger;
  }

  #pass(): void {
    if (this.#filled === 0) return;
    const bytes = this.#piece.subarray(0, this.#filled);
    const offset = this.#size;
    this.#size += bytes.length;
    this.#underWay += bytes.length;
    this.#tail = this.#tail.then(async () => {
      await this.files.write(this.path, offset, bytes);
      this.#underWay -= bytes.length;
    });
    // Whoever flushes hears of a failure.
    this.#tail.catch(() => undefined);
    this.#piece = Buffer.allocUnsafeSlow(pieceBytes);
    this.#filled = 0;
    this.#marked = this.#marked === null ? null : 0;
  }
}
