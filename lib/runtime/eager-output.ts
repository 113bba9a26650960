import { StreamError } from "../model/errors.js";
import type { CheckpointId } from "../model/ids.js";
import type { Key } from "../model/keys.js";
import type { EagerSink, EagerWriter, VersionedRow } from "../pipeline/sink.js";
import { heldRow } from "./held-output.js";
import { NewestRows } from "./newest-rows.js";

/** Rows of one eager sink that are not written yet: of each key the newest. They are written beside the records, and all before the ack (B3). */
export class EagerOutput {
  readonly kind = "eager";
  rows = 0;
  readonly waitingMax = 1_000;
  readonly #pending = new NewestRows<VersionedRow>();
  #epoch: CheckpointId;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly name: string,
    private readonly sink: Pick<EagerSink<never>, "keyOf" | "keyFor">,
    private readonly writer: EagerWriter,
    private readonly nextSeq: () => number,
    private readonly first: {
      readonly epoch: CheckpointId;
      readonly versionOf: (epoch: CheckpointId, seq: number) => Uint8Array;
    },
  ) {
    this.#epoch = first.epoch;
  }

  add(row: unknown, operatorKey?: Key): void {
    if (typeof row === "object" && !ArrayBuffer.isView(row)) Object.freeze(row);
    const key = checkSameKey(this.name, this.sink, row, operatorKey);
    const { row: kept, change, seq } = heldRow(key, row, this.nextSeq());
    this.#pending.set(key, { key, row: kept, change, version: this.first.versionOf(this.#epoch, seq) });
    this.rows++;
  }

  mark(): void {
    this.#pending.mark();
  }

  rollback(): void {
    this.rows -= this.#pending.rollback();
  }

  get waiting(): number {
    return this.#pending.size;
  }

  /** Writes what waits, behind what is under way. */
  flush(): Promise<void> {
    const rows = this.#pending.take();
    if (rows.length > 0) this.#tail = this.#tail.then(() => this.writer.put(rows));
    // Whoever flushed hears of a failure; where that is nobody any more, it must not end the process.
    this.#tail.catch(() => undefined);
    return this.#tail;
  }

  /** At a cut: resolves when all rows of the epoch are written. What comes now is of the next one. */
  cut(next: CheckpointId): Promise<void> {
    this.#epoch = next;
    return this.flush();
  }
}

/** W3: the row's key is the operator's, else a key written before a crash and not after it would stay. Returns it. */
export function checkSameKey(
  name: string,
  sink: Pick<EagerSink<never>, "keyOf" | "keyFor">,
  row: unknown,
  operatorKey: Key | undefined,
): string {
  const key = sink.keyOf(row as never);
  if (operatorKey === undefined || sink.keyFor(operatorKey) !== key) throw otherKey(name);
  return key;
}

function otherKey(name: string): StreamError {
  return new StreamError(
    "invalid",
    `sink "${name}" writes at once, and its row has another key than the operator before it (W3): after a failure a row could stay that nobody writes again. Give the row the operator's key, or leave out delivery: "eager"`,
  );
}
