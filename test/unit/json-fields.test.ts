import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { type Codec, json, StreamError } from "tidemark";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { lineDecoder } from "../../lib/model/lines.js";

type Row = Record<string, unknown>;

const runs = 1_500;
const names = ["delay", "origin", "größe", "a", ""] as const;
const codec = json().fields(...names);
const utf8 = (written: string) => new TextEncoder().encode(written);

/** Text of JSON, written in every way that JSON allows. Names and words that are read stand wherever text can stand. */
const spot = fc.constantFrom("", "", "", "", " ", "\t", "  ", "\r", " \n ");
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...names) },
  {
    weight: 3,
    arbitrary: fc.constantFrom("date", "dela", "delayy", "Delay", "toString", "größf", "grö", "b", "__proto__"),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
);
const words = fc.oneof(
  fc.constantFrom(
    ...["delay", '"delay":1', '","delay":2,"', ':1,"', "{", "}", "[", "]", "\\", "\\\\", '\\"', '"', "", "a", "\u007f"],
    ...['{"a":1}', "\u2028", "\uD83D\uDE00", "\uD800", "Zürich", "a text of more than a dozen characters", "\n", "\0"],
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 20 }),
);
/** A string's text, with characters escaped that need not be. Surrogates without their other half always are: UTF-8 has none. */
const quoted = (content: fc.Arbitrary<string>) =>
  fc.tuple(content, fc.array(fc.nat(30), { maxLength: 2 })).map(([written, escaped]) => {
    const parts = [...written].map((character, index) => {
      const plain = JSON.stringify(character).slice(1, -1);
      if (!escaped.includes(index)) return plain;
      return character.split("").map(escapedUnit).join("");
    });
    return `"${parts.join("")}"`;
  });
const escapedUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
const number = fc.oneof(
  fc.constantFrom(
    "0",
    "-0",
    "14",
    "-7",
    "999999999999999",
    "9999999999999999",
    "-12.50",
    "0.1",
    "0.000",
    "-0.0",
    "1e400",
  ),
  fc.constantFrom(
    "1e5",
    "1E-7",
    "-1e-400",
    "123456789.123456",
    "12345678901234567890",
    "0.30000000000000004",
    "5e-324",
  ),
  fc.maxSafeInteger().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.tuple(fc.integer(), fc.nat(999_999)).map(([whole, part]) => `${whole}.${part}`),
);
const members = (value: fc.Arbitrary<string>, count: number) =>
  fc
    .array(fc.tuple(spot, quoted(name), spot, spot, value, spot), { maxLength: count })
    .map((all) => all.map(([p, key, q, r, member, s]) => `${p}${key}${q}:${r}${member}${s}`).join(","));
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(number, quoted(words), fc.constantFrom("null", "true", "false")),
    fc.tuple(spot, members(tie("value"), 3)).map(([p, inner]) => `{${p}${inner}}`),
    fc
      .tuple(spot, fc.array(tie("value"), { maxLength: 3 }), spot)
      .map(([p, inner, q]) => `[${p}${inner.join(",")}${q}]`),
  ),
}));
const record = fc.tuple(spot, spot, members(value, 6), spot).map(([p, q, inner, r]) => `${p}{${q}${inner}}${r}`);

/** What the fields are, by JSON.parse; null for what is no record. */
function expected(written: string): Row | null {
  let whole: unknown;
  try {
    whole = JSON.parse(written, (key, member: unknown) => (key === "__proto__" ? undefined : member));
  } catch {
    return null;
  }
  if (typeof whole !== "object" || whole === null || Array.isArray(whole)) return null;
  const row = whole as Row;
  return Object.fromEntries(names.filter((field) => Object.hasOwn(row, field)).map((field) => [field, row[field]]));
}

function readOrNull(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    if (error instanceof StreamError && error.kind === "invalid") return null;
    throw error;
  }
}

/** Each line of the block by its one reader, in the order in which it stands there. */
function byLines(written: readonly string[]): unknown[] {
  const read = lineDecoder(codec).block(written.map((line) => `${line}\n`).join(""));
  let from = 0;
  return written.map((line) => {
    const at = from;
    from += line.length + 1;
    return readOrNull(() => read(at, at + line.length));
  });
}

describe("fields", () => {
  it("are what JSON.parse reads of them, in bytes and in blocks of lines", () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (block) => {
        expect(byLines(block)).toStrictEqual(block.map(expected));
        for (const line of block) expect(readOrNull(() => codec.decode(utf8(line)))).toStrictEqual(expected(line));
      }),
      { numRuns: runs },
    );
  });

  it("of records as most are written, too", () => {
    const flight = fc.tuple(fc.option(fc.integer()), fc.string({ maxLength: 20 }), fc.boolean(), fc.nat(3));
    const spaced = (written: string) => written.replaceAll('":', '": ').replaceAll(',"', ', "');
    fc.assert(
      fc.property(fc.array(flight, { minLength: 1, maxLength: 20 }), fc.boolean(), (flights, wide) => {
        const block = flights.map(([delay, origin, late, first], index) => {
          const members = {
            date: "2001/01/01",
            delay,
            late,
            origin,
            größe: index / 8,
            route: [{ delay: "no" }, origin],
          };
          const turned = [...Object.entries(members).slice(first), ...Object.entries(members).slice(0, first)];
          const written = JSON.stringify(Object.fromEntries(turned));
          return wide ? spaced(written) : written;
        });
        expect(byLines(block)).toStrictEqual(block.map(expected));
      }),
      { numRuns: runs / 5 },
    );
  });

  it("of a record that is not JSON are refused, but for what stands inside of what is stepped over", () => {
    const change = fc.tuple(
      fc.nat(),
      fc.constantFrom(...'"\\{}[]:,01-.eE+ntu \n\0é', "\uD83D\uDE00", '"a":1'),
      fc.nat(2),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(record, fc.array(change, { maxLength: 3 })), { maxLength: 6 }), (written) => {
        const block = written
          .map(([line, changes]) => changes.reduce(damaged, line))
          .map((line) => line.toWellFormed());
        expect(byLines(block)).toStrictEqual(block.map(documented));
        for (const line of block) expect(readOrNull(() => codec.decode(utf8(line)))).toStrictEqual(documented(line));
      }),
      { numRuns: runs },
    );
  });

  it("of a line that is cut off are never those of the next one", () => {
    const whole = '{"date":"2001/01/01 01:10","delay":14,"distance":405,"origin":"BUR","destination":"OAK"}';
    for (let length = 0; length < whole.length; length++) {
      expect(byLines([whole, whole.slice(0, length), whole, whole.slice(0, length)])).toStrictEqual([
        { delay: 14, origin: "BUR" },
        null,
        { delay: 14, origin: "BUR" },
        null,
      ]);
    }
  });

  it("are read of two blocks at a time, in any order, also of blocks of other lengths", () => {
    const lines = lineDecoder(codec);
    const blocks = [1, 2, 300, 4].map(
      (width, index) => `{"x":"${"\\\\".repeat(width)}","delay":${index},"origin":"é${index}"}`,
    );
    const readers = blocks.map((block) => lines.block(block));
    for (const index of [0, 1, 2, 3, 2, 0, 1, 3, 3, 0]) {
      const width = blocks[index]?.length ?? 0;
      expect(readers[index]?.(0, width)).toEqual({ delay: index, origin: `é${index}` });
    }
  });

  it("do not keep their block in memory", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const kept: unknown[] = [];
    collect();
    const before = process.memoryUsage().heapUsed;
    for (const origin of [
      "a name of more than a dozen characters",
      "ein Name wie Köln–Deutz, und länger",
      "a\nb".repeat(20),
    ]) {
      for (let block = 0; block < 32; block++) {
        const written = `${JSON.stringify({ origin })}\n${"x".repeat(1 << 20)}`;
        kept.push(lineDecoder(codec).block(written)(0, written.indexOf("\n")));
      }
    }
    collect();
    expect(kept).toHaveLength(96);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32 << 20);
  });

  it("are own members of a plain object, in the order of their names, and none where the record has none", () => {
    const read = json().fields("b", "toString", "a", "constructor", "c").decode;
    const row = read(utf8('{"a":1,"__proto__":{"admin":true},"b":{"__proto__":{"admin":true},"x":[1]}}'));
    expect(Object.keys(row)).toEqual(["b", "a"]);
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    expect(row).toStrictEqual({ b: { x: [1] }, a: 1 });
    expect(Object.hasOwn(row.b as object, "__proto__")).toBe(false);
    expect(read(utf8('{"toString":1}'))).toEqual({ toString: 1 });
  });

  it("of what is no object are refused, and so is what is no UTF-8", () => {
    for (const body of ["1", "null", '"delay"', '[{"delay":1}]', " [] "]) {
      expect(() => codec.decode(utf8(body))).toThrow("the record is JSON, but no object");
    }
    expect(() => codec.decode(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))).toThrow(
      "(7 bytes) is not UTF-8",
    );
    expect(() => codec.decode(utf8('{"secret" 1}'))).toThrow(
      /^the record \(12 bytes\) is not JSON, wrong at character 10$/,
    );
  });

  it("are all that a validator is given", () => {
    const seen: unknown[] = [];
    const Flight = z.preprocess(
      (given) => {
        seen.push(given);
        return given;
      },
      z.object({ origin: z.string(), delay: z.number().nullable().default(0) }),
    );
    const flights = json(Flight).fields("origin", "delay");
    const written = '{"date":"2001","origin":"BUR","distance":5}';
    expect(flights.decode(utf8(written))).toEqual({ origin: "BUR", delay: 0 });
    expect(lineDecoder(flights).block(written)(0, written.length)).toEqual({ origin: "BUR", delay: 0 });
    expect(seen).toEqual([{ origin: "BUR" }, { origin: "BUR" }]);
    expect(() => flights.decode(utf8('{"origin":7}'))).toThrow("at origin");
    expect(flights.name).toBe("json");
    expect(new TextDecoder().decode(flights.encode({ origin: "BUR", delay: 1 }))).toBe('{"origin":"BUR","delay":1}');
  });

  it("have the types of the record, and the compiler knows their names", () => {
    interface Flight {
      readonly date: string;
      readonly delay: number | null;
      readonly origin?: string;
    }
    const flights: Codec<Pick<Flight, "delay" | "origin">> = json<Flight>().fields("delay", "origin");
    const flight = flights.decode(utf8('{"delay":1,"date":"2001"}'));
    const types: readonly [number | null, string | undefined] = [flight.delay, flight.origin];
    expect(types).toEqual([1, undefined]);
    // @ts-expect-error the field is not read
    expect(flight.date).toBeUndefined();
    // @ts-expect-error a flight has no such field
    json<Flight>().fields("delya");
    const unknown: Codec<{ readonly any?: unknown }> = json().fields("any");
    expect(unknown.decode(utf8("{}"))).toEqual({});
    const Late = z.object({ delay: z.number().transform(String), origin: z.string().optional() });
    const late: Codec<{ delay: string; origin?: string | undefined }> = json(Late).fields("delay");
    expect(late.decode(utf8('{"delay":1}'))).toEqual({ delay: "1" });
    // @ts-expect-error the schema cannot do without the delay
    const never: Codec<unknown> = json(Late).fields("origin");
    expect(() => never.decode(utf8('{"delay":1}'))).toThrow("at delay");
    // @ts-expect-error the schema knows no such field
    json(Late).fields("delay", "date");
  });

  it("have names, and each of them once", () => {
    const named =
      (...given: unknown[]) =>
      () =>
        (json().fields as (...all: unknown[]) => unknown)(...given);
    expect(named()).toThrow("json().fields(): it names no field");
    expect(named("a", "b", "a")).toThrow('"a" is named twice');
    expect(named("a", 7)).toThrow("name 2 is no string but number");
    expect(named("__proto__")).toThrow('"__proto__" is left out of every record');
  });
});

function damaged(line: string, [place, put, removed]: readonly [number, string, number]): string {
  const at = place % (line.length + 1);
  return line.slice(0, at) + put + line.slice(at + removed);
}

/**
 * What docs/pipelines.md says of text that is not JSON, one expression after the other: only what stands inside of a value that is
 * stepped over may be wrong.
 */
function documented(line: string): Row | null {
  const asJson = expected(line);
  if (asJson !== null) return asJson;
  let rest = line;
  const take = (pattern: RegExp): string | null => {
    const found = pattern.exec(rest)?.[0];
    if (found === undefined) return null;
    rest = rest.slice(found.length);
    return found;
  };
  const row: Row = {};
  if (take(/^[ \t\r\n]*\{[ \t\r\n]*/) === null) return null;
  do {
    const member = take(/^[ \t\r\n]*"[^"\\]*"[ \t\r\n]*:[ \t\r\n]*/);
    if (member === null) return null;
    const key = member.slice(member.indexOf('"') + 1, member.lastIndexOf('"'));
    if ([...key].some((character) => character < " ")) return null;
    const content = take(/^"(?:[^"\\]|\\[\s\S])*"/) ?? take(/^[0-9A-Za-z+.-]+/) ?? nested();
    if (content === null) return null;
    if ((names as readonly string[]).includes(key)) {
      try {
        row[key] = JSON.parse(content, (of, value: unknown) => (of === "__proto__" ? undefined : value));
      } catch {
        return null;
      }
    }
  } while (take(/^[ \t\r\n]*,/) !== null);
  return take(/^[ \t\r\n]*\}[ \t\r\n]*$/) === null ? null : row;

  function nested(): string | null {
    let depth = 0;
    let content = "";
    do {
      const part = take(/^"(?:[^"\\]|\\[\s\S])*"/) ?? take(depth === 0 ? /^[{[]/ : /^[^"]/);
      if (part === null) return null;
      content += part;
      if (/^[{[]$/.test(part)) depth++;
      if (/^[}\]]$/.test(part)) depth--;
    } while (depth > 0);
    return content;
  }
}
