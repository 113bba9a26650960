import { StreamError } from "../../model/errors.js";
import type { Query } from "./connection.js";
import { identifier } from "./names.js";

/** A column as the catalog has it. */
export interface Column {
  readonly name: string;
  /** As SQL writes it: `character varying(10)`. */
  readonly type: string;
  /** The internal name of a type that PostgreSQL brings, `int4` for `integer`; "enum", "array", or "" for any other. */
  readonly base: string;
  /** Of `varchar(n)` and `numeric(p, s)`; -1 where there is none. */
  readonly modifier: number;
  readonly notNull: boolean;
  /** Where a row leaves it out, the database knows what to put there. */
  readonly hasDefault: boolean;
  /** Nobody may give it a value. */
  readonly generated: boolean;
  /** Texts are equal where their bytes are. */
  readonly deterministic: boolean;
  /** Of an enum. */
  readonly labels: readonly string[];
}

export interface TableShape {
  readonly columns: ReadonlyMap<string, Column>;
  /** Columns that a row must name. */
  readonly required: readonly Column[];
}

/** What a sink says of its table. */
export interface TableUse {
  /** `postgres "shop", table "orders"`, for messages. */
  readonly where: string;
  /** As SQL. */
  readonly table: string;
  /** W2: of a redirect the table that it stands beside, as SQL; else null. */
  readonly beside: string | null;
  /** null: rows are appended. */
  readonly key: readonly string[] | null;
  /** What rows have, where the sink says it. */
  readonly columns: readonly string[] | null;
}

const columnsSql = `
  select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.atttypmod as modifier, a.attnotnull as "notNull",
    case when t.typtype = 'e' then 'enum' when t.typcategory = 'A' then 'array'
      when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text else '' end as base,
    a.atthasdef or a.attidentity <> '' as "hasDefault", a.attidentity = 'a' or a.attgenerated <> '' as generated,
    coalesce(c.collisdeterministic, true) as deterministic,
    coalesce((select json_agg(e.enumlabel) from pg_enum e where e.enumtypid = t.oid), '[]') as labels
  from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_collation c on c.oid = a.attcollation
  where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`;

const tableSql = `
  select c.relkind in ('r', 'p') as "isTable", current_user as "user",
    has_any_column_privilege(c.oid, 'insert') as "mayInsert", has_any_column_privilege(c.oid, 'update') as "mayUpdate",
    has_any_column_privilege(c.oid, 'select') as "maySelect"
  from pg_class c where c.oid = to_regclass($1)`;

/** Sets of columns that an ON CONFLICT can name. */
const uniquesSql = `
  select array(select a.attname::text from unnest(i.indkey[0:i.indnkeyatts - 1]) k join pg_attribute a
    on a.attrelid = i.indrelid and a.attnum = k) as names
  from pg_index i where i.indrelid = to_regclass($1) and i.indisunique and i.indisvalid and i.indimmediate
    and i.indpred is null and i.indexprs is null`;

/** @throws StreamError `invalid`: what the sink wants to do to the table cannot be done */
export async function readShape(query: Query, use: TableUse): Promise<TableShape> {
  await checkTable(query, use);
  const { rows } = await query(columnsSql, [use.table]);
  const columns = new Map(rows.map((row) => [String(row.name), row as unknown as Column]));
  const unknown = [...(use.key ?? []), ...(use.columns ?? [])].find((name) => !columns.has(name));
  if (unknown !== undefined)
    throw new StreamError(
      "invalid",
      `${use.where}: it has no column ${JSON.stringify(unknown)}; it has ${[...columns.keys()].join(", ")}`,
    );
  const isRequired = ({ name, notNull, hasDefault, generated }: Column) =>
    use.columns?.includes(name) || use.key?.includes(name) || (notNull && !hasDefault && !generated);
  return { columns, required: [...columns.values()].filter(isRequired) };
}

async function checkTable(query: Query, { where, table, beside, key }: TableUse): Promise<void> {
  const [found] = (await query(tableSql, [table])).rows;
  const refuse = (why: string): never => {
    throw new StreamError("invalid", `${where}: ${why}`);
  };
  if (found === undefined)
    return refuse(
      `there is no such table in the database, or in the user's search_path; create it, ${beside === null ? "or name its schema" : `such as: create table ${table} (like ${beside} including all)`}`,
    );
  if (found.isTable !== true) return refuse("it is no table");
  const wanted = key === null ? ["Insert"] : ["Insert", "Update", "Select"];
  const missing = wanted.filter((right) => found[`may${right}`] !== true).map((right) => right.toLowerCase());
  if (missing.length > 0)
    return refuse(
      `the user "${found.user}" may not ${missing.join(", nor ")}: grant ${missing.join(", ")} on ${table}`,
    );
  if (key === null) return;
  const uniques = (await query(uniquesSql, [table])).rows.map(({ names }) => names as readonly string[]);
  if (uniques.some((names) => names.length === key.length && key.every((name) => names.includes(name)))) return;
  refuse(
    `no primary key or unique constraint has exactly the columns ${key.join(", ")}; name those of one in "key", or: alter table ${table} add unique (${key.map(identifier).join(", ")})`,
  );
}
