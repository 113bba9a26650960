import { describe, expect, it } from "vitest";
import type { ValueState } from "../../lib/pipeline/state-spec.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import { beginSnapshot } from "../../lib/state/snapshot-writer.js";
import { allGroups, Files, getValue, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const bug = expect.objectContaining({ kind: "bug" });

describe("taking a record back", () => {
  it("brings back values, lists, and maps with their order, of old keys and new", () => {
    const table = mixedTable();
    const { count, last, seen, by } = mixedOf(table);
    table.enter("old");
    count.set(1);
    seen.add("x");
    for (const key of ["first", ["second"], "third"]) by.set(key, 1);
    table.begin();
    by.delete(["second"]);
    by.set("fourth", 1);
    by.set("first", 2);
    by.set(["second"], 2);
    by.delete("third");
    seen.add("y");
    seen.clear();
    seen.add("z");
    count.update((n) => (n as number) + 1);
    last.set({ n: 1 });
    table.enter("new");
    count.set(5);
    by.set("k", 1);
    table.rollback();
    expect([table.keys, count.get(), [...by.entries()]]).toEqual([1, 0, []]);
    table.enter("old");
    expect([count.get(), last.get(), seen.get()]).toEqual([1, undefined, ["x"]]);
    expect([...by.entries()]).toEqual([
      ["first", 1],
      [["second"], 1],
      ["third", 1],
    ]);
  });

  it("brings a key back that was cleared, and keeps one out of snapshots that came with the record", async () => {
    const files = new Files();
    const table = valuesTable("op", [["old", 1]]);
    const base = await files.write([table], { kind: "base" });
    table.begin();
    setValue(table, "old", undefined);
    setValue(table, "new", 1);
    table.rollback();
    expect([table.keys, getValue(table, "old"), getValue(table, "new")]).toEqual([1, 1, undefined]);
    const delta = await files.write([table], { kind: "delta" });
    expect(delta.slices.map(({ keys }) => keys)).toEqual([1]);
    const copy = valuesTable("op", []);
    await restoreInto([copy], { format: 1, base, deltas: [delta] }, allGroups, files.read);
    expect([copy.keys, getValue(copy, "old")]).toEqual([1, 1]);
  });

  it("goes back to the last begin alone, as often as one likes", () => {
    const table = valuesTable("op", [["a", 1]]);
    table.begin();
    setValue(table, "a", 2);
    table.begin();
    setValue(table, "a", 3);
    table.rollback();
    expect(getValue(table, "a")).toBe(2);
    setValue(table, "a", 4);
    table.rollback();
    table.rollback();
    expect(getValue(table, "a")).toBe(2);
  });

  it("is a bug without a begin, and across a cut or a step of it", () => {
    const table = valuesTable("op", [["a", 1]]);
    expect(() => table.rollback()).toThrow(bug);
    table.begin();
    const snapshot = beginSnapshot([table], { kind: "base" });
    expect(() => table.rollback()).toThrow(bug);
    table.begin();
    snapshot.step();
    expect(() => table.rollback()).toThrow(bug);
    const { set } = table.accessors.value as ValueState<unknown>;
    expect(() => set(1)).not.toThrow();
  });
});
