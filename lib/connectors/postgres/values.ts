import { StreamError } from "../../model/errors.js";
import { isPlainObject, kindOf } from "../../pipeline/checks.js";
import type { Column } from "./table-shape.js";

/** A value as a member of a row in JSON, from which the server makes one of the column's type; null: it cannot. */
type Encode = (value: unknown, column: Column) => string | null;

interface ColumnType {
  readonly takes: string;
  readonly encode: Encode;
}

/** @throws StreamError `invalid` where the column cannot hold the value */
export function valueText(where: string, column: Column, value: unknown): string {
  const type = types[column.base] ?? anyType;
  const place = `${where}, column ${JSON.stringify(column.name)}`;
  if (column.generated)
    throw new StreamError("invalid", `${place}: the database generates it; leave it out of the row`);
  if (value === null) {
    if (!column.notNull) return "null";
    throw new StreamError("invalid", `${place}: a row has null, which the column does not take`);
  }
  const text = type.encode(value, column);
  if (text !== null) return text;
  throw new StreamError("invalid", `${place} (${column.type}) takes ${type.takes}; a row has ${found(value)}`);
}

/** Where values are one, their texts are one: then a statement changes no row twice. */
export function hasExactText({ base, deterministic }: Column, value: unknown): boolean {
  if (base === "text" || base === "varchar") return deterministic;
  if (/^(timestamp|timestamptz)$/.test(base)) return value instanceof Date;
  return /^(int2|int4|int8|bool|uuid|bytea|date|enum)$/.test(base);
}

/** Never the value itself: it is a record's. */
function found(value: unknown): string {
  if (typeof value === "string") return `a text of ${value.length} characters`;
  return value instanceof Date && Number.isNaN(value.getTime()) ? "an invalid Date" : kindOf(value);
}

function whole(bits: number): ColumnType {
  const [least, most] = [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n];
  return {
    takes: `whole numbers from ${least} to ${most}${bits > 53 ? ", beyond 2^53 as bigint" : ""}`,
    encode(value) {
      if (typeof value !== "bigint" && !Number.isSafeInteger(value)) return null;
      const n = BigInt(value as number | bigint);
      return n >= least && n <= most ? String(n) : null;
    },
  };
}

/** Text that JSON, and then the server, takes as it is: PostgreSQL has no NUL in texts, and UTF-8 no half of a pair. */
const textOf = (text: string): string | null =>
  text.includes("\0") || !text.isWellFormed() ? null : JSON.stringify(text);

const quotedNumber = (value: number): string => {
  if (!Number.isFinite(value)) return JSON.stringify(String(value));
  return Object.is(value, -0) ? "-0" : String(value);
};

const real: Encode = (value) => {
  if (typeof value !== "number") return null;
  const narrow = Math.fround(value);
  const isLost = Number.isFinite(value) && (!Number.isFinite(narrow) || (narrow === 0 && value !== 0));
  return isLost ? null : quotedNumber(value);
};

const decimalText = /^-?\d{1,1000}(\.\d{1,1000})?$/;

/** `numeric(p, s)`: a modifier has both, 4 beyond. */
function decimal(value: unknown, { modifier }: Column): string | null {
  const isText = typeof value === "string" && decimalText.test(value);
  if (typeof value !== "bigint" && !isText && !(typeof value === "number" && Number.isFinite(value))) return null;
  if (modifier >= 4) {
    const precision = (modifier - 4) >> 16;
    const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
    const most = 10 ** (precision - scale);
    // Just below the limit it is rounded up to it.
    if (Math.abs(Number(value)) + 10 ** -scale / 2 >= most) return null;
  }
  return isText ? JSON.stringify(value) : String(value);
}

const characters: Encode = (value, { modifier }) => {
  if (typeof value !== "string") return null;
  const most = modifier < 4 ? Number.POSITIVE_INFINITY : modifier - 4;
  // A character may be two UTF-16 units.
  return value.length > most && [...value].length > most ? null : textOf(value);
};

const iso = /^(\d{4})-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$/;

const time: Encode = (value) => {
  if (value instanceof Date) {
    const text = Number.isNaN(value.getTime()) ? "" : value.toISOString();
    return /^(?!0000)\d{4}-/.test(text) ? JSON.stringify(text) : null;
  }
  if (typeof value !== "string" || !iso.test(value) || value.startsWith("0000")) return null;
  const day = value.slice(0, 10);
  const parsed = new Date(`${day}T00:00:00Z`);
  // The 30th of February would become the 2nd of March.
  if (Number.isNaN(parsed.getTime()) || !parsed.toISOString().startsWith(day)) return null;
  const [hours, minutes, seconds] = [value.slice(11, 13), value.slice(14, 16), value.slice(17, 19)];
  return hours > "23" || minutes > "59" || /^[6-9]/.test(seconds) ? null : JSON.stringify(value);
};

const day: Encode = (value, column) => {
  const text = time(value, column);
  return text === null ? null : `${text.slice(0, 11)}"`;
};

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const depthMax = 100;

/** Any JSON; dates as their ISO text, bigints as numbers. */
function document(value: unknown, depth = 0): string | null {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return textOf(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? quotedNumber(value) : null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : JSON.stringify(value.toISOString());
  if (depth > depthMax) return null;
  if (Array.isArray(value))
    return joined(
      "[",
      "]",
      value.map((item) => document(item ?? null, depth + 1)),
    );
  if (!isPlainObject(value)) return null;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const texts = members.map(([name, member]) => {
    const [nameText, memberText] = [textOf(name), document(member, depth + 1)];
    return nameText === null || memberText === null ? null : `${nameText}:${memberText}`;
  });
  return joined("{", "}", texts);
}

const joined = (open: string, close: string, parts: readonly (string | null)[]): string | null =>
  parts.includes(null) ? null : `${open}${parts.join(",")}${close}`;

const json: ColumnType = {
  takes: "what JSON holds: plain objects, arrays, texts without a NUL, finite numbers, bigints, dates, booleans",
  encode: (value) => document(value),
};
const times = { takes: "a Date or an ISO 8601 text of the years 1 to 9999", encode: time };

/** The server knows what the type takes. */
const anyType: ColumnType = { ...json, takes: "what JSON holds, as the server turns it into the type" };

const types: Readonly<Record<string, ColumnType | undefined>> = {
  int2: whole(16),
  int4: whole(32),
  int8: whole(64),
  float4: { takes: "a number that 32 bits can hold", encode: real },
  float8: { takes: "a number", encode: (value) => (typeof value === "number" ? quotedNumber(value) : null) },
  numeric: { takes: "a finite number, a bigint or a decimal text within its precision", encode: decimal },
  bool: { takes: "a boolean", encode: (value) => (typeof value === "boolean" ? String(value) : null) },
  text: { takes: "a text, well-formed and without a NUL", encode: characters },
  varchar: { takes: "a text within its length, well-formed and without a NUL", encode: characters },
  bpchar: { takes: "a text within its length, well-formed and without a NUL", encode: characters },
  uuid: {
    takes: "the text of a UUID",
    encode: (value) => (typeof value === "string" && uuidText.test(value) ? JSON.stringify(value.toLowerCase()) : null),
  },
  bytea: {
    takes: "bytes, a Uint8Array",
    encode: (value) => (value instanceof Uint8Array ? `"\\\\x${Buffer.from(value).toString("hex")}"` : null),
  },
  date: { ...times, encode: day },
  timestamp: times,
  timestamptz: times,
  json,
  jsonb: json,
  enum: {
    takes: "one of its labels",
    encode: (value, { labels }) => (labels.some((label) => label === value) ? JSON.stringify(value) : null),
  },
  array: { takes: "an array", encode: (value) => (Array.isArray(value) ? document(value) : null) },
};
