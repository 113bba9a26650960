import { StreamError } from "./errors.js";
import { fromMarkedUtf8 } from "./utf8.js";

/** `__proto__` in clear, or an escape of an ASCII letter or "_", which nobody writes who does not want to hide it. */
const hiddenName = /\\u00(?:5f|[67])/i;

/** Whether JSON in this text may have a member called `__proto__`. */
export function mayNamePrototype(text: string): boolean {
  // Searches for a fixed text are many times faster than the expression, which most blocks therefore never meet.
  return text.includes("__proto__") || (text.includes("\\u00") && hiddenName.test(text));
}

/** The value that JSON text stands for, without members called `__proto__`. Throws as JSON.parse. */
export function parsedWithoutPrototype(text: string): unknown {
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

function notJson(size: string, error: unknown): StreamError {
  // The parser's own message quotes the record, so that nothing but the position is taken from it.
  const position = / at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(String(error))?.[1];
  const at = position === undefined ? "" : `, wrong at character ${position}`;
  return new StreamError("invalid", `the record (${size}) is not JSON${at}`);
}
