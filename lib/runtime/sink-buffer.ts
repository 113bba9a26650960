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

  /** The row is encoded at the cut: until then nobody may change it, so that one object filled again and again fails at once. */
  add(row: unknown): void {
    if (typeof row === "object" && !ArrayBuffer.isView(row)) Object.freeze(row);
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
