import pg from "pg";
import { type ErrorKind, StreamError } from "../../model/errors.js";

/** Where a server says that nothing will change by trying again: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const lasting: ReadonlySet<string> = new Set([
  "0A", // feature not supported
  "21", // cardinality
  "22", // data
  "23", // integrity constraint
  "28", // authorization
  "3D", // no such database
  "3F", // no such schema
  "42", // syntax, or access
  "44", // WITH CHECK OPTION
  "54", // program limit, such as an index row's size
  "P0", // a trigger raised it
]);

/** SQLSTATE, where a server refused something; null for all else. */
export function sqlState(error: unknown): string | null {
  const cause = error instanceof StreamError ? error.cause : error;
  return cause instanceof pg.DatabaseError ? (cause.code ?? null) : null;
}

export const noPermission = "42501";
/** One statement would change a row twice. */
export const twiceInOne = "21000";

/** Refused for what is in a row: one row alone can be to blame. */
export const blamesRow = (error: unknown): boolean => /^(22|23|44|54|P0)/.test(sqlState(error) ?? "");

/** @param renewed a password is asked for at each connection, so that the next may be right */
export function databaseError(error: unknown, renewed: "password is renewed" | "password is fixed"): StreamError {
  if (error instanceof StreamError) return error;
  const state = sqlState(error);
  return new StreamError(kindOf(state, renewed), messageOf(error, state), { cause: error });
}

function kindOf(state: string | null, renewed: "password is renewed" | "password is fixed"): ErrorKind {
  if (state === null || !lasting.has(state.slice(0, 2))) return "transient";
  return state.startsWith("28") && renewed === "password is renewed" ? "transient" : "invalid";
}

/** Of data errors the values are left out: they are a record's. */
function messageOf(error: unknown, state: string | null): string {
  const text = error instanceof Error ? error.message : String(error);
  if (state === null) return networkText(error, text);
  return `${state.startsWith("22") ? text.replaceAll(/"[^"]*"/g, '"…"') : text} (SQLSTATE ${state})`;
}

/** Where several addresses were tried, the error itself says nothing. */
function networkText(error: unknown, text: string): string {
  if (text !== "") return text;
  return error instanceof AggregateError ? error.errors.map(String).join("; ") : "the connection failed";
}
