import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Key, keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import type { ListState, MapState, ValueState } from "../../lib/pipeline/state-spec.js";
import { createStateTable } from "../../lib/state/table.js";
import { anyKey, cutOf, getValue, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const hexOf = (key: Key) => Buffer.from(keyBytes(key)).toString("hex");

describe("keys of a state table", () => {
  it('K1 1, "1", 1n, true and ["a"] are different keys, and 0 and -0 are one', () => {
    const keys: readonly Key[] = [
      1,
      "1",
      1n,
      true,
      "true",
      ["a"],
      "a",
      ["a", "b"],
      [["a"], "b"],
      ["a", ["b"]],
      [1],
      [1n],
      ["1"],
      [],
      [[]],
      "[]",
    ];
    const table = valuesTable(
      "op",
      keys.map((key, i) => [key, i]),
    );
    expect(table.keys).toBe(keys.length);
    expect(keys.map((key) => getValue(table, key))).toEqual(keys.map((_, i) => i));
    setValue(table, 0, "zero");
    expect(getValue(table, -0)).toBe("zero");
    setValue(table, [0], "zero in an array");
    expect(getValue(table, [-0])).toBe("zero in an array");
  });

  it("K1 two keys are one exactly where their bytes are", () => {
    fc.assert(
      fc.property(fc.array(anyKey, { maxLength: 30 }), (keys) => {
        const table = valuesTable(
          "op",
          keys.map((key) => [key, hexOf(key)]),
        );
        expect(table.keys).toBe(new Set(keys.map(hexOf)).size);
        for (const key of keys) expect(getValue(table, key)).toBe(hexOf(key));
        for (let row = 1; row < table.rows.end; row += 1) {
          expect(table.rows.keyGroup(row)).toBe(keyGroupOf(keyBytes(table.rows.keys[row] ?? "")));
        }
      }),
    );
  });

  it("are refused where they are none", () => {
    const table = mixedTable();
    const invalid = expect.objectContaining({ kind: "invalid" });
    for (const key of [
      null,
      undefined,
      Number.NaN,
      {},
      "\ud800",
      [null],
      [Number.NaN],
      ["\ud800"],
      [{}],
      new Date(0),
    ]) {
      expect(() => table.enter(key as Key)).toThrow(invalid);
    }
    table.enter("k");
    for (const key of [undefined, Number.NaN, "\ud800", [null], "\ud800[s1:a]"]) {
      expect(() => mixedOf(table).by.set(key as Key, 1)).toThrow(invalid);
    }
  });

  it("may be named as an object's own machinery is", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty", "toString", ""];
    const table = valuesTable(
      "op",
      names.map((name) => [name, name]),
    );
    expect(names.map((name) => getValue(table, name))).toEqual(names);
  });

  it("are copied: changing an array afterwards changes nothing", () => {
    const key = ["a", "b"];
    const table = valuesTable("op", [[key, 1]]);
    key[0] = "x";
    expect(getValue(table, ["a", "b"])).toBe(1);
    setValue(table, [-0], 2);
    expect(cutOf(table, "base").map(([kept]) => kept)).toStrictEqual([["a", "b"], [0]]);
  });
});

describe("accessors", () => {
  it("work on the key that was entered last", () => {
    const table = mixedTable();
    const { count, seen, by } = mixedOf(table);
    table.enter("a");
    count.update((n) => (n as number) + 1);
    seen.add("x");
    by.set(["p", 1], "y");
    table.enter("b");
    expect([count.get(), seen.get(), [...by.entries()], by.get(["p", 1])]).toEqual([0, [], [], undefined]);
    table.enter("a");
    expect([count.get(), seen.get(), [...by.entries()], by.get(["p", 1])]).toEqual([1, ["x"], [[["p", 1], "y"]], "y"]);
  });

  it("may be taken apart", () => {
    const table = mixedTable();
    const { get, set, update, clear } = mixedOf(table).count;
    table.enter("a");
    set(1);
    update((n) => (n as number) + 1);
    expect(get()).toBe(2);
    clear();
    expect(get()).toBe(0);
  });

  it("exist for the declared names alone, whatever these are", () => {
    const declared = JSON.parse('{"constructor": {"kind": "value"}, "__proto__": {"kind": "list"}}');
    const table = createStateTable("op", 1, declared);
    table.enter("k");
    (table.accessors.constructor as unknown as ValueState<string>).set("c");
    expect(Object.keys(table.accessors).sort()).toEqual(["__proto__", "constructor"]);
    const [, list] = Object.entries(table.accessors).find(([name]) => name === "__proto__") ?? [];
    (list as ListState<number>).add(1);
    expect(table.accessors.toString).toBeUndefined();
    expect(cutOf(table, "base").map(([, cells]) => cells)).toEqual([[[1], "c"]]);
  });

  it("gives a list that stays as it is: a row that holds it is encoded later", () => {
    const table = createStateTable("op", 1, { numbers: { kind: "list" } });
    const numbers = table.accessors.numbers as ListState<number>;
    table.enter("a");
    numbers.add(1);
    const one = numbers.get();
    numbers.add(2);
    numbers.add(3);
    expect(one).toEqual([1]);
    expect(numbers.get()).toEqual([1, 2, 3]);
    expect(() => (numbers.get() as number[]).push(4)).toThrow(TypeError);
    table.begin();
    numbers.add(5);
    table.rollback();
    expect(numbers.get()).toEqual([1, 2, 3]);
  });

  it("share an initial value that cannot be changed in place", () => {
    const table = createStateTable("op", 1, { rows: { kind: "value", initial: { list: [] } } });
    const rows = table.accessors.rows as ValueState<{ list: number[] }>;
    table.enter("a");
    expect(() => rows.get().list.push(1)).toThrow(TypeError);
    expect(() => rows.set(undefined as never)).toThrow(/has an initial value/);
  });

  it("keep the types and the order of a map's keys", () => {
    const table = mixedTable();
    const by: MapState<Key, unknown> = mixedOf(table).by;
    table.enter("k");
    const keys: readonly Key[] = ["b", 1, "1", 1n, true, ["a"], "a", [["a"]]];
    for (const [i, key] of keys.entries()) by.set(key, i);
    by.set("b", "again");
    by.delete(true);
    by.delete(["a"]);
    expect([...by.entries()].map(([key]) => key)).toEqual(["b", 1, "1", 1n, "a", [["a"]]]);
    expect(by.get("b")).toBe("again");
    expect(by.get("\ud800[s1:a]")).toBeUndefined();
    by.set(["a"], "array");
    expect(by.get("\ud800[s1:a]")).toBeUndefined();
    by.delete("\ud800[s1:a]");
    expect(by.get(["a"])).toBe("array");
  });

  it("refuse a change before any record", () => {
    const { count, seen, by } = mixedOf(mixedTable());
    expect(count.get()).toBe(0);
    const outside = expect.objectContaining({ kind: "invalid", message: expect.stringMatching(/outside of onRecord/) });
    for (const change of [() => count.set(1), () => seen.add(1), () => by.set("a", 1)]) expect(change).toThrow(outside);
    expect(() => count.clear()).not.toThrow();
  });
});

describe("what is dirty", () => {
  it("is what was changed: reading leaves nothing behind", () => {
    const table = mixedTable();
    const { count, last, seen, by } = mixedOf(table);
    for (const key of ["a", "b", ["c"], 4]) {
      table.enter(key);
      expect([count.get(), last.get(), seen.get(), by.get("x"), [...by.entries()]]).toEqual([
        0,
        undefined,
        [],
        undefined,
        [],
      ]);
      count.clear();
      by.delete("x");
      seen.clear();
    }
    expect([table.keys, table.dirty, cutOf(table, "base")]).toEqual([0, 0, []]);
  });

  it("is each key once, and again after a snapshot, but not for the same plain value", () => {
    const table = mixedTable();
    const { count, last, seen } = mixedOf(table);
    table.enter("a");
    count.set(1);
    seen.add(1);
    expect([table.keys, table.dirty]).toEqual([1, 1]);
    cutOf(table, "delta");
    expect(table.dirty).toBe(0);
    count.set(1);
    expect(table.dirty).toBe(0);
    count.set(-0);
    cutOf(table, "delta");
    count.set(0);
    expect([table.dirty, count.get()]).toEqual([1, 0]);
    cutOf(table, "delta");
    seen.add(2);
    expect(table.dirty).toBe(1);
    cutOf(table, "delta");
    const held = { n: 1 };
    last.set(held);
    cutOf(table, "delta");
    held.n = 2;
    last.set(held);
    expect(table.dirty).toBe(1);
  });

  it("is a removed key too, if a snapshot holds it", () => {
    const table = mixedTable();
    const { count, by } = mixedOf(table);
    table.enter("kept");
    count.set(1);
    cutOf(table, "delta");
    by.set("x", 1);
    count.clear();
    expect(table.keys).toBe(1);
    by.delete("x");
    table.enter("came and went");
    count.set(1);
    count.clear();
    expect(table.keys).toBe(0);
    expect(cutOf(table, "delta")).toEqual([["kept", null]]);
    expect([table.keys, table.dirty, cutOf(table, "delta")]).toEqual([0, 0, []]);
  });

  it("is right for a key that is removed and comes back, before a snapshot and after, entered again or not", () => {
    const table = mixedTable();
    const { count } = mixedOf(table);
    table.enter("a");
    count.set(1);
    cutOf(table, "delta");
    count.clear();
    count.set(2);
    expect(table.keys).toBe(1);
    expect(cutOf(table, "delta")).toEqual([["a", [undefined, 2, undefined, undefined]]]);
    count.clear();
    expect(cutOf(table, "delta")).toEqual([["a", null]]);
    count.set(3);
    expect([table.keys, table.dirty]).toEqual([1, 1]);
    table.enter("b");
    table.enter("a");
    expect(count.get()).toBe(3);
  });
});
