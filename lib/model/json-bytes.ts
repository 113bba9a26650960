import { jsonText } from "./json-text.js";
import type { LineWriter } from "./lines.js";
import { toUtf8 } from "./utf8.js";

/** What a number, a boolean or null takes at most, with a comma or brace behind it. */
const scalarBytesMax = 32;
/** What is asked for beyond what is known to be missing: a row that did not fit goes on. */
const spareBytes = 1_024;

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const minus = 0x2d;
const zero = 0x30;
const firstPrintable = 0x20;
const firstNotAscii = 0x80;

const nullText = toUtf8("null");
const trueText = toUtf8("true");
const falseText = toUtf8("false");

/**
 * A writer of rows in JSON: the bytes of what {@link jsonText} gives. Rows are mostly flat objects, one like the other: names are
 * turned to bytes once, and whole numbers and plain text go into the buffer without a string between, which takes half the time
 * of JSON.stringify. Anything else goes there.
 */
export function jsonRowWriter(): LineWriter<unknown> {
  const names: string[] = [];
  /** What stands before the value of that place: brace or comma, name and colon. */
  const heads: Uint8Array[] = [];
  return (row, into, at) => {
    if (typeof row !== "object" || row === null || Object.getPrototypeOf(row) !== Object.prototype) {
      return whole(row, into, at);
    }
    let end = at;
    let place = 0;
    for (const name of Object.keys(row)) {
      if (names[place] !== name) {
        names[place] = name;
        heads[place] = toUtf8(`${place === 0 ? "{" : ","}${JSON.stringify(name)}:`);
      }
      const head = heads[place] ?? nullText;
      if (end + head.length + scalarBytesMax > into.length) return at - end - head.length - spareBytes;
      for (let i = 0; i < head.length; i += 1) into[end + i] = head[i] ?? 0;
      const after = member((row as Readonly<Record<string, unknown>>)[name], into, end + head.length);
      if (after === notFlat) return whole(row, into, at);
      if (after < 0) return at - end + after;
      end = after;
      place += 1;
    }
    if (place === 0) {
      if (at + scalarBytesMax > into.length) return -scalarBytesMax;
      into[end++] = openBrace;
    }
    into[end] = closeBrace;
    return end + 1;
  };
}

/** A member whose value JSON.stringify must write, with all of its row. */
const notFlat = Number.NEGATIVE_INFINITY;

/** There is room for a scalar. A negative number: so much room is missing. */
function member(value: unknown, into: Buffer, at: number): number {
  switch (typeof value) {
    case "number":
      return (value | 0) === value ? wholeNumber(value, into, at) : otherNumber(value, into, at);
    case "string":
      return plainText(value, into, at);
    case "boolean":
      return bytes(value ? trueText : falseText, into, at);
    default:
      return value === null ? bytes(nullText, into, at) : notFlat;
  }
}

function wholeNumber(value: number, into: Buffer, at: number): number {
  let start = at;
  let rest = value;
  if (rest < 0) {
    into[start++] = minus;
    rest = -rest;
  }
  let end = start + 1;
  for (let power = 10; rest >= power && end - start < 10; power *= 10) end += 1;
  for (let place = end - 1; place >= start; place -= 1) {
    const tenth = Math.floor(rest / 10);
    into[place] = zero + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}

function otherNumber(value: number, into: Buffer, at: number): number {
  if (!Number.isFinite(value)) return bytes(nullText, into, at);
  return at + into.write(String(value), at, "latin1");
}

/** Text of which JSON escapes nothing goes in as it is. */
function plainText(value: string, into: Buffer, at: number): number {
  const { length } = value;
  if (at + length + scalarBytesMax > into.length) return -length - spareBytes;
  into[at] = quote;
  for (let i = 0; i < length; i += 1) {
    const unit = value.charCodeAt(i);
    if (unit < firstPrintable || unit >= firstNotAscii || unit === quote || unit === backslash) {
      return text(JSON.stringify(value), into, at);
    }
    into[at + 1 + i] = unit;
  }
  into[at + 1 + length] = quote;
  return at + length + 2;
}

function bytes(written: Uint8Array, into: Buffer, at: number): number {
  into.set(written, at);
  return at + written.length;
}

function whole(value: unknown, into: Buffer, at: number): number {
  return text(jsonText(value), into, at);
}

/** UTF-8 has at most three bytes for a unit of UTF-16. */
function text(written: string, into: Buffer, at: number): number {
  const room = 3 * written.length + scalarBytesMax;
  return at + room > into.length ? -room : at + into.write(written, at, "utf8");
}
