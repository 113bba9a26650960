import type { DeadLetter } from "../../pipeline/dead-letter.js";
import { letterOf } from "../stored-letters.js";
import type { Query } from "./connection.js";

/** The dead letters in a table, whatever types its columns have. */
export async function lettersInTable(query: Query, table: string): Promise<readonly DeadLetter[]> {
  const { rows } = await query(`select * from ${table}`);
  return rows.flatMap((row) => {
    const texts = Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Date ? value.toISOString() : value,
    ]);
    const letter = letterOf(Object.fromEntries(texts));
    return letter === null ? [] : [letter];
  });
}
