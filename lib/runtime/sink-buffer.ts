import type { Sink } from "../pipeline/sink.js";

/** A row that is held until the checkpoint that covers it is complete. `seq` orders it among all writes of the task (W1). */
export interface HeldRow {
  readonly key: string;
  readonly row: unknown;
  readonly seq: number;
}

/** Rows of one held sink since the last cut: of each key the newest (section 8: many updates of a key cost one write). */
export class SinkBuffer {
  /** Of all epochs. */
  rows = 0;
  #newest = new Map<string, HeldRow>();
  readonly #keyOf: (row: never) => string;
  readonly #nextSeq: () => number;

  constructor(sink: Pick<Sink<never>, "keyOf">, nextSeq: () => number) {
    this.#keyOf = sink.keyOf;
    this.#nextSeq = nextSeq;
  }

  add(row: unknown): void {
    const key = this.#keyOf(row as never);
    this.#newest.set(key, { key, row, seq: this.#nextSeq() });
    this.rows++;
  }

  /** At a cut: what was held, in the order of first arrival. The next epoch begins empty. */
  take(): readonly HeldRow[] {
    const taken = [...this.#newest.values()];
    this.#newest = new Map();
    return taken;
  }
}
