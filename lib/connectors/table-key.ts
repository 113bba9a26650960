import { StreamError } from "../model/errors.js";
import { keyBytes } from "../model/keys.js";
import { kindOf, quoted, refuse } from "../pipeline/checks.js";
import type { AttributeType, TableItem, Tables } from "../ports/tables.js";

/** What key attributes hold, by their types. */
export type KeyKind = { string: string; number: number; bytes: Uint8Array };
export type Named<K extends string> = { readonly [P in K]: string };
export type Kinded<K extends Readonly<Record<string, keyof KeyKind>>> = { readonly [P in keyof K]: KeyKind[K[P]] };

export interface KeyAttribute {
  readonly name: string;
  readonly type: AttributeType;
}

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const partitionKeyBytesMax = 2_048;
const sortKeyBytesMax = 1_024;

const types: ReadonlySet<string> = new Set(["string", "number", "bytes"]);

/**
 * The options `table` and `key` of a sink. `maker` is its function.
 *
 * @throws StreamError `invalid` where they are none
 */
export function checkedTable(
  maker: string,
  { table, key }: { readonly table: unknown; readonly key: unknown },
): { readonly table: string; readonly key: readonly KeyAttribute[] } {
  if (typeof table !== "string" || table === "") return refuse(`${maker} "${table}"`, `"table" must name a table`);
  const attributes = Array.isArray(key)
    ? key.map((name: unknown) => ({ name, type: "string" }))
    : Object.entries(typeof key === "object" && key !== null ? key : {}).map(([name, type]) => ({
        name,
        type: type as unknown,
      }));
  const good = attributes.every(({ name, type }) => typeof name === "string" && name !== "" && types.has(String(type)));
  if (attributes.length < 1 || attributes.length > 2 || !good) {
    refuse(
      `${maker} "${table}"`,
      `it has no key; give the table's key attributes, partition key first: key: ["airport"], or with types: key: { airport: "string", year: "number" }`,
    );
  }
  return { table, key: attributes as readonly KeyAttribute[] };
}

/** What tells rows apart: the key attributes' bytes. `where` is whose row it is. @throws StreamError `invalid` where it has no such key */
export function rowKey(where: string, key: readonly KeyAttribute[], row: TableItem): string {
  if (typeof row !== "object" || row === null) refuse(where, `a row is ${kindOf(row)}, not an object`);
  const [only] = key;
  if (key.length === 1 && only?.type === "string")
    return stringKey(where, row[only.name], only.name, partitionKeyBytesMax);
  const limits = [partitionKeyBytesMax, sortKeyBytesMax];
  return key.map((attribute, index) => partKey(where, row[attribute.name], attribute, limits[index] ?? 0)).join("|");
}

function stringKey(where: string, value: unknown, name: string, bytesMax: number): string {
  if (typeof value !== "string" || value === "") return badKeyValue(where, name, "a string that is not empty", value);
  // Bytes of UTF-8 are counted only where there may be too many: at most three for a UTF-16 unit.
  if (value.length * 3 > bytesMax && Buffer.byteLength(value) > bytesMax) longKeyValue(where, name, bytesMax);
  return value;
}

function partKey(where: string, value: unknown, { name, type }: KeyAttribute, bytesMax: number): string {
  if (type === "bytes") {
    if (!(value instanceof Uint8Array) || value.length === 0) return badKeyValue(where, name, "bytes", value);
    if (value.length > bytesMax) longKeyValue(where, name, bytesMax);
    return Buffer.from(value).toString("hex");
  }
  if (type === "number") {
    if (typeof value !== "number" || !Number.isFinite(value)) return badKeyValue(where, name, "a finite number", value);
    return Buffer.from(keyBytes(value)).toString("hex");
  }
  return Buffer.from(stringKey(where, value, name, bytesMax), "utf8").toString("hex");
}

function longKeyValue(where: string, name: string, bytesMax: number): never {
  return refuse(
    where,
    `key attribute "${name}" of a row has more than ${bytesMax} bytes, which DynamoDB refuses; write a shorter key, such as a hash of it`,
  );
}

function badKeyValue(where: string, name: string, expected: string, value: unknown): never {
  const isEmpty = value === "" || (value instanceof Uint8Array && value.length === 0);
  const found = value === undefined ? "is missing" : `is ${isEmpty ? "empty" : kindOf(value)}`;
  return refuse(where, `key attribute "${name}" of a row ${found}; it must be ${expected}`);
}

const describeKey = (key: readonly KeyAttribute[]): string =>
  `(${key.map(({ name, type }) => `${name}: ${type}`).join(", ")})`;

/** @throws StreamError `invalid` where there is no such table, or one with another key. `maker` is the sink's function */
export async function checkTableKey(
  tables: Tables,
  target: string,
  { maker, key }: { readonly maker: string; readonly key: readonly KeyAttribute[] },
): Promise<void> {
  const found = await tables.describe(target);
  if (found.kind === "absent")
    throw new StreamError(
      "invalid",
      `sink table ${quoted(target)}: there is no such table; create it with the key ${describeKey(key)}`,
    );
  if (describeKey(found.key) === describeKey(key)) return;
  throw new StreamError(
    "invalid",
    `sink table ${quoted(target)}: its key is ${describeKey(found.key)}, the pipeline writes by ${describeKey(key)}; change ${maker}'s "key", or use another table`,
  );
}
