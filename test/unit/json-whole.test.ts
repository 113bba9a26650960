import fc from "fast-check";
import { json } from "tidemark";
import { describe, expect, it } from "vitest";
import { lineDecoder } from "../../lib/model/lines.js";

const runs = 1_500;

const text = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    '"',
    "\\",
    '","b":1',
    "{",
    "]",
    "é",
    "\u2028",
    "\ud83d\ude00",
    "\u0001",
    "a text of more than a dozen",
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const number = fc.constantFrom(
  "0",
  "-0",
  "7",
  "-12",
  "1.50",
  "01",
  "1e5",
  "1E+400",
  "-",
  "1.",
  "123456789012345678",
  "+1",
  "NaN",
);
const value = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 4, arbitrary: text.map((one) => JSON.stringify(one)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom("null", "true", "false", "nul", "[]", "{}", '{"a":1}', "[1,[2]]", '"\\u0061"', '"\\x"'),
  },
);
const name = fc.constantFrom(
  "a",
  "b",
  "delay",
  "origin",
  "größe",
  "__proto__",
  "1",
  "a name of more than thirty-two characters",
  "",
);
const blank = fc.constantFrom("", "", "", " ", "\t", "  ");
const form = fc.array(name, { maxLength: 5 });

/** A record as somebody might write it: mostly of one form. */
const lineOf = (names: readonly string[]) =>
  fc
    .tuple(fc.array(value, { minLength: names.length, maxLength: names.length }), blank, blank)
    .map(([values, before, after]) => {
      const members = names.map((one, index) => `${before}${JSON.stringify(one)}${after}:${before}${values[index]}`);
      return `${after}{${members.join(`${after},`)}${before}}${after}`;
    });

const character = fc.constantFrom(...'{}[],:"\\ 01-.eEtfnuld\u0000é\t'.split(""));
/** One character more, fewer, or another. */
const damaged = (line: fc.Arbitrary<string>) =>
  fc.tuple(line, fc.nat(200), fc.nat(2), character).map(([whole, at, kind, other]) => {
    const place = at % (whole.length + 1);
    return whole.slice(0, place) + (kind === 0 ? "" : other) + whole.slice(place + (kind === 1 ? 0 : 1));
  });

const lines = form.chain((names) =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: lineOf(names) },
      { weight: 1, arbitrary: form.chain(lineOf) },
      { weight: 1, arbitrary: fc.json() },
      { weight: 3, arbitrary: damaged(lineOf(names)) },
    ),
    { minLength: 1, maxLength: 12 },
  ),
);

const told = (read: () => unknown): unknown => {
  try {
    return { value: read() };
  } catch {
    return "refused";
  }
};

/** As `json()` says: members called `__proto__` are left out. */
const parsed = (line: string): unknown =>
  JSON.parse(line, (member, content: unknown) => (member === "__proto__" ? undefined : content));

describe("lines of JSON", () => {
  it("are read as JSON.parse reads them, whatever lines came before", () => {
    fc.assert(
      fc.property(fc.array(lines, { minLength: 1, maxLength: 3 }), (blocks) => {
        const decoder = lineDecoder(json());
        for (const written of blocks) {
          const whole = written.map((line) => line.replaceAll("\n", " "));
          const block = `${whole.join("\n")}\n`;
          const read = decoder.block(block);
          let from = 0;
          for (const line of whole) {
            const at = from;
            expect(told(() => read(at, at + line.length))).toEqual(told(() => parsed(line)));
            from += line.length + 1;
          }
        }
      }),
      { numRuns: runs },
    );
  });

  it("keep the order of their members", () => {
    const decoder = lineDecoder(json());
    const block = '{"b":1,"a":2}\n{"b":3,"a":4}\n{"a":5,"b":6}\n{"b":7,"a":8}\n';
    const read = decoder.block(block);
    const found = [0, 14, 28, 42].map((from) => JSON.stringify(read(from, from + 13)));
    expect(found.join("\n")).toBe(block.trimEnd());
  });
});
