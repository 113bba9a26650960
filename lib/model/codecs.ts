import type { StandardSchemaV1 } from "@standard-schema/spec";
import { StreamError } from "./errors.js";

/**
 * How values become bytes and back: of a source's records, for instance. `decode` throws where the bytes are no such value;
 * the caller adds where they stood (shard, sequence number).
 */
export interface Codec<T> {
  readonly name: string;
  decode(bytes: Uint8Array): T;
  encode(value: T): Uint8Array;
}

const issuesShownMax = 8;

/**
 * JSON in UTF-8, with or without a validator: anything that speaks Standard Schema (zod, valibot, arktype), synchronously.
 * What fails is reported by its path, never with the record or a value of it. Members called `__proto__` are left out.
 *
 * @throws StreamError `invalid`, from `decode`: no UTF-8, no JSON, refused by the validator, or the validator is asynchronous
 * @example json(z.object({ origin: z.string(), delay: z.number().nullable() }))
 * @example json<Flight>()    // taken at its word: nothing is checked
 */
export function json<T = unknown>(): Codec<T>;
export function json<Out>(schema: StandardSchemaV1<unknown, Out>): Codec<Out>;
export function json(schema?: StandardSchemaV1): Codec<unknown> {
  if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
    throw new StreamError(
      "invalid",
      "json(): the argument is no schema; give a Standard Schema, such as z.object({ … }), or nothing",
    );
  }
  return Object.freeze({
    name: "json",
    decode(body: Uint8Array): unknown {
      const parsed = parseJson(body);
      return schema === undefined ? parsed : validated(schema["~standard"], parsed);
    },
    encode(value: unknown): Uint8Array {
      const written: string | undefined = JSON.stringify(value);
      if (written === undefined) throw new StreamError("invalid", `json: a value of type ${typeof value} is no JSON`);
      return new TextEncoder().encode(written);
    },
  });
}

/** Text in UTF-8. `decode` refuses bytes that are none, `encode` a text with a lone surrogate: neither replaces anything. */
export const text: Codec<string> = Object.freeze({
  name: "text",
  decode: (body: Uint8Array): string => fromUtf8(body, { byteOrderMark: "keep" }),
  encode(value: string): Uint8Array {
    if (typeof value !== "string" || !value.isWellFormed()) {
      throw new StreamError("invalid", "text: the value is no string, or one with a lone surrogate");
    }
    return new TextEncoder().encode(value);
  },
});

/** Bytes as they are. */
export const bytes: Codec<Uint8Array> = Object.freeze({
  name: "bytes",
  decode: (body: Uint8Array): Uint8Array => body,
  encode(value: Uint8Array): Uint8Array {
    if (!(value instanceof Uint8Array)) throw new StreamError("invalid", "bytes: the value is no Uint8Array");
    return value;
  },
});

function fromUtf8(body: Uint8Array, options: { readonly byteOrderMark: "keep" | "drop" }): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: options.byteOrderMark === "keep" }).decode(body);
  } catch {
    throw new StreamError("invalid", `the record (${body.length} bytes) is not UTF-8`);
  }
}

/** `__proto__` in clear, or an escape of an ASCII letter or "_", which nobody writes who does not want to hide it. */
const mayNamePrototype = /__proto__|\\u00(?:5f|[67])/i;

function parseJson(body: Uint8Array): unknown {
  const written = fromUtf8(body, { byteOrderMark: "drop" });
  try {
    // As an own member it is harmless, but the first `Object.assign` or spread-by-hand downstream would make it a prototype.
    if (!mayNamePrototype.test(written)) return JSON.parse(written);
    return JSON.parse(written, (name, member: unknown) => (name === "__proto__" ? undefined : member));
  } catch (error) {
    // The parser's own message quotes the record, so that nothing but the position is taken from it.
    const position = / at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(String(error))?.[1];
    const at = position === undefined ? "" : `, wrong at character ${position}`;
    throw new StreamError("invalid", `the record (${body.length} bytes) is not JSON${at}`);
  }
}

function validated(standard: StandardSchemaV1["~standard"], value: unknown): unknown {
  const result = validate(standard, value);
  if (isThenable(result)) {
    result.then(undefined, () => undefined);
    throw new StreamError(
      "invalid",
      `the validator (${standard.vendor}) is asynchronous; use one that answers at once`,
    );
  }
  if (result.issues === undefined) return result.value;
  const shown = result.issues.slice(0, issuesShownMax).map((issue) => pathText(issue.path ?? []));
  const more = result.issues.length - shown.length;
  throw new StreamError(
    "invalid",
    `the record is not what its schema (${standard.vendor}) says, at ${[...new Set(shown)].join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
  );
}

type Validation = ReturnType<StandardSchemaV1["~standard"]["validate"]>;

function validate(standard: StandardSchemaV1["~standard"], value: unknown): Validation {
  try {
    return standard.validate(value);
  } catch {
    // Its message may quote the record, and so may its stack, which begins with the message.
    throw new StreamError("invalid", `the validator (${standard.vendor}) threw instead of reporting issues`);
  }
}

function isThenable(result: Validation): result is Promise<Awaited<Validation>> {
  return "then" in result && typeof result.then === "function";
}

/** A path such as `legs[2].origin`. Members that do not look like names of a schema may be data: keys of a map, for instance. */
function pathText(path: NonNullable<StandardSchemaV1.Issue["path"]>): string {
  const parts = path.map((segment) => {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") return `[${key}]`;
    return typeof key === "string" && /^[A-Za-z_$][\w$-]{0,63}$/.test(key) ? `.${key}` : "[…]";
  });
  return parts.length === 0 ? "the record itself" : parts.join("").replace(/^\./, "");
}
