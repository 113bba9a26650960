import { StreamError } from "../../model/errors.js";
import type { SegmentToken } from "../../pipeline/sink.js";
import type { Query } from "./connection.js";
import { noPermission, sqlState } from "./database-errors.js";

/** The table of tokens: of each lane the last position applied (C5). */
export interface TokensUse {
  readonly where: string;
  /** As SQL. */
  readonly table: string;
  readonly create: "if absent" | "never";
}

const createSql = (table: string): string =>
  `create table if not exists ${table} (lane text collate "C" primary key, sink text not null, position text collate "C" not null)`;

/** Rows that change are in the same transaction; the same columns everywhere, or a lane could not be found again. */
const probeSql = (table: string): string => `select lane, sink, position from ${table} where false`;

const rightsSql = `select current_user as "user", has_table_privilege(to_regclass($1), 'select') as "select",
  has_table_privilege(to_regclass($1), 'insert') as "insert", has_table_privilege(to_regclass($1), 'update') as "update"`;

export async function isAbsent(query: Query, { table }: TokensUse): Promise<boolean> {
  return (await query("select to_regclass($1) is null as absent", [table])).rows[0]?.absent === true;
}

/** In a transaction of its own, which fails where others make it at the same time. @throws StreamError `invalid` without permission */
export async function createTokens(query: Query, { where, table, create }: TokensUse): Promise<void> {
  const advice = `have it created: ${createSql(table)}`;
  if (create === "never")
    throw new StreamError("invalid", `${where}: there is no table ${table} for tokens; ${advice}`);
  try {
    await query(createSql(table));
  } catch (error) {
    if (sqlState(error) === noPermission)
      throw new StreamError(
        "invalid",
        `${where}: the table ${table} for tokens may not be created by this user; ${advice}`,
        {
          cause: error,
        },
      );
    // Made by another task meanwhile: then it is there at the next look.
    throw new StreamError("transient", `${where}: the table ${table} for tokens was not created`, { cause: error });
  }
}

/** @throws StreamError `invalid`: another table has the name, or the user lacks a right */
export async function checkTokens(query: Query, { where, table }: TokensUse): Promise<void> {
  const [rights] = (await query(rightsSql, [table])).rows;
  const missing = ["select", "insert", "update"].filter((right) => rights?.[right] !== true);
  if (missing.length > 0)
    throw new StreamError(
      "invalid",
      `${where}: the user "${rights?.user}" lacks rights on the table of tokens: grant ${missing.join(", ")} on ${table}`,
    );
  await query(probeSql(table));
}

/**
 * C5: moves a lane on to the segment's position, and says whether its rows are still to be applied. The row stays locked until the
 * transaction ends, so that two who bring a segment come one after the other: the second finds it done.
 */
export async function advance(query: Query, { table }: TokensUse, token: SegmentToken): Promise<boolean> {
  const sql = `insert into ${table} as t (lane, sink, position) values ($1, $2, $3)
    on conflict (lane) do update set position = excluded.position where t.position < excluded.position`;
  return (await query(sql, [token.lane, token.sink, token.position])).changed > 0;
}
