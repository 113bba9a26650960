import type { Json } from "../model/canonical-json.js";
import type { CommitPermit } from "../model/checkpoints.js";
import type { SealedEpoch, Sink, SinkResources, TwoPhaseSink, TwoPhaseWriter } from "./sink.js";
import {
  checkDescription,
  letterReader,
  type OpenTarget,
  OpenTargets,
  type SinkDescription,
  type TargetResources,
} from "./sink-target.js";
import { stagedNames } from "./staged-names.js";

/** What is prepared at a target, and neither committed nor aborted. */
export interface Leftover<out Committable> {
  /** That `prepare` was given. */
  readonly name: string;
  readonly committable: Committable;
}

/**
 * The calls of a session come one after the other, but for `commit`, which may come beside a `write`. Between `prepare` and `commit` lie
 * minutes, or days after a failure: what is prepared must not expire.
 */
export interface TwoPhaseTarget<in Row, in out Committable extends Json = Json> extends OpenTarget<Row> {
  /** Rows, in order, at most a thousand. The first ones after `open` or `prepare` begin a transaction. */
  readonly write: (rows: readonly Row[]) => Promise<void>;
  /**
   * Ends the transaction: what was written is durable when it resolves, and not seen. Not called where no row came.
   *
   * @param name no other transaction of any pipeline has it; at most 160 letters, digits, "-", "_" and "."
   * @returns what `commit` and `abort` need, as plain JSON, which may come from another process. null: there is nothing to commit
   */
  readonly prepare: (name: string) => Promise<Committable | null>;
  /**
   * Shows what was prepared. It may be called again, by anyone, at any time: what was committed already is no error; what is neither
   * there nor committed is, `corrupt`.
   *
   * @throws StreamError `invalid`, `corrupt`: the pipeline fails with this cause; anything else is tried again
   */
  readonly commit: (committable: Committable, permit: CommitPermit) => Promise<void>;
  /** Removes what was prepared, and no checkpoint will ever commit. It may be called again: what is gone already is no error. */
  readonly abort: (committable: Committable) => Promise<void>;
  /**
   * What is prepared under names that begin with `prefix`: asked when a session restores, so that what dead sessions left is
   * aborted. Where it is missing nothing ever is: let the target forget it, after weeks.
   */
  readonly leftovers?: (prefix: string) => Promise<readonly Leftover<Committable>[]>;
}

/** See {@link twoPhase}. */
export interface TwoPhase<in Row, in out Committable extends Json = Json> extends SinkDescription {
  readonly open: (resources: TargetResources) => TwoPhaseTarget<Row, Committable>;
}

/**
 * A sink for a target that has a two-phase commit: rows go there at once, out of sight; a checkpoint prepares them, and they are
 * committed once it is complete.
 *
 * @throws StreamError `invalid`: a member is missing, or of the wrong type
 * @example
 * const orders = twoPhase<Order, { readonly name: string }>({
 *   kind: "queue",
 *   open: ({ target }) => {
 *     let batch = newBatch(target);
 *     return {
 *       write: (rows) => batch.append(rows),
 *       async prepare(name) {
 *         await batch.stageAs(name);
 *         batch = newBatch(target);
 *         return { name };
 *       },
 *       commit: ({ name }) => publishUnlessPublished(target, name),
 *       abort: ({ name }) => removeStaged(target, name),
 *     };
 *   },
 * });
 */
export function twoPhase<Row, Committable extends Json = Json>(sink: TwoPhase<Row, Committable>): Sink<Row> {
  const { kind, config, redirectable } = checkDescription("twoPhase", sink);
  const open = (resources: SinkResources) => new Transactions(resources, sink);
  const letters = (resources: SinkResources) => letterReader(resources, sink);
  return { kind, config, redirectable, delivery: "two-phase", open, letters } satisfies TwoPhaseSink<Row>;
}

/** What a committable of such a sink says. */
interface Prepared<Committable> {
  readonly target: string;
  readonly name: string;
  readonly committable: Committable;
}

const rowsAtOnce = 1_000;
/** How large a row is nobody knows; a thousand of them are worth a call. */
const bytesPerRow = 4 * 1024;

/** Rows of a record wait for its end, so that it can be taken back whole (Q1); the calls make one queue. */
class Transactions<Row, Committable extends Json> implements TwoPhaseWriter {
  readonly target: string;
  readonly #targets: OpenTargets<TwoPhaseTarget<Row, Committable>>;
  readonly #stage: SinkResources["stage"];
  /** Of the transaction, not passed on. */
  #rows: Row[] = [];
  #marked = 0;
  #records = 0;
  #recordsBefore = 0;
  #underWay = 0;
  #transactions = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(resources: SinkResources, sink: TwoPhase<Row, Committable>) {
    this.#targets = new OpenTargets(resources, sink, sink.open);
    this.#stage = resources.stage;
    this.target = this.#targets.target;
  }

  check(): Promise<void> {
    return this.#targets.once(this.target, "check", (outside) => outside.check?.());
  }

  close(): Promise<void> {
    return this.#targets.close();
  }

  /** A row waits: until it is passed on nobody may change it, so that one object filled again and again fails at once. */
  write(row: unknown): void {
    this.#targets.at(this.target).validate?.(row as Row);
    if (typeof row === "object" && !ArrayBuffer.isView(row)) Object.freeze(row);
    this.#rows.push(row as Row);
    this.#records++;
  }

  mark(): void {
    this.#marked = this.#rows.length;
    this.#recordsBefore = this.#records;
  }

  rollback(): void {
    this.#rows.length = this.#marked;
    this.#records = this.#recordsBefore;
  }

  get waiting(): number {
    return (this.#rows.length + this.#underWay) * bytesPerRow;
  }

  async flush(): Promise<void> {
    this.#pass();
    await this.#tail;
  }

  seal(): SealedEpoch | null {
    if (this.#records === 0) return null;
    this.#pass();
    const records = this.#records;
    this.#records = 0;
    this.#recordsBefore = 0;
    const name = `${this.#stage.session}-${++this.#transactions}`;
    // Once: what a second call would find, after one whose answer was lost, nobody knows.
    const preparing = this.#queue("prepare", (outside) => outside.prepare(name));
    const { target } = this;
    return {
      records,
      prepare: async () => {
        const committable = (await preparing) ?? null;
        const prepared: Prepared<Committable> | null = committable === null ? null : { target, name, committable };
        return { prepared: prepared === null ? null : { ...prepared }, bytes: 0 };
      },
    };
  }

  async commit(prepared: Json, permit: CommitPermit): Promise<void> {
    if (prepared === null) return;
    const { target, committable } = prepared as unknown as Prepared<Committable>;
    await this.#targets.repeat(target, "commit", (outside) => outside.commit(committable, permit));
  }

  async sweep(keep: readonly Json[]): Promise<void> {
    const { prefix, mayGo } = stagedNames(this.#stage);
    const found = await this.#targets.repeat(this.target, "leftovers", (one) => one.leftovers?.(prefix));
    const kept = new Set(keep.map((prepared) => (prepared as unknown as Prepared<Committable> | null)?.name));
    for (const { name, committable } of found ?? []) {
      if (!kept.has(name) && mayGo(name))
        await this.#targets.repeat(this.target, "abort", (outside) => outside.abort(committable));
    }
  }

  /** Between two records: what waits is of records that are done. */
  #pass(): void {
    const rows = this.#rows;
    this.#rows = [];
    this.#marked = 0;
    for (let from = 0; from < rows.length; from += rowsAtOnce) {
      const some = rows.slice(from, from + rowsAtOnce);
      this.#underWay += some.length;
      const written = this.#queue("write", (outside) => outside.write(some));
      written.then(
        () => {
          this.#underWay -= some.length;
        },
        () => undefined,
      );
    }
  }

  /** Behind what was asked for before; where that failed it fails too. Whoever flushes or prepares hears of it. */
  #queue<T>(
    step: "write" | "prepare",
    call: (outside: TwoPhaseTarget<Row, Committable>) => Promise<T>,
  ): Promise<T | undefined> {
    const called = this.#tail.then(() => this.#targets.once(this.target, step, call));
    called.catch(() => undefined);
    this.#tail = called;
    return called;
  }
}
