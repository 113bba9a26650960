import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonRowWriter } from "../../lib/model/json-bytes.js";
import { jsonText } from "../../lib/model/json-text.js";
import type { LineWriter } from "../../lib/model/lines.js";

const name = fc.oneof(fc.constantFrom("a", "b", "1", "__proto__", "toJSON", 'q"', "\n", "é", "\ud800"), fc.string());
const plain = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string({ unit: "binary" }),
  fc.constantFrom(-0, "\u2028", '"', "\\", "\u0000", "\ud800", "x".repeat(50), null, true, false),
);
const value = fc.oneof({ weight: 8, arbitrary: plain }, { weight: 1, arbitrary: fc.anything() });
const row = fc.array(fc.tuple(name, value), { maxLength: 6 }).map((members) => {
  const made: Record<string, unknown> = {};
  for (const [member, content] of members) {
    Object.defineProperty(made, member, { value: content, enumerable: true, configurable: true, writable: true });
  }
  return made;
});

/** The text, or that it was refused. */
const told = (write: () => string): string => {
  try {
    return write();
  } catch {
    return "refused";
  }
};

/** What the writer writes, in a buffer that is too small at first. */
function written(writer: LineWriter<unknown>, value: unknown, behind: number): string {
  for (let room = 0; ; ) {
    const into = Buffer.alloc(behind + room, 0xff);
    const end = writer(value, into, behind);
    if (end >= 0) {
      expect(end).toBeLessThanOrEqual(into.length);
      return into.subarray(behind, end).toString("utf8");
    }
    expect(-end).toBeGreaterThan(room);
    room = -end;
  }
}

describe("rows as lines of JSON", () => {
  it("are written as JSON.stringify writes them, whatever rows came before", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: row }, fc.anything()), { maxLength: 8 }), (rows) => {
        const writer = jsonRowWriter();
        for (const one of rows) {
          const expected = told(() => Buffer.from(jsonText(one), "utf8").toString("utf8"));
          expect(told(() => written(writer, one, 0))).toBe(expected);
          // A row like the one before goes another way.
          expect(told(() => written(writer, one, 7))).toBe(expected);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("leave out what the prototype of all objects was given", () => {
    Object.defineProperty(Object.prototype, "stray", {
      value: 1,
      enumerable: true,
      configurable: true,
      writable: true,
    });
    const text = written(jsonRowWriter(), { a: 1 }, 0);
    delete (Object.prototype as { stray?: number }).stray;
    expect(text).toBe('{"a":1}');
  });
});
