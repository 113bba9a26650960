import { MemberNames } from "./json-scan-names.js";
import { ScanText } from "./json-scan-text.js";
import { detached } from "./lines.js";

/** Stands for the value of a member that an object does not have. */
export const absent = Symbol("absent");

/**
 * Finds the named members of a JSON object in its text, without making the values of all the others. It is never unsure: it says
 * `false` of all that it does not know for certain, and the caller parses the text as a whole.
 *
 * What it steps over it takes for valid: a string up to its closing quote, brackets by their number, and other values as any run
 * of letters, digits and the signs of numbers. All between the members it checks, and the text of each value that it takes.
 */
export class JsonScan {
  readonly source = new ScanText();
  /** The values of the last {@link read}, in the order of the names; {@link absent} for a member that is not there. */
  readonly values: unknown[];
  readonly #names: MemberNames;
  readonly #parse: (text: string) => unknown;
  /** The object has the names in their order and no others: then nothing of its text is stepped over. */
  readonly #takesAll: boolean;
  #slot = -1;

  constructor(
    names: readonly string[],
    parse: (text: string) => unknown,
    wanted: "these members" | "just these, in order" = "these members",
  ) {
    this.#names = new MemberNames(names);
    this.#parse = parse;
    this.#takesAll = wanted === "just these, in order";
    this.values = names.map(() => absent);
  }

  /** Whether the source's text.slice(from, to) is an object of which {@link values} now are the named members. */
  read(from: number, to: number): boolean {
    const { bytes, view } = this.source;
    const { lengths, slots, words } = this.#names;
    const values = this.values;
    const takesAll = this.#takesAll;
    for (let slot = 0; slot < values.length; slot++) values[slot] = absent;
    const escapes = this.source.hasBackslash(from, to);
    let at = bytes[from] === openBrace ? from : blanksEnd(bytes, from);
    if (bytes[at] !== openBrace) return false;
    at++;
    if (bytes[at] !== quote) at = blanksEnd(bytes, at);
    if (bytes[at] === closeBrace) return !takesAll && onlyBlanks(bytes, at + 1, to);
    // In each place what is likely is looked for first, and blanks where it is not there.
    for (let member = 0; at < to; member++) {
      if (bytes[at] !== quote) at = blanksEnd(bytes, at);
      if (bytes[at] !== quote) return false;
      at++;
      const length = member < lengths.length ? (lengths[member] as number) : 0;
      let slot: number;
      if (length > 0 && sameWords(view, at, words[member] as Int32Array, length)) {
        slot = slots[member] as number;
        at += length;
      } else {
        at = this.#findName(member, at);
        if (at < 0) return false;
        slot = this.#slot;
      }
      if (takesAll && slot !== member) return false;
      if ((bytes[at] as number) <= blank) at = blanksEnd(bytes, at);
      const first = bytes[at] as number;
      let end: number;
      if (first === quote && !escapes) end = quoteAt(view, at + 1) + 1;
      else if (wordCharacters[first] === 1) end = wordEnd(bytes, at);
      else end = first === quote ? stringEnd(bytes, view, at) : nestEnd(bytes, view, at, to);
      if (end <= at || (slot >= 0 && !this.#take(slot, at, end))) return false;
      at = bytes[end] === comma ? end : blanksEnd(bytes, end);
      if (bytes[at] !== comma) {
        const isOver = bytes[at] === closeBrace && onlyBlanks(bytes, at + 1, to);
        return isOver && (!takesAll || member + 1 === values.length);
      }
      at++;
    }
    return false;
  }

  /** Finds out which name stands there. Gives the place after its colon, or -1. */
  #findName(member: number, from: number): number {
    const { text, bytes, view } = this.source;
    const to = quoteAt(view, from);
    const at = blanksEnd(bytes, to + 1);
    if (!isPlain(bytes, from, to) || bytes[at] !== colon) return -1;
    this.#slot = this.#names.find({ member, text, bytes, view, from, to, valueFrom: at + 1 });
    return at + 1;
  }

  /** Takes the value that stands there, if it is one. */
  #take(slot: number, from: number, to: number): boolean {
    const { bytes, text } = this.source;
    const first = bytes[from] as number;
    if (first === quote) {
      if (!isPlain(bytes, from + 1, to - 1)) return this.#takeParsed(slot, from, to);
      this.values[slot] = detached(text.slice(from + 1, to - 1));
      return true;
    }
    const number = first > digit9 ? Number.NaN : shortNumber(bytes, from, to);
    if (Number.isNaN(number)) return this.#takeParsed(slot, from, to);
    this.values[slot] = number;
    return true;
  }

  #takeParsed(slot: number, from: number, to: number): boolean {
    const { bytes, text } = this.source;
    const isNull = to - from === 4 && sameBytes(bytes, from, nullBytes);
    try {
      this.values[slot] = isNull ? null : this.#parse(text.slice(from, to));
      return true;
    } catch {
      return false;
    }
  }
}

const nullBytes = new TextEncoder().encode("null");

// Here and not in a file of their own: V8 knows a constant of the same module, and looks up an imported one each time.
const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const backslash = 0x5c;
const blank = 0x20;
const minus = 0x2d;
const dot = 0x2e;
const digit0 = 0x30;
const digit9 = 0x39;

/** Digits, letters, and the signs of numbers: what a value without quotes or brackets is made of. */
const wordCharacters = Uint8Array.from({ length: 256 }, (_, code) =>
  /[0-9A-Za-z+.-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Whether these characters stand there: four in a word, the last word ending where they end. */
function sameWords(view: DataView, from: number, words: Int32Array, length: number): boolean {
  let word = 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) if (view.getInt32(from + at, true) !== words[word++]) return false;
  return at === length || view.getInt32(from + length - 4, true) === words[word];
}

function blanksEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isBlank(bytes[at] as number)) at++;
  return at;
}

function onlyBlanks(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to && isBlank(bytes[at] as number)) at++;
  return at === to;
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

/** The place after a value without quotes or brackets. */
function wordEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (wordCharacters[bytes[at] as number] === 1) at++;
  return at;
}

/** The place of the next quote, which there must be. Four bytes at a time. */
function quoteAt(view: DataView, from: number): number {
  for (let at = from; ; at += 4) {
    const odd = view.getInt32(at, true) ^ 0x22222222;
    // The lowest bit set here is bit 7 of the first byte that is a quote (Hacker's Delight, 6-1).
    const found = (odd - 0x01010101) & ~odd & 0x80808080;
    if (found !== 0) return at + ((31 - Math.clz32(found & -found)) >> 3);
  }
}

/** The place after a string that may have escapes, from its opening quote on. */
function stringEnd(bytes: Uint8Array, view: DataView, from: number): number {
  let at = quoteAt(view, from + 1);
  while (isEscaped(bytes, at)) at = quoteAt(view, at + 1);
  return at + 1;
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(bytes: Uint8Array, at: number): boolean {
  let first = at;
  while (bytes[first - 1] === backslash) first--;
  return (at - first) % 2 === 1;
}

/**
 * The place after a value in brackets, or -1 where it does not end before `to`. Whether a bracket is closed by one of its kind
 * is for those to see who read the value.
 */
function nestEnd(bytes: Uint8Array, view: DataView, from: number, to: number): number {
  let depth = 0;
  for (let at = from; at < to; at++) {
    const code = bytes[at];
    if (code === quote) at = stringEnd(bytes, view, at) - 1;
    else if (code === openBrace || code === openBracket) depth++;
    else if (code === closeBrace || code === closeBracket) {
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0) return -1;
  }
  return -1;
}

/** Whether a string's text is the string: nothing in it is escaped, nor ought to be. */
function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const code = bytes[at] as number;
    if (code < blank || code === backslash) return false;
  }
  return true;
}

function sameBytes(bytes: Uint8Array, from: number, other: Uint8Array): boolean {
  for (let index = 0; index < other.length; index++) if (bytes[from + index] !== other[index]) return false;
  return true;
}

/**
 * The number, if it has at most 15 digits and no exponent, else NaN. Its digits as a whole number and the power of ten are exact
 * then, so that their quotient is the double that JSON.parse gives (Clinger 1990).
 */
function shortNumber(bytes: Uint8Array, from: number, to: number): number {
  const start = bytes[from] === minus ? from + 1 : from;
  const wholeTo = digitsEnd(bytes, start);
  if (wholeTo === start || to - start > 15 || (bytes[start] === digit0 && wholeTo > start + 1)) return Number.NaN;
  let size = 0;
  for (let at = start; at < wholeTo; at++) size = size * 10 + (bytes[at] as number) - digit0;
  if (wholeTo < to) size = withFraction(bytes, size, wholeTo, to);
  return start === from ? size : -size;
}

function withFraction(bytes: Uint8Array, whole: number, from: number, to: number): number {
  if (bytes[from] !== dot || from + 1 === to || digitsEnd(bytes, from + 1) !== to) return Number.NaN;
  let size = whole;
  let divisor = 1;
  for (let at = from + 1; at < to; at++) {
    size = size * 10 + (bytes[at] as number) - digit0;
    divisor *= 10;
  }
  return size / divisor;
}

function digitsEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while ((bytes[at] as number) >= digit0 && (bytes[at] as number) <= digit9) at++;
  return at;
}
