import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { type Key, keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import type { SnapshotRef } from "../../lib/model/snapshots.js";
import { continued, nextSnapshotKind, noState } from "../../lib/state/compaction.js";
import type { SnapshotKind } from "../../lib/state/snapshot-format.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import type { StateTable } from "../../lib/state/table.js";
import { allGroups, anyKey, anyValue, Files, mixedOf, mixedTable } from "./state-samples.js";

const idOf = (key: Key): string => Buffer.from(keyBytes(key)).toString("hex");
const normalKey = (key: Key): Key =>
  typeof key === "object" ? key.map(normalKey) : typeof key === "number" ? key + 0 : key;

/** What the state of a key should be, in the most naive form. */
interface Model {
  count: unknown;
  last: unknown;
  seen: unknown[];
  by: [id: string, Key, unknown][];
}

/** One thing that a user does to the current key. */
type Step =
  | { readonly do: "set" | "add"; readonly value: unknown }
  | { readonly do: "put"; readonly at: Key; readonly value: unknown }
  | { readonly do: "delete"; readonly at: Key }
  | { readonly do: "update" | "clear" | "clear value" | "clear list" | "clear map" | "read" };

const step = (mapKey: fc.Arbitrary<Key>): fc.Arbitrary<Step> =>
  fc.oneof(
    fc.record({ do: fc.constantFrom("set", "add"), value: anyValue }),
    fc.record({ do: fc.constant("put"), at: mapKey, value: anyValue }),
    fc.record({ do: fc.constant("delete"), at: mapKey }),
    fc.record({ do: fc.constantFrom("update", "clear", "clear value", "clear list", "clear map", "read") }),
  );

type Event =
  | { readonly kind: "record"; readonly key: Key; readonly steps: readonly Step[] }
  | { readonly kind: "snapshot"; readonly as: SnapshotKind };

/** Few keys, so that they meet again. */
const history: fc.Arbitrary<readonly Event[]> = fc
  .tuple(fc.array(anyKey, { minLength: 1, maxLength: 6 }), fc.array(anyKey, { minLength: 1, maxLength: 3 }))
  .chain(([keys, mapKeys]) =>
    fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            kind: fc.constant("record"),
            key: fc.constantFrom(...keys),
            steps: fc.array(step(fc.constantFrom(...mapKeys)), { maxLength: 4 }),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            kind: fc.constant("snapshot"),
            as: fc.constantFrom("delta", "delta", "delta", "base"),
          }),
        },
      ),
      { maxLength: 40 },
    ),
  ) as fc.Arbitrary<readonly Event[]>;

function applyToTable(table: StateTable, key: Key, steps: readonly Step[]): void {
  const { count, last, seen, by } = mixedOf(table);
  table.enter(key);
  for (const each of steps) {
    switch (each.do) {
      case "set":
        last.set(each.value);
        break;
      case "add":
        seen.add(each.value);
        break;
      case "put":
        by.set(each.at, each.value);
        break;
      case "delete":
        by.delete(each.at);
        break;
      case "update":
        count.update((n) => (n as number) + 1);
        break;
      case "clear":
        for (const state of [count, last, seen, by]) state.clear();
        break;
      case "clear value":
        last.clear();
        break;
      case "clear list":
        seen.clear();
        break;
      case "clear map":
        by.clear();
        break;
      case "read":
        expect([count.get(), last.get(), seen.get(), [...by.entries()]]).toHaveLength(4);
    }
  }
}

function applyToModel(model: Model, steps: readonly Step[]): void {
  for (const each of steps) {
    if (each.do === "set") model.last = each.value;
    if (each.do === "add") model.seen = [...model.seen, each.value];
    if (each.do === "put") {
      const place = model.by.findIndex(([id]) => id === idOf(each.at));
      if (place < 0) model.by.push([idOf(each.at), normalKey(each.at), each.value]);
      else model.by[place] = [idOf(each.at), normalKey(each.at), each.value];
    }
    if (each.do === "delete") model.by = model.by.filter(([id]) => id !== idOf(each.at));
    if (each.do === "update") model.count = (model.count as number) + 1;
    if (each.do === "clear") Object.assign(model, newModel());
    if (each.do === "clear value") model.last = undefined;
    if (each.do === "clear list") model.seen = [];
    if (each.do === "clear map") model.by = [];
  }
}

// A count never returns to 0 but by clear(), so that 0 is "absent".
const newModel = (): Model => ({ count: 0, last: undefined, seen: [], by: [] });
const isEmpty = ({ count, last, seen, by }: Model): boolean =>
  count === 0 && last === undefined && seen.length === 0 && by.length === 0;

function expectState(table: StateTable, models: ReadonlyMap<string, readonly [Key, Model]>, groups: KeyGroups): void {
  const { count, last, seen, by } = mixedOf(table);
  const inside = [...models.values()].filter(([key]) => {
    const group = keyGroupOf(keyBytes(key));
    return group >= groups[0] && group <= groups[1];
  });
  expect(table.keys).toBe(inside.filter(([, model]) => !isEmpty(model)).length);
  for (const [key, model] of inside) {
    table.enter(key);
    const found = { count: count.get(), last: last.get(), seen: seen.get(), by: [...by.entries()] };
    expect(found).toStrictEqual({ ...model, by: model.by.map(([, at, value]) => [at, value]) });
  }
}

describe("state and its snapshots against a naive model", () => {
  it("restore to what was there at the last snapshot, whole and in two halves, and go on from there", async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 0, max: 126 }), async (events, border) => {
        const files = new Files();
        const models = new Map<string, readonly [Key, Model]>();
        let table = mixedTable();
        let ref: SnapshotRef = noState;
        for (const event of [...events, { kind: "snapshot", as: "delta" } as const]) {
          if (event.kind === "record") {
            const [, model] = models.get(idOf(event.key)) ?? [event.key, newModel()];
            models.set(idOf(event.key), [normalKey(event.key), model]);
            applyToTable(table, event.key, event.steps);
            applyToModel(model, event.steps);
            continue;
          }
          expectState(table, models, allGroups);
          if (nextSnapshotKind(ref, [table]) !== "none") {
            const kind = ref.base === null ? "base" : event.as;
            ref = continued(ref, kind, await files.write([table], { kind, sliceBytesTarget: 128 }));
          }
          for (const groups of [allGroups, [0, border], [border + 1, 127]] as const) {
            const copy = mixedTable();
            await restoreInto([copy], ref, groups, files.read);
            expect(copy.dirty).toBe(0);
            expectState(copy, models, groups);
            if (groups === allGroups) table = copy;
          }
        }
      }),
      { numRuns: 300 },
    );
  }, 120_000);
});
