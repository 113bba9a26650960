// P2: state of an older version becomes that of the code at hand, key by key, or is refused with what has changed.
import { describe, expect, it } from "vitest";
import type { Key } from "../../lib/model/keys.js";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
import type { Migration, Migrations } from "../../lib/pipeline/migrations.js";
import type { StateDeclaration } from "../../lib/pipeline/plan.js";
import type { ListState, MapState, ValueState } from "../../lib/pipeline/state-spec.js";
import { checkOperators, keyTypesIn } from "../../lib/state/known-state.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import { createStateTable, type StateTable } from "../../lib/state/table.js";
import { allGroups, Files, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const refTo = (base: SnapshotFile, ...deltas: SnapshotFile[]): SnapshotRef => ({ format: 1, base, deltas });
const steps = (all: Readonly<Record<number, Migration>>): Migrations =>
  new Map(Object.entries(all).map(([from, step]) => [Number(from), step]));
type Declared = Readonly<Record<string, StateDeclaration>>;
const inVersion = (version: number, declared: Declared, all: Readonly<Record<number, Migration>> = {}) =>
  createStateTable("op", version, declared, steps(all));
const value = (table: StateTable, key: Key, name: string): unknown => {
  table.enter(key);
  return (table.accessors[name] as ValueState<unknown>).get();
};
const one = async (key: Key, of: unknown, files = new Files()) => ({
  files,
  ref: refTo(await files.write([valuesTable("op", [[key, of]])], { kind: "base" })),
});
const failure = (message: RegExp) =>
  expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) });

describe("P2 migrations", () => {
  it("P2 take base and deltas from version 1 over 2 to 3, and the next snapshot is a base", async () => {
    const files = new Files();
    const old = valuesTable("op", [
      ["a", 1],
      ["b", 2],
      ["gone", 3],
    ]);
    const base = await files.write([old], { kind: "base" });
    setValue(old, "b", 20);
    setValue(old, "gone", undefined);
    const delta = await files.write([old], { kind: "delta" });
    const seen: unknown[] = [];
    const table = inVersion(
      3,
      { total: { kind: "value" }, keys: { kind: "list" }, by: { kind: "map" } },
      {
        1: (states, key) => {
          seen.push([key, states]);
          return { cents: states.value * 100 };
        },
        2: ({ cents }, key) => ({ total: BigInt(cents), keys: [key], by: new Map([[cents, key]]) }),
      },
    );
    expect(await restoreInto([table], refTo(base, delta), allGroups, files.read)).toBeNull();
    expect(table.keys).toBe(2);
    expect([value(table, "a", "total"), value(table, "b", "total")]).toEqual([100n, 2_000n]);
    expect((table.accessors.keys as ListState<unknown>).get()).toEqual(["b"]);
    expect([...(table.accessors.by as MapState<number, unknown>).entries()]).toEqual([[2_000, "b"]]);
    expect(seen).toContainEqual(["b", { value: 20 }]);
    // From the middle of the chain on, too.
    const second = await files.write([createdAt(2, "a", 7)], { kind: "base" });
    const later = inVersion(
      3,
      { total: { kind: "value" } },
      { 1: () => ({}), 2: ({ value: n }) => ({ total: n + 1 }) },
    );
    await restoreInto([later], refTo(second), allGroups, files.read);
    expect(value(later, "a", "total")).toBe(8);
  });

  it("P2 get lists as arrays and maps as Maps; what they leave out is empty, and null is no state", async () => {
    const files = new Files();
    const table = mixedTable("op");
    const { seen, by } = mixedOf(table);
    for (const key of ["a", "b"]) {
      table.enter(key);
      seen.add(key);
      by.set(1n, key);
    }
    const ref = refTo(await files.write([table], { kind: "base" }));
    const given: unknown[] = [];
    const next = inVersion(
      2,
      { seen: { kind: "list" }, other: { kind: "value", initial: 7 } },
      {
        1: (states, key) => {
          given.push(states);
          return key === "a" ? null : { seen: [...states.seen, 2] };
        },
      },
    );
    await restoreInto([next], ref, allGroups, files.read);
    expect(given).toContainEqual({ seen: ["a"], by: new Map([[1n, "a"]]) });
    expect([next.keys, value(next, "b", "seen"), value(next, "b", "other")]).toEqual([1, ["b", 2], 7]);
  });

  it("P2 that throw, or give what is no state of the operator, are told with operator, key and step", async () => {
    const { files, ref } = await one(["k", 1n], 1);
    const restore = (migrate: Migration, declared: Declared = { value: { kind: "value" } }) =>
      restoreInto([inVersion(2, declared, { 1: migrate })], ref, allGroups, files.read);
    const at = 'operator "op", key \\["k", 1n\\]: migrate from version 1 to 2';
    const refuses = async (migrate: unknown, message: string, declared?: Declared) =>
      expect(restore(migrate as Migration, declared)).rejects.toThrow(failure(new RegExp(`^${at}: ${message}`)));
    await refuses(() => {
      throw new Error("what is this?");
    }, "what is this\\?");
    await refuses(() => undefined, "gives undefined, not an object of states by their names; is a return missing");
    await refuses(() => 7, "gives a number, not");
    await refuses(async () => ({}), "gives an object of Promise");
    await refuses(() => ({ other: 1 }), 'gives a state "other"; the operator has value');
    await refuses(() => ({ value: 1 }), 'state "value" is a list, so that it must be given an array, not a number', {
      value: { kind: "list" },
    });
    await refuses(() => ({ value: {} }), 'state "value" is a map, so that it must be given a Map', {
      value: { kind: "map" },
    });
  });
});

describe("P2 by the index alone, before anything is read", () => {
  const check =
    (ref: SnapshotRef, table: StateTable, leaveOut: readonly string[] = []) =>
    () =>
      checkOperators([table], ref, leaveOut);

  it("P2 a version that no migration comes from, or a newer one, is refused, with what to do", async () => {
    const { ref } = await one("a", 1);
    const declared: Declared = { value: { kind: "value" } };
    expect(check(ref, inVersion(2, declared))).toThrow(
      failure(
        /version 1, while the plan declares version 2, and migrate has no step from version 1 to 2.*--allow-dropped op/,
      ),
    );
    expect(check(ref, inVersion(3, declared, { 2: () => ({}) }))).toThrow(failure(/no step from version 1 to 2/));
    expect(check(ref, inVersion(2, declared, { 1: () => ({}) }))).not.toThrow();
    expect(check(ref, inVersion(2, declared), ["op"])).not.toThrow();
    const newer = refTo(await new Files().write([createdAt(2, "a", 1)], { kind: "base" }));
    expect(check(newer, inVersion(1, declared))).toThrow(failure(/in version 2.*declares version 1; run the code/));
  });

  it("P2 a state that is of another kind or gone is refused in the same version, all of them at once; in another it is not", async () => {
    const files = new Files();
    const table = mixedTable("op");
    table.enter("a");
    mixedOf(table).count.set(1);
    const ref = refTo(await files.write([table], { kind: "base" }));
    const changed: Declared = { count: { kind: "list" }, seen: { kind: "list" }, by: { kind: "value" } };
    expect(check(ref, inVersion(1, changed))).toThrow(
      failure(
        /operator "op" has changed in form, but not in version: "by" is a map in the checkpoint and a value in the plan, "count" is a value .* a list .*, "last" is a value in the checkpoint and not declared.*raise the version to 2 and add migrate: \{ 1:/,
      ),
    );
    expect(check(ref, inVersion(2, changed, { 1: () => ({}) }))).not.toThrow();
    // An index without it says nothing: the restore finds it.
    const [base] = [ref.base].map((file) => (file === null ? null : { ...file, operators: undefined }));
    const without = { ...ref, base } as unknown as SnapshotRef;
    expect(check(without, inVersion(1, changed))).not.toThrow();
    await expect(restoreInto([inVersion(1, changed)], without, allGroups, files.read)).rejects.toThrow(
      failure(/"count" is a value in the checkpoint and a list/),
    );
  });

  it("P2 knows the types of keys, of base and deltas; of files that do not say, nothing", async () => {
    const files = new Files();
    const table = valuesTable("op", [["a", 1]]);
    const base = await files.write([table], { kind: "base" });
    setValue(table, ["a", 1], 2);
    setValue(table, 7, 2);
    const delta = await files.write([table], { kind: "delta" });
    expect(base.operators).toEqual({ op: { keys: ["string"], states: { value: "value" } } });
    expect(keyTypesIn([refTo(base, delta)], "op")).toEqual(["array", "number", "string"]);
    expect(keyTypesIn([refTo(base)], "other")).toBeNull();
    const { operators: _, ...unknown } = delta;
    expect(keyTypesIn([refTo(base, unknown)], "op")).toBeNull();
  });
});

function createdAt(version: number, key: Key, of: unknown): StateTable {
  const table = createStateTable("op", version, { value: { kind: "value" } });
  setValue(table, key, of);
  return table;
}
