import type { Codec } from "./codecs.js";
import { StreamError } from "./errors.js";
import { fromUtf8, toUtf8 } from "./utf8.js";

/**
 * Reads the lines of a file. What costs the same for one line as for ten thousand is done once a block.
 *
 * @example
 * const decode = lineDecoder(json(Flight)).block(text);
 * decode(0, text.indexOf("\n"));    // the first line
 */
export interface LineDecoder<T> {
  /** A reader of one block: decodes the line text.slice(from, to), its line feed left out. Throws where the line is no T. */
  block(text: string): (from: number, to: number) => T;
}

/** A codec's own way with lines, for those that have one: without the way through bytes. */
export interface Lines<T> {
  readonly decoder: LineDecoder<T>;
  /** Makes a writer of lines. It may keep what it learns of one value for the next. */
  readonly writer: () => LineWriter<T>;
}

/**
 * Writes the value as a line, without a line feed, into the buffer from `at` on, and returns where it ends. Where there is no room
 * it returns a negative number: so many bytes, or more, are missing behind `at`.
 */
export type LineWriter<T> = (value: T, into: Buffer, at: number) => number;

// By the codec itself, so that a copy of it with another `decode` loses them.
const ownLines = new WeakMap<object, Lines<unknown>>();

/** The codec, which from now on reads and writes lines this way. Both ways must say the same of the same text. */
export function withLines<T, C extends Codec<T>>(codec: C, lines: Lines<T>): C {
  ownLines.set(codec, lines as Lines<unknown>);
  return codec;
}

/**
 * The codec, as a reader of lines. `json()`, its `fields()` and `text` take the text as it is; any other codec gets the line's
 * bytes in UTF-8. A value never keeps the block in memory that it was read from.
 */
export function lineDecoder<T>(codec: Codec<T>): LineDecoder<T> {
  const own = ownLines.get(codec) as Lines<T> | undefined;
  if (own !== undefined) return own.decoder;
  return { block: (text) => (from, to) => codec.decode(toUtf8(text.slice(from, to))) };
}

/**
 * The codec, as a writer of lines.
 *
 * @throws StreamError `invalid`, from the writer: the codec refuses the value, or gives bytes that are no UTF-8 or have a line feed
 */
export function lineWriter<T>(codec: Codec<T>): LineWriter<T> {
  const own = ownLines.get(codec) as Lines<T> | undefined;
  if (own !== undefined) return own.writer();
  return textWriter((value) => oneLine(codec.name, fromUtf8(codec.encode(value))));
}

/** A writer of lines from one that gives text. */
export function textWriter<T>(encode: (value: T) => string): LineWriter<T> {
  return (value, into, at) => {
    const text = encode(value);
    // UTF-8 has at most three bytes for a unit of UTF-16.
    const room = 3 * text.length;
    return at + room > into.length ? -room : at + into.write(text, at, "utf8");
  };
}

/** The text, if a reader of lines would give it back as one line. */
export function oneLine(codec: string, text: string): string {
  if (text.includes("\n")) {
    throw new StreamError("invalid", `${codec}: the value has a line feed, so that a file of lines cannot hold it`);
  }
  return text;
}

/**
 * The text, without the block that it was cut out of. V8 cuts without copying, and whoever keeps 20 characters of a block keeps
 * all of it: as a key in state, for weeks. A longer text is written first when something is cut out of that.
 */
export function detached(text: string): string {
  return text.length < shareLengthMin ? text : `\n${text}`.slice(1);
}

/** V8 copies what is shorter (SlicedString::kMinLength). */
const shareLengthMin = 13;
