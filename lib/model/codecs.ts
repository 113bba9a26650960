import type { StandardSchemaV1 } from "@standard-schema/spec";
import { StreamError } from "./errors.js";
import { jsonRowWriter } from "./json-bytes.js";
import { fieldReader } from "./json-fields.js";
import { jsonOfBytes, jsonText } from "./json-text.js";
import { wholeLines } from "./json-whole.js";
import { detached, type LineDecoder, oneLine, textWriter, withLines } from "./lines.js";
import { validated } from "./schemas.js";
import { fromUtf8, toUtf8 } from "./utf8.js";

/**
 * How values become bytes and back: of a source's records, for instance. `decode` throws where the bytes are no such value;
 * the caller adds where they stood (shard, sequence number).
 */
export interface Codec<T> {
  readonly name: string;
  decode(bytes: Uint8Array): T;
  encode(value: T): Uint8Array;
}

/** JSON whose records are taken at their word. */
export interface JsonCodec<T> extends Codec<T> {
  /**
   * Reads these fields of a record alone, which is several times as fast: the others are stepped over. A decoded record is an
   * object with those of the fields that the record has.
   *
   * What is stepped over is looked at only so far as to find its end: see "Codecs" in docs/pipelines.md.
   *
   * @throws StreamError `invalid` for no name, one twice, or `__proto__`
   * @example json<Flight>().fields("origin", "delay")    // a Codec<Pick<Flight, "origin" | "delay">>
   */
  fields<Name extends FieldOf<T>>(...names: readonly [Name, ...Name[]]): Codec<FieldsOf<T, Name>>;
}

/** JSON whose records a validator accepts. */
export interface SchemaCodec<In, Out> extends Codec<Out> {
  /**
   * Reads these fields of a record alone, as {@link JsonCodec.fields} does, and gives the validator an object with no others. The
   * compiler asks for all fields that the schema cannot do without.
   *
   * @throws StreamError `invalid` for no name, one twice, or `__proto__`
   * @example json(z.object({ origin: z.string(), delay: z.number().nullable() })).fields("origin", "delay")
   */
  fields<Name extends FieldOf<In>>(
    ...names: readonly [Name, ...Name[]]
  ): [Exclude<RequiredOf<In>, Name>] extends [never] ? Codec<Out> : FieldsMissing<Exclude<RequiredOf<In>, Name>>;
}

/** The fields that a record of T may have; of a record that nothing is known of, any. */
export type FieldOf<T> = unknown extends T ? string : Extract<keyof T, string>;

/** What a record of T is with these fields alone. */
export type FieldsOf<T, Name extends string> = unknown extends T
  ? { readonly [P in Name]?: unknown }
  : Pick<T, Extract<Name, keyof T>>;

/** The fields that every record of T has. */
export type RequiredOf<T> = unknown extends T
  ? never
  : { [P in Extract<keyof T, string>]-?: object extends Pick<T, P> ? never : P }[Extract<keyof T, string>];

/** In the place of a codec whose schema would refuse every record: it needs fields that are not read. */
export interface FieldsMissing<Name extends string> {
  readonly fieldsThatTheSchemaNeedsToo: Name;
}

/**
 * JSON in UTF-8, with or without a validator: anything that speaks Standard Schema (zod, valibot, arktype), synchronously.
 * What fails is reported by its path, never with the record or a value of it. Members called `__proto__` are left out.
 *
 * @throws StreamError `invalid`, from `decode`: no UTF-8, no JSON, refused by the validator, or the validator is asynchronous;
 *   from `encode`: what JSON cannot hold
 * @example json(z.object({ origin: z.string(), delay: z.number().nullable() }))
 * @example json<Flight>()    // taken at its word: nothing is checked
 */
export function json<T = unknown>(): JsonCodec<T>;
export function json<In, Out>(schema: StandardSchemaV1<In, Out>): SchemaCodec<In, Out>;
export function json(schema?: StandardSchemaV1): Codec<unknown> {
  if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
    throw new StreamError(
      "invalid",
      "json(): the argument is no schema; give a Standard Schema, such as z.object({ … }), or nothing",
    );
  }
  const accept = schema === undefined ? null : (value: unknown) => validated(schema["~standard"], value);
  const fields = (...names: readonly string[]) => jsonCodec(fieldReader(names), accept, {});
  return jsonCodec({ decode: jsonOfBytes, lines: wholeLines() }, accept, { fields });
}

interface JsonReader {
  readonly decode: (body: Uint8Array) => unknown;
  readonly lines: LineDecoder<unknown>;
}

function jsonCodec<M extends object>(
  reader: JsonReader,
  accept: ((value: unknown) => unknown) | null,
  more: M,
): Codec<unknown> & M {
  const codec: Codec<unknown> & M = Object.freeze({
    name: "json",
    decode: accept === null ? reader.decode : (body: Uint8Array): unknown => accept(reader.decode(body)),
    encode: (value: unknown): Uint8Array => toUtf8(jsonText(value)),
    ...more,
  });
  const decoder = accept === null ? reader.lines : accepted(reader.lines, accept);
  return withLines(codec, { decoder, writer: jsonRowWriter });
}

function accepted(lines: LineDecoder<unknown>, accept: (value: unknown) => unknown): LineDecoder<unknown> {
  return {
    block(text) {
      const read = lines.block(text);
      return (from, to) => accept(read(from, to));
    },
  };
}

/** Text in UTF-8. `decode` refuses bytes that are none, `encode` a text with a lone surrogate: neither replaces anything. */
export const text: Codec<string> = withLines(
  Object.freeze({
    name: "text",
    decode: (body: Uint8Array): string => fromUtf8(body),
    encode: (value: string): Uint8Array => toUtf8(wellFormed(value)),
  }),
  {
    decoder: { block: (block) => (from, to) => detached(block.slice(from, to)) },
    writer: () => textWriter((value: string) => oneLine("text", wellFormed(value))),
  },
);

function wellFormed(value: string): string {
  if (typeof value !== "string" || !value.isWellFormed()) {
    throw new StreamError("invalid", "text: the value is no string, or one with a lone surrogate");
  }
  return value;
}

/** Bytes as they are. */
export const bytes: Codec<Uint8Array> = Object.freeze({
  name: "bytes",
  decode: (body: Uint8Array): Uint8Array => body,
  encode(value: Uint8Array): Uint8Array {
    if (!(value instanceof Uint8Array)) throw new StreamError("invalid", "bytes: the value is no Uint8Array");
    return value;
  },
});
