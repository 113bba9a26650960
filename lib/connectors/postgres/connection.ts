import pg from "pg";
import { StreamError } from "../../model/errors.js";
import type { Millis } from "../../model/ids.js";
import { databaseError } from "./database-errors.js";
import { databaseUrl } from "./database-names.js";

export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** How many rows the statement has changed. */
  readonly changed: number;
}

export type Query = (sql: string, values?: readonly unknown[]) => Promise<Answer>;

export interface ConnectionOptions {
  readonly statementMillis: Millis;
  readonly password: (() => string | Promise<string>) | null;
}

const connectMillis = 10_000;
/** Beyond the server's own limit: then it does not answer any more. */
const answerMillis = 5_000;

/**
 * One connection to a database, made when it is needed, and anew after an error: what was begun is rolled back with the old one.
 * Transactions wait for each other.
 */
export class Connection {
  readonly #name: string;
  readonly #options: ConnectionOptions;
  #client: pg.Client | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #ended = false;

  constructor(name: string, options: ConnectionOptions, signal: AbortSignal) {
    this.#name = name;
    this.#options = options;
    // N4: a statement that is under way is cut off.
    signal.addEventListener("abort", () => void this.end(), { once: true });
  }

  /** Commits what `work` did, or nothing of it. @throws StreamError `transient`: whether it was committed is not known */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#transact(work));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#drop();
  }

  async #transact<T>(work: (query: Query) => Promise<T>): Promise<T> {
    try {
      const client = await this.#connected();
      const query: Query = async (sql, values) => {
        const { rows, rowCount } = await client.query(sql, values === undefined ? [] : [...values]);
        return { rows, changed: rowCount ?? 0 };
      };
      await client.query(begin(this.#options.statementMillis));
      const result = await work(query);
      await client.query("commit");
      return result;
    } catch (error) {
      await this.#drop();
      throw databaseError(error, this.#options.password === null ? "password is fixed" : "password is renewed");
    }
  }

  async #connected(): Promise<pg.Client> {
    if (this.#ended) throw new StreamError("fenced", "the session has ended (N4)");
    if (this.#client !== null) return this.#client;
    const client = this.#made();
    this.#client = client;
    // What breaks between transactions concerns nobody: the next one connects anew.
    client.on("error", () => {
      if (this.#client === client) this.#client = null;
    });
    await client.connect();
    return client;
  }

  #made(): pg.Client {
    const { password, statementMillis } = this.#options;
    return new pg.Client({
      connectionString: databaseUrl(this.#name),
      ...(password === null ? {} : { password }),
      application_name: "tidemark",
      connectionTimeoutMillis: connectMillis,
      query_timeout: statementMillis + answerMillis,
      keepAlive: true,
    });
  }

  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }
}

/**
 * A process that is stopped in the middle holds its locks no longer than a statement may take. Texts of times without a zone mean
 * UTC. And what was told committed must be: with `synchronous_commit = off` a server that crashes may have lost it.
 */
const begin = (statementMillis: Millis): string => `begin isolation level read committed read write;
  set local statement_timeout = ${statementMillis}; set local idle_in_transaction_session_timeout = ${statementMillis};
  set local timezone = 'UTC';
  select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'`;
