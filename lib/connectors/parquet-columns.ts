import { StreamError } from "../model/errors.js";
import { isPlainObject, kindOf, quoted, refuse } from "../pipeline/checks.js";

/** What values of a column are, in rows. */
export interface ParquetValues {
  string: string;
  boolean: boolean;
  int32: number;
  int64: number | bigint;
  float: number;
  double: number;
  /** In milliseconds since the epoch, where it is a number. */
  timestamp: Date | number;
  /** Of a date that of its day in UTC; of a text `2026-07-31`. */
  date: Date | string;
  /** Anything that JSON holds: written as its text. */
  json: unknown;
  bytes: Uint8Array;
}

export type ParquetKind = keyof ParquetValues;
/** A column's type. With "?" behind it a row may lack it, or have null. */
export type ParquetType = ParquetKind | `${ParquetKind}?`;

/** What a row of these columns is. */
export type ParquetRow<C extends Readonly<Record<string, ParquetType>>> = {
  readonly [N in keyof C as C[N] extends ParquetKind ? N : never]: C[N] extends ParquetKind
    ? ParquetValues[C[N]]
    : never;
} & {
  readonly [N in keyof C as C[N] extends ParquetKind ? never : N]?: C[N] extends `${infer K extends ParquetKind}?`
    ? ParquetValues[K] | null | undefined
    : never;
};

export interface Column {
  readonly name: string;
  readonly kind: ParquetKind;
  readonly nullable: boolean;
}

/** As the writer takes it. undefined: the value does not fit. */
type Convert = (value: unknown) => unknown;

const int64Max = 2n ** 63n;
const dayPattern = /^\d{4}-\d\d-\d\d$/;

const converters: Readonly<Record<ParquetKind, Convert>> = {
  string: (value) => (typeof value === "string" && value.isWellFormed() ? value : undefined),
  boolean: (value) => (typeof value === "boolean" ? value : undefined),
  int32: (value) => (typeof value === "number" && Number.isInteger(value) && (value | 0) === value ? value : undefined),
  int64(value) {
    if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
    return typeof value === "bigint" && value >= -int64Max && value < int64Max ? value : undefined;
  },
  float: (value) => (typeof value === "number" ? value : undefined),
  double: (value) => (typeof value === "number" ? value : undefined),
  timestamp(value) {
    const time = value instanceof Date ? value.getTime() : value;
    return typeof time === "number" && Number.isSafeInteger(time) ? new Date(time) : undefined;
  },
  date(value) {
    const day = typeof value === "string" && dayPattern.test(value) ? new Date(`${value}T00:00:00Z`) : value;
    if (!(day instanceof Date) || Number.isNaN(day.getTime())) return undefined;
    if (typeof value === "string" && day.toISOString().slice(0, 10) !== value) return undefined;
    return new Date(day.getTime());
  },
  json: (value) => JSON.stringify(value) as string | undefined,
  bytes: (value) => (value instanceof Uint8Array ? Uint8Array.from(value) : undefined),
};

/** @throws StreamError `invalid`: no columns, or one of an unknown type */
export function checkColumns(columns: unknown): readonly Column[] {
  if (!isPlainObject(columns) || Object.keys(columns).length === 0)
    return refuse("parquet", `"columns" must be types by names, such as { airport: "string", flights: "int64" }`);
  return Object.entries(columns).map(([name, type]) => {
    const text = typeof type === "string" ? type : "";
    const kind = text.replace(/\?$/, "");
    if (name === "" || !Object.hasOwn(converters, kind)) {
      const known = Object.keys(converters).join(", ");
      return refuse(
        "parquet",
        `the column ${quoted(name)} has no type that there is; types are ${known}, each with "?" where a row may lack it`,
      );
    }
    return { name, kind: kind as ParquetKind, nullable: text.endsWith("?") };
  });
}

/** The values of a row in the order of the columns. @throws StreamError `invalid`, naming the column */
export function valuesOf(columns: readonly Column[], names: ReadonlySet<string>, row: unknown): readonly unknown[] {
  if (!isPlainObject(row)) throw refused(`a row must be an object with a member for each column, not ${kindOf(row)}`);
  for (const name of Object.keys(row)) {
    if (!names.has(name))
      throw refused(`a row has a member ${quoted(name)}, which is no column: leave it out, or add it to "columns"`);
  }
  return columns.map((column) => cellOf(column, Object.hasOwn(row, column.name) ? row[column.name] : undefined));
}

function cellOf({ name, kind, nullable }: Column, value: unknown): unknown {
  if (value === null || value === undefined) {
    if (nullable) return null;
    throw refused(
      `the column ${quoted(name)} of a row is ${value === null ? "null" : "missing"}; "${kind}?" would allow that`,
    );
  }
  const converted = convert(kind, value);
  if (converted !== undefined) return converted;
  throw refused(
    `the column ${quoted(name)} of a row is ${found(value)}, which is no ${kind}: convert it before the sink, or give the column another type`,
  );
}

function convert(kind: ParquetKind, value: unknown): unknown {
  try {
    return converters[kind](value);
  } catch {
    return undefined;
  }
}

/** Never the value itself, but for what a number lacks. */
function found(value: unknown): string {
  if (typeof value !== "number") return kindOf(value);
  return Number.isInteger(value) ? "a number out of its range" : "a number with a fraction, or none";
}

const refused = (problem: string): StreamError => new StreamError("invalid", `parquet: ${problem}`);
