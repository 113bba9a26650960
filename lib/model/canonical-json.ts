import { StreamError } from "./errors.js";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/**
 * One text for one value (RFC 8785, JSON Canonicalization Scheme): members sorted by UTF-16 code units, no white space.
 * What is named by its hash (R6) is written this way. Members that are `undefined` are left out, as in JSON.
 *
 * @throws StreamError `bug` for what JSON cannot hold: NaN, infinities, functions, bigints
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value === "object" && !ArrayBuffer.isView(value)) return canonicalObject(value);
  // Bytes may be a record's body, which does not belong in messages.
  const what = typeof value === "object" ? "an object of bytes" : `a ${typeof value} (${String(value)})`;
  throw new StreamError("bug", `${what} has no canonical JSON`);
}

/** Written for speed: heads, leases, acks and notes all go through here. Sorting without a comparator is by code units. */
function canonicalObject(object: object): string {
  const values = object as Readonly<Record<string, unknown>>;
  let text = "";
  for (const name of Object.keys(values).sort()) {
    const value = values[name];
    if (value === undefined) continue;
    text += `${text === "" ? "{" : ","}${JSON.stringify(name)}:${canonicalJson(value)}`;
  }
  return text === "" ? "{}" : `${text}}`;
}
