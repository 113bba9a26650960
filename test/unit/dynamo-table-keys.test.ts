import { dynamoTable } from "tidemark";
import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import type { HeldSink } from "../../lib/pipeline/sink.js";
import type { AttributeType } from "../../lib/ports/tables.js";

const thrown = (call: () => unknown): StreamError => {
  try {
    call();
  } catch (error) {
    if (error instanceof StreamError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("the key of a row", () => {
  type Key = readonly string[] | Readonly<Record<string, AttributeType>>;
  const make = dynamoTable as (options: {
    readonly table: string;
    readonly key: unknown;
    readonly delivery?: unknown;
  }) => HeldSink<unknown>;
  const keyOf = (key: Key, row: unknown) => make({ table: "t", key }).keyOf(row);

  it("of one string is the string, also where it looks like something else", () => {
    for (const id of ["JFK", "__proto__", "a|b", "\u0000", "😀"]) expect(keyOf(["id"], { id })).toBe(id);
    expect(keyOf({ id: "string" }, { id: "JFK" })).toBe("JFK");
  });

  it("longer than DynamoDB takes is told, before any checkpoint holds it", () => {
    const pair = { p: "string", s: "bytes" } as const;
    expect(keyOf(["id"], { id: "é".repeat(1_024) })).toHaveLength(1_024);
    expect(thrown(() => keyOf(["id"], { id: "é".repeat(1_025) })).message).toContain(
      '"id" of a row has more than 2048 bytes',
    );
    expect(() => keyOf(pair, { p: "a", s: new Uint8Array(1_024) })).not.toThrow();
    expect(thrown(() => keyOf(pair, { p: "a", s: new Uint8Array(1_025) })).message).toContain("more than 1024 bytes");
  });

  it("differs for different numbers and bytes, and is one for those that DynamoDB holds for one", () => {
    const numbers = [0, 1, -1, 0.5, 10, 1e21, 2 ** 53, 2 ** 53 + 2].map((id) => keyOf({ id: "number" }, { id }));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(keyOf({ id: "number" }, { id: -0 })).toBe(keyOf({ id: "number" }, { id: 0 }));
    const bytes = [[1], [1, 0], [0, 1], [255]].map((id) => keyOf({ id: "bytes" }, { id: new Uint8Array(id) }));
    expect(new Set(bytes).size).toBe(bytes.length);
    expect(keyOf({ id: "bytes" }, { id: Buffer.from([1]) })).toBe(bytes[0]);
  });

  it("of two attributes never is that of another pair, wherever a separator may stand", () => {
    const parts = ["a", "b", "|", "a|", "|b", "a|b", "6", "61", "\u0000", "a\u0000"];
    const pairs = parts.flatMap((p) => parts.map((s) => keyOf(["p", "s"], { p, s })));
    expect(new Set(pairs).size).toBe(pairs.length);
    const numbers = [1, 11, 0x11, 256].flatMap((p) =>
      [1, 11, 256].map((s) => keyOf({ p: "number", s: "number" }, { p, s })),
    );
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(keyOf(["p", "s"], { s: "2", p: "1", other: 5 })).toBe(keyOf(["p", "s"], { p: "1", s: "2" }));
  });

  const string = "it must be a string that is not empty";
  it.each<readonly [string, Key, unknown, string]>([
    ["missing", ["id"], {}, `key attribute "id" of a row is missing; ${string}`],
    ["null", ["id"], { id: null }, `key attribute "id" of a row is null; ${string}`],
    ["empty", ["id"], { id: "" }, `key attribute "id" of a row is empty; ${string}`],
    ["a number for a string", ["id"], { id: 5 }, `key attribute "id" of a row is a number; ${string}`],
    ["inherited", ["constructor"], {}, `key attribute "constructor" of a row is a function; ${string}`],
    ["the second one missing", ["p", "s"], { p: "a" }, `key attribute "s" of a row is missing; ${string}`],
    ["the second one empty", ["p", "s"], { p: "a", s: "" }, `key attribute "s" of a row is empty; ${string}`],
    [
      "a string for a number",
      { y: "number" },
      { y: "5" },
      'key attribute "y" of a row is a string; it must be a finite number',
    ],
    ["NaN", { y: "number" }, { y: Number.NaN }, 'key attribute "y" of a row is NaN; it must be a finite number'],
    ["endless", { y: "number" }, { y: Number.POSITIVE_INFINITY }, "is Infinity; it must be a finite number"],
    ["no bytes", { b: "bytes" }, { b: new Uint8Array() }, 'key attribute "b" of a row is empty; it must be bytes'],
    ["a string for bytes", { b: "bytes" }, { b: "a" }, 'key attribute "b" of a row is a string; it must be bytes'],
    ["of null", ["id"], null, "a row is null, not an object"],
    ["of a text", ["id"], "JFK", "a row is a string, not an object"],
    ["of nothing", ["id"], undefined, "a row is undefined, not an object"],
  ])("%s is refused, and says what it must be", (_, key, row, message) => {
    const error = thrown(() => keyOf(key, row));
    expect(error.kind).toBe("invalid");
    expect(error.message).toMatch(/^dynamoTable "t": /);
    expect(error.message).toContain(message);
  });

  it.each<readonly [string, unknown]>([
    ["none", undefined],
    ["an empty list", []],
    ["no attribute", {}],
    ["three", ["a", "b", "c"]],
    ["an empty name", [""]],
    ["no name", [5]],
    ["an unknown type", { a: "boolean" }],
    ["a text", "id"],
    ["null", null],
  ])("the sink itself is refused with the key %s", (_, key) => {
    const error = thrown(() => make({ table: "t", key }));
    expect(error).toMatchObject({ kind: "invalid", message: expect.stringContaining('key: ["airport"]') });
  });

  it("without a table, and with a delivery that is not there yet, it is refused", () => {
    expect(thrown(() => make({ table: "", key: ["id"] })).message).toContain('"table" must name a table');
    expect(thrown(() => make({ table: "t", key: ["id"], delivery: "eager" })).message).toContain('delivery "eager"');
    expect(make({ table: "t", key: ["id"], delivery: "held" }).delivery).toBe("held");
  });

  it("its config is plain data: the logical table, and the key with its types, partition key first", () => {
    const { config } = dynamoTable({ table: "t", key: { airport: "string", year: "number" } });
    const key = [
      { name: "airport", type: "string" },
      { name: "year", type: "number" },
    ];
    expect(config).toEqual({ table: "t", key });
    expect(dynamoTable({ table: "t", key: ["id"] }).config).toEqual({
      table: "t",
      key: [{ name: "id", type: "string" }],
    });
  });
});
