import { kindOf, quoted, refuse } from "../../pipeline/checks.js";

/** A name as SQL writes it: what is in it means nothing. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Bytes: a longer one would be cut short by the server. */
const nameBytesMax = 63;

/** `orders`, or `sales.orders`, as SQL: the parts are names as the database has them, in their case. @throws StreamError `invalid` */
export function tableName(where: string, name: unknown): string {
  if (typeof name !== "string") return refuse(where, `must be a name, not ${kindOf(name)}`);
  const parts = name.split(".");
  if (parts.length > 2) return refuse(where, `${quoted(name)} has too many dots; write "table", or "schema.table"`);
  return parts.map((part) => identifier(checkedName(where, part))).join(".");
}

export function checkedName(where: string, name: unknown): string {
  const isName = typeof name === "string" && name !== "" && !name.includes("\0") && name.isWellFormed();
  if (!isName) return refuse(where, `must be a name, not ${name === "" ? "an empty text" : kindOf(name)}`);
  if (Buffer.byteLength(name) > nameBytesMax)
    return refuse(where, `${quoted(name)} has more than ${nameBytesMax} bytes, which PostgreSQL would cut off`);
  return name;
}
