import type { Key } from "../model/keys.js";
import { deletedKey } from "../pipeline/deletion.js";
import type { EagerSink, Sink } from "../pipeline/sink.js";
import { checkSameKey } from "./eager-output.js";
import type { OpenedWriter, Outputs, RowTaker } from "./outputs.js";

/** W2: rows of a sink in a dry run are looked at as if they were to be written, counted, and forgotten. */
export class DryRunOutput implements RowTaker {
  readonly kind = "dry-run";
  rows = 0;
  readonly waiting = 0;
  readonly waitingMax = Number.POSITIVE_INFINITY;
  readonly #look: Look;
  /** Those that were counted before this session. */
  readonly #before: number;
  #marked = 0;

  constructor(name: string, sink: Sink<never>, opened: OpenedWriter, before: number) {
    this.#look = lookFor(name, sink, opened);
    this.#before = before;
  }

  /** Since the sink is in a dry run, over the lineage. */
  get counted(): number {
    return this.#before + this.rows;
  }

  add(row: unknown, operatorKey?: Key): void {
    this.#look(row, operatorKey);
    this.rows++;
  }

  mark(): void {
    this.#marked = this.rows;
  }

  rollback(): void {
    this.rows = this.#marked;
  }
}

type Look = (row: unknown, operatorKey: Key | undefined) => void;

/** What would refuse the row refuses it here. */
function lookFor(name: string, sink: Sink<never>, opened: OpenedWriter): Look {
  const keyOf = "keyOf" in sink ? (sink.keyOf as (row: unknown) => string) : () => "";
  switch (opened.delivery) {
    case "held":
      // Of a deletion its key attributes are what is kept, and looked at.
      return (row) => {
        keyOf(row);
        opened.writer.validate(deletedKey(row) ?? row);
      };
    case "eager":
      return (row, operatorKey) => checkSameKey(name, sink as EagerSink<never>, row, operatorKey);
    case "log":
      return (row) => opened.writer.validate(row);
    case "two-phase": {
      const { writer } = opened;
      // Taken, and taken back at once: nothing is staged, for nothing is flushed.
      return (row) => {
        writer.mark();
        try {
          writer.write(row);
        } finally {
          writer.rollback();
        }
      };
    }
  }
}

/** By sink, of those in a dry run. */
export function dryRowsOf(outputs: Outputs): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...outputs].flatMap(([sink, output]) => (output.kind === "dry-run" ? [[sink, output.counted] as const] : [])),
  );
}
