import { deletedKey } from "../pipeline/deletion.js";
import type { HeldSink } from "../pipeline/sink.js";
import { NewestRows } from "./newest-rows.js";

/** A row that is held until the checkpoint that covers it is complete. `seq` orders it among all writes of the task (W1). */
export interface HeldRow {
  readonly key: string;
  /** Of a deletion the key attributes. */
  readonly row: unknown;
  readonly change: "put" | "delete";
  readonly seq: number;
}

/** Rows of one held sink since the last cut: of each key the newest (section 8: many updates of a key cost one write). */
export class HeldOutput {
  readonly kind = "held";
  /** Of all epochs. */
  rows = 0;
  readonly #newest = new NewestRows<HeldRow>();
  readonly #keyOf: (row: never) => string;
  readonly #nextSeq: () => number;

  constructor(sink: Pick<HeldSink<never>, "keyOf">, nextSeq: () => number) {
    this.#keyOf = sink.keyOf;
    this.#nextSeq = nextSeq;
  }

  /** The row is encoded at the cut: until then nobody may change it, so that one object filled again and again fails at once. */
  add(row: unknown): void {
    if (typeof row === "object" && !ArrayBuffer.isView(row)) Object.freeze(row);
    const key = this.#keyOf(row as never);
    this.#newest.set(key, heldRow(key, row, this.#nextSeq()));
    this.rows++;
  }

  mark(): void {
    this.#newest.mark();
  }

  rollback(): void {
    this.rows -= this.#newest.rollback();
  }

  get waiting(): number {
    return this.#newest.size;
  }

  /** At a cut: what was held, in the order of first arrival. The next epoch begins empty. */
  take(): readonly HeldRow[] {
    return this.#newest.take();
  }
}

/** Where the row is a deletion, its key attributes are what is kept. */
export function heldRow(key: string, row: unknown, seq: number): HeldRow {
  const deleted = deletedKey(row);
  return deleted === null ? { key, row, change: "put", seq } : { key, row: deleted, change: "delete", seq };
}
