/** PostgreSQL as a sink. Needs the npm package `pg`. */
import { databaseName, redirectedDatabase, redirectIn } from "./connectors/postgres/database-names.js";
import { checkedName, tableName } from "./connectors/postgres/names.js";
import { TableWriter, type TableWriterOptions } from "./connectors/postgres/table-writer.js";
import type { Json } from "./model/canonical-json.js";
import { type Duration, parseDuration } from "./model/duration.js";
import { StreamError } from "./model/errors.js";
import { checkMembers, kindOf, quoted, refuse } from "./pipeline/checks.js";
import type { Deletion } from "./pipeline/deletion.js";
import type { Sink, SinkResources } from "./pipeline/sink.js";
import { redirectedTable } from "./pipeline/sink-modes.js";
import { writeAheadLog } from "./pipeline/write-ahead-log.js";

interface AnyPostgresOptions {
  /** The logical name of the database. It is bound to `env:NAME`, a variable that has its URL, or to a URL without a password. */
  readonly database: string;
  /** `orders`, or with its schema `sales.orders`. */
  readonly table: string;
  /** The columns that each row has, all of them, and no others. Where it is not given a row names those that it writes. */
  readonly columns?: readonly string[];
  /** Asked at each connection, where the URL has no password: for tokens of IAM, or a secret that is renewed. */
  readonly password?: () => string | Promise<string>;
  /** The table of tokens, one for all sinks of a database: `tidemark_tokens` where it is not given. */
  readonly tokensTable?: string;
  /** Whether it is created where it is absent: `true` where it is not given. */
  readonly createTokensTable?: boolean;
  /** How long a statement may take, and how long a session that has stopped holds its locks: "30s" where it is not given. */
  readonly statementTimeout?: Duration;
}

export interface PostgresAppend extends AnyPostgresOptions {
  /** Each row is inserted. */
  readonly mode: "append";
}

export interface PostgresUpsert<K extends string> extends AnyPostgresOptions {
  /** Each row takes the place of the one with its key. */
  readonly mode: "upsert";
  /** The columns of the primary key, or of another unique constraint. */
  readonly key: readonly [K, ...K[]];
}

/** What a key may be made of. */
export type PostgresKeyValue = string | number | bigint | boolean | Date | Uint8Array;

type Keyed<K extends string> = { readonly [P in K]: PostgresKeyValue };

/**
 * A PostgreSQL table as a sink: rows are written once the checkpoint that covers them is complete, in transactions that also note
 * how far they are, so that each row is written once, whatever is repeated (a log, C5).
 *
 * A row's members are columns. Upsert: a column that a row does not name stays as it is; {@link deleted} removes a row. Append: it gets
 * its default.
 *
 * @throws StreamError `invalid` at build: unknown options; at start: the table is absent, has no such unique key or no such column,
 *   or the user lacks a right; at a record: a column that the table does not have, or a value that it cannot hold
 * @example stream.to("orders", postgres({ database: "shop", table: "orders", mode: "upsert", key: ["id"] }))
 * @example stream.to("events", postgres({ database: "shop", table: "audit.events", mode: "append" }))
 */
export function postgres<const K extends string>(options: PostgresUpsert<K>): Sink<Keyed<K> | Deletion<Keyed<K>>>;
export function postgres(options: PostgresAppend): Sink<object>;
export function postgres(options: PostgresAppend | PostgresUpsert<string>): Sink<never> {
  const { database, config, writer } = checked(options);
  const sink = writeAheadLog<unknown>({
    kind: "postgres",
    target: { kind: "database", name: database },
    config,
    open: (resources) => {
      const { database: name, suffix } = redirectIn(resources.target);
      return new TableWriter(writer(suffix), { ...resources, target: name });
    },
  });
  const { letters } = sink;
  if (sink.delivery !== "log" || letters === undefined) throw new StreamError("bug", "writeAheadLog() makes a log");
  // What is bound is looked at before it can get into a message.
  const bind =
    (resources: SinkResources): SinkResources["bind"] =>
    (kind, logical) =>
      redirectedDatabase(databaseName(logical, resources.bind(kind, logical)), resources.suffix ?? null);
  return {
    ...sink,
    redirectable: true,
    open: (resources) => sink.open({ ...resources, bind: bind(resources) }),
    letters: (resources) => letters({ ...resources, bind: bind(resources) }),
  };
}

const known = [
  "database",
  "table",
  "mode",
  "key",
  "columns",
  "password",
  "tokensTable",
  "createTokensTable",
  "statementTimeout",
];

function checked(options: PostgresAppend | PostgresUpsert<string>): {
  readonly database: string;
  readonly config: Json;
  /** W2: of the table, or of that which a redirect with this suffix names. */
  readonly writer: (suffix: string | null) => TableWriterOptions;
} {
  const about = `postgres ${quoted(String(options?.table ?? ""))}`;
  checkMembers(about, options, known);
  const { database, table, mode, password = null, tokensTable = "tidemark_tokens" } = options;
  if (typeof database !== "string" || database === "")
    refuse(`${about}, "database"`, `must be a name, not ${kindOf(database)}`);
  const key = checkedKey(about, options);
  const columns = options.columns === undefined ? null : checkedNames(`${about}, "columns"`, options.columns);
  const left = key?.find((name) => columns !== null && !columns.includes(name));
  if (left !== undefined) refuse(`${about}, "columns"`, `has not ${quoted(left)}, which is of the key; add it`);
  if (password !== null) checkSecret(`${about}, "password"`, password);
  const statementMillis = parseDuration(options.statementTimeout ?? "30s", `${about}, "statementTimeout"`);
  const tokens = { table: tableName(`${about}, "tokensTable"`, tokensTable), create: creation(about, options) };
  const writer = (suffix: string | null): TableWriterOptions => {
    const name = suffix === null ? table : redirectedTable(table, suffix);
    const where = `postgres ${quoted(database)}, table ${quoted(name)}`;
    const named = (of: string) => tableName(`${about}, "table"`, of);
    const use = { where, table: named(name), beside: suffix === null ? null : named(table), key, columns };
    return { use, tokens: { where, ...tokens }, statementMillis, password };
  };
  // At once, so that a name that is none is refused here.
  writer(null);
  return { database, config: { table, mode, key: key ?? [], columns, tokensTable }, writer };
}

function checkedKey(
  about: string,
  options: { readonly mode: unknown; readonly key?: unknown },
): readonly string[] | null {
  if (options.mode !== "upsert" && options.mode !== "append")
    return refuse(`${about}, "mode"`, `must be "upsert", by a key, or "append"`);
  if (options.mode === "upsert") return checkedNames(`${about}, "key"`, options.key);
  if (options.key !== undefined) refuse(`${about}, "key"`, `is of no use with mode: "append"; leave it out`);
  return null;
}

function checkedNames(where: string, names: unknown): readonly string[] {
  if (!Array.isArray(names) || names.length === 0)
    return refuse(where, `must be names of columns, such as ["id"], not ${kindOf(names)}`);
  const found = names.map((name: unknown) => checkedName(where, name));
  const twice = found.find((name, index) => found.indexOf(name) !== index);
  return twice === undefined ? found : refuse(where, `has ${quoted(twice)} twice`);
}

/** Unlike an operator it may wait. */
function checkSecret(where: string, password: unknown): void {
  if (typeof password !== "function") refuse(where, `must be a function that gives it, not ${kindOf(password)}`);
}

function creation(about: string, { createTokensTable = true }: AnyPostgresOptions): "if absent" | "never" {
  if (typeof createTokensTable !== "boolean")
    refuse(`${about}, "createTokensTable"`, `must be true or false, not ${kindOf(createTokensTable)}`);
  return createTokensTable ? "if absent" : "never";
}
