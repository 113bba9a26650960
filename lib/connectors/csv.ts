import { StreamError } from "../model/errors.js";
import { textWriter } from "../model/lines.js";
import { toUtf8 } from "../model/utf8.js";
import { checkMembers, isPlainObject, kindOf, quoted, refuse } from "../pipeline/checks.js";
import { type Compression, checkCompression, compressionEnding } from "./compression.js";
import type { FileFormat } from "./file-format.js";
import { type FileLines, LineFile } from "./line-file.js";

/** What a field of a row may be. `null` and `undefined` are an empty field, an empty text is `""`. */
export type CsvValue = string | number | bigint | boolean | Date | null | undefined;

export interface CsvOptions {
  /** In the order of the file. Where they are not given: the members of the first row of each file. */
  readonly columns?: readonly string[];
  /** Whether each file begins with the names of the columns. True where it is not given. */
  readonly header?: boolean;
  readonly compression?: Compression;
}

const lineEnd = Uint8Array.of(0x0d, 0x0a);
const nothing = new Uint8Array(0);

/**
 * Files of comma-separated values (RFC 4180, UTF-8): lines end in CR LF, and fields are in quotes only where they must be. Dates are
 * written as in ISO 8601.
 *
 * Give the columns where a row may lack a member, for that may be the first of a file. A member that is no column is an
 * error: nothing is left out silently.
 *
 * @throws StreamError `invalid` at build: unknown options, a column twice; at a record: a row that is no object, has a member that is
 *   no column, or one that is an object, an array, NaN or infinite
 * @example csv<Delay>({ columns: ["airport", "flights", "late"], compression: "gzip" })
 */
export function csv<T>(options: CsvOptions = {}): FileFormat<T> {
  checkMembers("csv", options, ["columns", "header", "compression"]);
  const compression = checkCompression("csv", options.compression ?? "none");
  const { header = true } = options;
  if (typeof header !== "boolean") refuse("csv", `"header" must be true or false, not ${kindOf(header)}`);
  const given = options.columns === undefined ? null : checkColumns(options.columns);
  return {
    name: "csv",
    ending: `.csv${compressionEnding(compression)}`,
    config: { columns: given, header, compression },
    open: () => () => new LineFile(csvLines(given, header), compression),
  };
}

/** The lines of one file. */
function csvLines(given: readonly string[] | null, header: boolean): FileLines {
  let columns = given ?? [];
  return {
    end: lineEnd,
    head(row) {
      columns = given ?? Object.keys(membersOf(row));
      return header ? toUtf8(`${columns.map(field).join(",")}\r\n`) : nothing;
    },
    writer: textWriter((row) => line(columns, membersOf(row))),
  };
}

function membersOf(row: unknown): Readonly<Record<string, unknown>> {
  if (isPlainObject(row)) return row;
  throw new StreamError("invalid", `csv: a row must be an object with a member for each column, not ${kindOf(row)}`);
}

function line(columns: readonly string[], row: Readonly<Record<string, unknown>>): string {
  for (const name of Object.keys(row)) {
    if (!columns.includes(name))
      throw new StreamError(
        "invalid",
        `csv: a row has a member ${quoted(name)}, which is no column; the columns are ${columns.map(quoted).join(", ")}. Leave it out, or add it to "columns"`,
      );
  }
  const text = columns.map((name) => fieldOf(name, Object.hasOwn(row, name) ? row[name] : null)).join(",");
  // An empty line is none to most readers.
  return text === "" ? '""' : text;
}

function fieldOf(name: string, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return field(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  throw new StreamError(
    "invalid",
    `csv: the column ${quoted(name)} of a row is ${kindOf(value)}; a field may be a text, a number, a boolean, a date or null`,
  );
}

/** Quoted where it must be. An empty text is, so that it is not null. */
function field(text: string): string {
  if (!text.isWellFormed())
    throw new StreamError("invalid", "csv: a text has a lone surrogate, which UTF-8 cannot hold");
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function checkColumns(columns: unknown): readonly string[] {
  if (
    !Array.isArray(columns) ||
    columns.length === 0 ||
    columns.some((name) => typeof name !== "string" || name === "")
  )
    return refuse("csv", `"columns" must be names, in the order of the file`);
  if (new Set(columns).size < columns.length) return refuse("csv", `"columns" has a name twice`);
  return [...(columns as readonly string[])];
}
