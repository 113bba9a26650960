import type { SealedEpoch, TwoPhaseWriter } from "../pipeline/sink.js";

/** Rows of one two-phase sink: the writer takes them, and stages them beside the records. */
export class TwoPhaseOutput {
  readonly kind = "two-phase";
  rows = 0;
  /** Bytes. */
  readonly waitingMax = 16 * 1024 * 1024;
  readonly worthwhile = 4 * 1024 * 1024;
  #rowsBefore = 0;
  readonly #writer: TwoPhaseWriter;

  constructor(writer: TwoPhaseWriter) {
    this.#writer = writer;
  }

  add(row: unknown): void {
    this.#writer.write(row);
    this.rows++;
  }

  mark(): void {
    this.#rowsBefore = this.rows;
    this.#writer.mark();
  }

  rollback(): void {
    this.rows = this.#rowsBefore;
    this.#writer.rollback();
  }

  get waiting(): number {
    return this.#writer.waiting;
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  seal(unique: string): SealedEpoch | null {
    return this.#writer.seal(unique);
  }
}
