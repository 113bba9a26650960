import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Key } from "../../lib/model/keys.js";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
import { continued, noState } from "../../lib/state/compaction.js";
import type { SnapshotKind } from "../../lib/state/snapshot-format.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import { beginSnapshot, encodeInSteps, type Snapshot, stepLimits } from "../../lib/state/snapshot-writer.js";
import type { StateTable } from "../../lib/state/table.js";
import {
  applyToModel,
  applyToTable,
  expectState,
  idOf,
  type Model,
  newModel,
  normalKey,
  type Step,
  step,
} from "./state-histories.js";
import { allGroups, anyKey, Files, getValue, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const oneEntry = { entries: 1, bytes: 1e9 };
const invalid = expect.objectContaining({ kind: "invalid" });
const bug = expect.objectContaining({ kind: "bug" });

/** What is in one key's record: from `begin` on all of them are taken back if `undone`. */
interface Change {
  readonly key: Key;
  readonly steps: readonly Step[];
}
type Event =
  | { readonly kind: "records"; readonly changes: readonly Change[]; readonly undone: boolean }
  | { readonly kind: "cut"; readonly as: SnapshotKind }
  | { readonly kind: "step"; readonly entries: number };

const history: fc.Arbitrary<readonly Event[]> = fc
  .tuple(fc.array(anyKey, { minLength: 1, maxLength: 8 }), fc.array(anyKey, { minLength: 1, maxLength: 3 }))
  .chain(([keys, mapKeys]) => {
    const steps = fc.array(step(fc.constantFrom(...mapKeys)), { maxLength: 4 });
    const change = fc.record({ key: fc.constantFrom(...keys), steps });
    return fc.array(
      fc.oneof(
        {
          weight: 6,
          arbitrary: fc.record({
            kind: fc.constant("records"),
            changes: fc.array(change, { minLength: 1, maxLength: 3 }),
            undone: fc.boolean(),
          }),
        },
        {
          weight: 2,
          arbitrary: fc.record({ kind: fc.constant("cut"), as: fc.constantFrom("delta", "delta", "base") }),
        },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant("step"), entries: fc.integer({ min: 1, max: 4 }) }) },
      ),
      { maxLength: 60 },
    );
  }) as fc.Arbitrary<readonly Event[]>;

type Models = Map<string, readonly [Key, Model]>;
const copied = (models: Models): Models =>
  new Map([...models].map(([id, [key, model]]) => [id, [key, { ...model, by: [...model.by] }]]));

/** A table whose records, cuts and steps come in any order, and beside it what should be in it. */
class Run {
  readonly table: StateTable = mixedTable();
  readonly files = new Files();
  #models: Models = new Map();
  #ref: SnapshotRef = noState;
  #underWay: { readonly snapshot: Snapshot; readonly models: Models } | null = null;

  async take(event: Event): Promise<void> {
    if (event.kind === "records") this.#records(event.changes, event.undone);
    else if (event.kind === "cut") this.#cut(event.as);
    else await this.#step(event.entries);
  }

  async end(): Promise<void> {
    while (this.#underWay !== null) await this.#step(1);
    this.#cut("delta");
    while (this.#underWay !== null) await this.#step(1);
    expectState(this.table, this.#models, allGroups);
  }

  #records(changes: readonly Change[], undone: boolean): void {
    const before = copied(this.#models);
    // Without a rollback to come nothing need be noted, and nothing of it may be seen.
    if (undone) this.table.begin();
    for (const { key, steps } of changes) {
      const [, model] = this.#models.get(idOf(key)) ?? [key, newModel()];
      this.#models.set(idOf(key), [normalKey(key), model]);
      applyToTable(this.table, key, steps);
      applyToModel(model, steps);
    }
    if (!undone) return;
    this.table.rollback();
    this.#models = before;
    for (const { key } of changes) if (!before.has(idOf(key))) before.set(idOf(key), [normalKey(key), newModel()]);
  }

  #cut(as: SnapshotKind): void {
    if (this.#underWay !== null) return;
    const kind = this.#ref.base === null ? "base" : as;
    const snapshot = beginSnapshot([this.table], { kind, sliceBytesTarget: 128 });
    this.#underWay = { snapshot, models: copied(this.#models) };
  }

  async #step(entries: number): Promise<void> {
    if (this.#underWay === null || !this.#underWay.snapshot.step({ ...oneEntry, entries })) return;
    const { snapshot, models } = this.#underWay;
    this.#underWay = null;
    const file = await this.files.store(snapshot.encoded);
    expectNoneTwice(file);
    this.#ref = continued(this.#ref, snapshot.kind, file);
    const copy = mixedTable();
    await restoreInto([copy], this.#ref, allGroups, this.files.read);
    expectState(copy, models, allGroups);
  }
}

function expectNoneTwice(file: SnapshotFile): void {
  // The model has at most 8 keys, each of which is in a file once.
  expect(file.slices.reduce((sum, { keys }) => sum + keys, 0)).toBeLessThanOrEqual(8);
}

describe("B2 a snapshot that is encoded while records flow", () => {
  it("holds what was there at its cut, whatever records change, and take back, before each step", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (events) => {
        const run = new Run();
        for (const event of events) await run.take(event);
        await run.end();
      }),
      { numRuns: 1_000 },
    );
  }, 120_000);

  it("holds a value as it was, though it is changed in place and set again", async () => {
    const files = new Files();
    const table = valuesTable("op", [
      ["a", { n: 1 }],
      ["b", { n: 1 }],
    ]);
    const snapshot = beginSnapshot([table], { kind: "base" });
    const held = getValue(table, "b") as { n: number };
    held.n = 2;
    setValue(table, "b", held);
    const base = await files.store(await encodeInSteps(snapshot, async () => undefined));
    const copy = valuesTable("op", []);
    await restoreInto([copy], { format: 1, base, deltas: [] }, allGroups, files.read);
    expect([getValue(copy, "a"), getValue(copy, "b")]).toEqual([{ n: 1 }, { n: 1 }]);
    expect([getValue(table, "b"), table.dirty]).toEqual([{ n: 2 }, 1]);
  });

  it("holds the current key as it was, though it is written to without being entered again", async () => {
    const files = new Files();
    const table = mixedTable();
    const { count, seen } = mixedOf(table);
    table.enter("a");
    count.set(1);
    seen.add("before");
    const snapshot = beginSnapshot([table], { kind: "base" });
    seen.add("after");
    count.set(2);
    const base = await files.store(await encodeInSteps(snapshot, async () => undefined));
    const copy = mixedTable();
    await restoreInto([copy], { format: 1, base, deltas: [] }, allGroups, files.read);
    copy.enter("a");
    expect([mixedOf(copy).count.get(), mixedOf(copy).seen.get()]).toEqual([1, ["before"]]);
  });

  it("costs nothing at the cut, and a bounded piece of work at each step", async () => {
    const count = 3 * stepLimits.entries;
    const table = valuesTable(
      "op",
      Array.from({ length: count }, (_, i) => [`key ${i}`, i]),
    );
    expect(table.dirty).toBe(count);
    let encoded = 0;
    const counted = {
      ...table,
      beginCut: (kind: SnapshotKind, save: (row: number) => void) =>
        table.beginCut(kind, (row) => {
          encoded += 1;
          save(row);
        }),
    };
    const snapshot = beginSnapshot([counted], { kind: "base" });
    expect([encoded, table.dirty]).toEqual([0, 0]);
    setValue(table, "key 7", "changed");
    expect([encoded, table.dirty]).toEqual([1, 1]);
    const before: number[] = [];
    const { slices } = await encodeInSteps(snapshot, async () => {
      before.push(encoded);
    });
    expect(encoded).toBe(count);
    for (const [i, at] of before.entries()) {
      expect(at - (before[i - 1] ?? 1)).toBeLessThanOrEqual(stepLimits.entries);
    }
    expect(slices.reduce((sum, { keys }) => sum + keys, 0)).toBe(count);
  });

  it("ends a step at its bytes, where entries are large", () => {
    const table = valuesTable(
      "op",
      Array.from({ length: 1_000 }, (_, i) => [i, "x".repeat(10_000)]),
    );
    const snapshot = beginSnapshot([table], { kind: "base" });
    let steps = 1;
    while (!snapshot.step()) steps += 1;
    // 10 MB: each step encodes 512 KiB and up to 64 entries more, and they are made into slices by steps of the same size.
    expect(steps).toBeGreaterThanOrEqual(20);
    expect(steps).toBeLessThan(45);
  });

  it("writes of a delta what is dirty alone, few keys or most", async () => {
    const files = new Files();
    const keys = Array.from({ length: 2_000 }, (_, i) => `key ${i}`);
    const table = valuesTable(
      "op",
      keys.map((key) => [key, 0]),
    );
    await files.write([table], { kind: "base" });
    for (const share of [1, 20, 1_999]) {
      for (const key of keys.slice(0, share)) setValue(table, key, share);
      const snapshot = beginSnapshot([table], { kind: "delta" });
      expect(getValue(table, "key 1999")).toBe(0);
      const delta = await encodeInSteps(snapshot, async () => undefined);
      expect(delta.slices.reduce((sum, slice) => sum + slice.keys, 0)).toBe(share);
    }
  });

  it("forgets keys that went, and gives their rows to others, in the midst of a cut", async () => {
    const files = new Files();
    const table = valuesTable("op", [
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    const base = await files.write([table], { kind: "base" });
    for (const key of ["a", "b", "c"]) setValue(table, key, undefined);
    const snapshot = beginSnapshot([table], { kind: "delta" });
    expect(snapshot.step(oneEntry)).toBe(false);
    setValue(table, "d", 1);
    setValue(table, "b", 2);
    const rows = table.rows.end;
    const first = await files.store(await encodeInSteps(snapshot, async () => undefined));
    setValue(table, "e", 1);
    expect(table.rows.end).toBe(rows);
    const second = await files.write([table], { kind: "delta" });
    const at = async (ref: SnapshotRef) => {
      const copy = valuesTable("op", []);
      await restoreInto([copy], ref, allGroups, files.read);
      return [copy.keys, ...["a", "b", "c", "d", "e"].map((key) => getValue(copy, key))];
    };
    expect(await at({ format: 1, base, deltas: [first] })).toEqual([0, ...new Array(5).fill(undefined)]);
    expect(await at({ format: 1, base, deltas: [first, second] })).toEqual([3, undefined, 2, undefined, 1, 1]);
  });

  it("is one at a time, and fails at a step rather than in the midst of a record", async () => {
    const table = valuesTable("op", [
      ["a", () => 1],
      ["b", 1],
    ]);
    const snapshot = beginSnapshot([table], { kind: "base" });
    expect(() => beginSnapshot([table], { kind: "delta" })).toThrow(bug);
    setValue(table, "a", "mended");
    await expect(encodeInSteps(snapshot, async () => undefined)).rejects.toThrow(invalid);
    expect(() => snapshot.step()).toThrow(bug);
    expect(() => beginSnapshot([table], { kind: "delta" })).toThrow(bug);
    expect((await encodeInSteps(beginSnapshot([table], { kind: "base" }), async () => undefined)).slices).toHaveLength(
      1,
    );
  });

  it("may be abandoned, also once it is done: then the next one is a base, and that holds all", async () => {
    const files = new Files();
    for (const steps of [0, 1, 9]) {
      const table = valuesTable("op", [
        ["a", 1],
        ["b", 1],
      ]);
      await files.write([table], { kind: "base" });
      setValue(table, "a", undefined);
      setValue(table, "b", 2);
      const snapshot = beginSnapshot([table], { kind: "delta" });
      for (let i = 0; i < steps && !snapshot.step(oneEntry); i += 1);
      snapshot.abandon();
      const { kind } = snapshot;
      expect(() => beginSnapshot([table], { kind })).toThrow(bug);
      const base = await files.write([table], { kind: "base" });
      const copy = valuesTable("op", []);
      await restoreInto([copy], { format: 1, base, deltas: [] }, allGroups, files.read);
      expect([copy.keys, getValue(copy, "a"), getValue(copy, "b")]).toEqual([1, undefined, 2]);
    }
  });
});
