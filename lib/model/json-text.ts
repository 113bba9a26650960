import { StreamError } from "./errors.js";
import type { LineDecoder } from "./lines.js";
import { fromMarkedUtf8 } from "./utf8.js";

/** `__proto__` in clear, or an escape of an ASCII letter or "_", which nobody writes who does not want to hide it. */
const hiddenName = /\\u00(?:5f|[67])/i;

/** Whether JSON in this text may have a member called `__proto__`. */
function mayNamePrototype(text: string): boolean {
  // Searches for a fixed text are many times faster than the expression, which most blocks therefore never meet.
  return text.includes("__proto__") || (text.includes("\\u00") && hiddenName.test(text));
}

/** The value that JSON text stands for, without members called `__proto__`. Throws as JSON.parse. */
function parsedWithoutPrototype(text: string): unknown {
  // As an own member it is harmless, but the first `Object.assign` or spread-by-hand downstream would make it a prototype.
  return JSON.parse(text, (name, member: unknown) => (name === "__proto__" ? undefined : member));
}

/** The value that JSON text stands for. Throws as JSON.parse. */
export const parseJson = (text: string): unknown =>
  mayNamePrototype(text) ? parsedWithoutPrototype(text) : JSON.parse(text);

/** The value of a record of JSON. Throws `invalid` where it is no UTF-8 or no JSON. */
export function jsonOfBytes(body: Uint8Array): unknown {
  const text = fromMarkedUtf8(body);
  try {
    return parseJson(text);
  } catch (error) {
    throw notJson(`${body.length} bytes`, error);
  }
}

/** The values of lines of JSON. */
export const jsonLines: LineDecoder<unknown> = {
  block(text) {
    const parse: Parse = mayNamePrototype(text) ? parsedWithoutPrototype : JSON.parse;
    return (from, to) => jsonOfLine(text.slice(from, to), parse);
  },
};

export type Parse = (text: string) => unknown;

/** The value of one line. Throws `invalid` where it is no JSON. */
export function jsonOfLine(line: string, parse: Parse): unknown {
  try {
    return parse(line);
  } catch (error) {
    // As in a record of bytes; a file begins with one at times.
    if (line.startsWith("\uFEFF")) return unmarked(line, parse);
    throw notJson(`${line.length} characters`, error);
  }
}

function unmarked(line: string, parse: Parse): unknown {
  try {
    return parse(line.slice(1));
  } catch (error) {
    throw notJson(`${line.length} characters`, error);
  }
}

/** The text of a value in JSON: one line, since JSON escapes line feeds. */
export function jsonText(value: unknown): string {
  let written: string | undefined;
  try {
    written = JSON.stringify(value);
  } catch (cause) {
    throw new StreamError("invalid", "json: the value has a bigint, contains itself, or its toJSON threw", { cause });
  }
  if (written === undefined) throw new StreamError("invalid", `json: a value of type ${typeof value} is no JSON`);
  return written;
}

/**
 * A writer of rows: the text that {@link jsonText} gives. Rows are mostly flat objects, one like the other: what comes before a
 * value is kept from row to row, which takes two thirds of the time of JSON.stringify. Anything else goes there.
 */
export function jsonRowText(): (row: unknown) => string {
  const names: string[] = [];
  /** What stands before the value of that place: brace or comma, name and colon. */
  const heads: string[] = [];
  return (row) => {
    if (typeof row !== "object" || row === null || Object.getPrototypeOf(row) !== Object.prototype) return jsonText(row);
    let text = "";
    let place = 0;
    for (const name of Object.keys(row)) {
      if (names[place] !== name) {
        names[place] = name;
        heads[place] = `${place === 0 ? "{" : ","}${JSON.stringify(name)}:`;
      }
      const value = plainText((row as Readonly<Record<string, unknown>>)[name]);
      if (value === null) return jsonText(row);
      text += (heads[place] ?? "") + value;
      place += 1;
    }
    return place === 0 ? "{}" : `${text}}`;
  };
}

/** null: for JSON.stringify. */
function plainText(value: unknown): string | number | null {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? value : "null";
    case "string":
      return isPlain(value) ? `"${value}"` : JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    default:
      return value === null ? "null" : null;
  }
}

const plainLengthMax = 40;
const quote = 34;
const backslash = 92;
const firstPrintable = 32;
const firstSurrogate = 0xd800;

/** A short text of which JSON escapes nothing. */
function isPlain(text: string): boolean {
  if (text.length > plainLengthMax) return false;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < firstPrintable || unit === quote || unit === backslash || unit >= firstSurrogate) return false;
  }
  return true;
}

function notJson(size: string, error: unknown): StreamError {
  // The parser's own message quotes the record, so that nothing but the position is taken from it.
  const position = / at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(String(error))?.[1];
  const at = position === undefined ? "" : `, wrong at character ${position}`;
  return new StreamError("invalid", `the record (${size}) is not JSON${at}`);
}
