import { rowText, type Step } from "./changes.js";
import { identifier } from "./names.js";
import type { TableShape, TableUse } from "./table-shape.js";

export interface Statement {
  readonly sql: string;
  readonly values: readonly [string];
}

/** All rows of a step are one parameter: JSON, which the server turns into the columns' types. */
export function statementOf(use: TableUse, shape: TableShape, { kind, names, rows }: Step): Statement {
  const values = [`[${rows.map((row) => rowText(names, row)).join(",")}]`] as const;
  const types = names.map((name) => `${identifier(name)} ${shape.columns.get(name)?.type}`);
  const from = `json_to_recordset($1::json) as r(${types.join(", ")})`;
  return { sql: kind === "delete" ? deleteSql(use, names, from) : insertSql(use, names, from), values };
}

function insertSql({ table, key }: TableUse, names: readonly string[], from: string): string {
  // A row of defaults alone.
  if (names.length === 0) return `insert into ${table} select from json_array_elements($1::json)`;
  const list = names.map(identifier).join(", ");
  const insert = `insert into ${table} (${list}) select ${list} from ${from}`;
  if (key === null) return insert;
  const rest = names.filter((name) => !key.includes(name)).map(identifier);
  const sets = rest.map((name) => `${name} = excluded.${name}`).join(", ");
  return `${insert} on conflict (${key.map(identifier).join(", ")}) do ${sets === "" ? "nothing" : `update set ${sets}`}`;
}

function deleteSql({ table }: TableUse, names: readonly string[], from: string): string {
  const same = names.map((name) => `t.${identifier(name)} = r.${identifier(name)}`).join(" and ");
  return `delete from ${table} t using ${from} where ${same}`;
}
