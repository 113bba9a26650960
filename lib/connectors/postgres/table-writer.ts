import { asStreamError, StreamError } from "../../model/errors.js";
import { millis } from "../../model/ids.js";
import type { DeadLetter } from "../../pipeline/dead-letter.js";
import type { Segment } from "../../pipeline/sink.js";
import type { TargetResources } from "../../pipeline/sink-target.js";
import type { LogTarget } from "../../pipeline/write-ahead-log.js";
import { type Change, changeOf, inSteps, oneByOne, rowText, type Step } from "./changes.js";
import { Connection, type ConnectionOptions, type Query } from "./connection.js";
import { blamesRow, sqlState, twiceInOne } from "./database-errors.js";
import { statementOf } from "./statements.js";
import { lettersInTable } from "./table-letters.js";
import { readShape, type TableShape, type TableUse } from "./table-shape.js";
import { advance, checkTokens, createTokens, isAbsent, type TokensUse } from "./tokens.js";

export interface TableWriterOptions extends ConnectionOptions {
  readonly use: TableUse;
  readonly tokens: TokensUse;
}

/** A table of a database in one session: segments are applied in one transaction each, with their token. */
export class TableWriter implements LogTarget<unknown> {
  readonly #options: TableWriterOptions;
  readonly #connection: Connection;
  /** As it was when the session began. */
  #shape: TableShape | null = null;

  readonly #resources: TargetResources;

  constructor(options: TableWriterOptions, resources: TargetResources) {
    this.#options = options;
    this.#resources = resources;
    this.#connection = new Connection(resources.target, options, resources.signal);
  }

  /** A start is not refused for a connection that breaks once. */
  readonly check = async (): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#looked();
        return;
      } catch (error) {
        if (asStreamError(error).kind !== "transient" || attempt === checksMax) throw error;
      }
      await this.#resources.clock.sleep(checkPauseMillis, this.#resources.signal);
    }
  };

  readonly validate = (row: unknown): void => {
    // Without a look at the table nothing is known of it: then its segment says it.
    if (this.#shape !== null) changeOf(this.#options.use, this.#shape, row);
  };

  readonly apply = async ({ token, rows }: Segment<unknown>): Promise<void> => {
    const shape = await this.#looked();
    const { use, tokens } = this.#options;
    const changes = rows.map((row) => changeOf(use, shape, row));
    const applied = (steps: readonly Step[]) =>
      this.#connection.transaction(async (query) => {
        if (!(await advance(query, tokens, token))) return;
        for (const step of steps) await this.#perform(query, shape, step);
      });
    try {
      await applied(inSteps(use, changes));
    } catch (error) {
      // Keys that are one for the database only, such as texts that it compares without case.
      if (sqlState(error) === twiceInOne) await applied(oneByOne(changes));
      else if (blamesRow(error)) throw await this.#blamed(shape, changes, { error, position: token.position });
      else throw error;
    }
  };

  readonly letters = (): Promise<readonly DeadLetter[]> =>
    this.#connection.transaction((query) => lettersInTable(query, this.#options.use.table));

  readonly close = (): Promise<void> => this.#connection.end();

  async #looked(): Promise<TableShape> {
    if (this.#shape !== null) return this.#shape;
    const { use, tokens } = this.#options;
    const transaction = <T>(work: (query: Query) => Promise<T>) => this.#connection.transaction(work);
    const { shape, absent } = await transaction(async (query) => {
      const found = await readShape(query, use);
      return { shape: found, absent: await isAbsent(query, tokens) };
    });
    if (absent) await this.#createTokens();
    await transaction((query) => checkTokens(query, tokens));
    this.#shape = shape;
    return shape;
  }

  /** Tasks that begin at one time all find it absent: who comes second finds it there. */
  async #createTokens(): Promise<void> {
    const { tokens } = this.#options;
    try {
      await this.#connection.transaction((query) => createTokens(query, tokens));
    } catch (error) {
      const made = await this.#connection.transaction(async (query) => !(await isAbsent(query, tokens)));
      if (!made) throw error;
    }
  }

  async #perform(query: Query, shape: TableShape, step: Step): Promise<void> {
    const { sql, values } = statementOf(this.#options.use, shape, step);
    await query(sql, values);
  }

  /** Which row it is: each by itself, and nothing of it stays. */
  async #blamed(
    shape: TableShape,
    changes: readonly Change[],
    of: { readonly error: unknown; readonly position: string },
  ): Promise<StreamError> {
    const { where, key } = this.#options.use;
    const { kind, message } = asStreamError(of.error);
    let at = 0;
    const found = await this.#connection
      .transaction(async (query) => {
        await query("set constraints all immediate");
        for (const step of oneByOne(changes)) {
          await this.#perform(query, shape, step);
          at++;
        }
        throw new StreamError("transient", "no row is refused by itself");
      })
      .catch((error: unknown) => (blamesRow(error) ? asStreamError(error).message : null));
    const guilty = changes[at];
    const named = key === null || guilty === undefined ? "" : `, ${rowText(key, guilty.values).slice(0, keyTextMax)},`;
    const row = found === null ? "rows" : `row ${at + 1} of ${changes.length}${named}`;
    return new StreamError(
      kind,
      `${where}: ${row} of the segment ${of.position} cannot be written: ${found ?? message}. They are kept: change what refuses them in the database, and start the pipeline again`,
      { cause: of.error },
    );
  }
}

const keyTextMax = 200;
const checksMax = 3;
const checkPauseMillis = millis(300);
