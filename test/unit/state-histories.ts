import fc from "fast-check";
import { expect } from "vitest";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { type Key, keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import type { StateTable } from "../../lib/state/table.js";
import { anyValue, mixedOf } from "./state-samples.js";

export const idOf = (key: Key): string => Buffer.from(keyBytes(key)).toString("hex");
export const normalKey = (key: Key): Key =>
  typeof key === "object" ? key.map(normalKey) : typeof key === "number" ? key + 0 : key;

/** What the state of a key should be, in the most naive form. */
export interface Model {
  count: unknown;
  last: unknown;
  seen: unknown[];
  by: [id: string, Key, unknown][];
}

/** One thing that a user does to the current key. */
export type Step =
  | { readonly do: "set" | "add"; readonly value: unknown }
  | { readonly do: "put"; readonly at: Key; readonly value: unknown }
  | { readonly do: "delete"; readonly at: Key }
  | { readonly do: "update" | "clear" | "clear value" | "clear list" | "clear map" | "read" };

export const step = (mapKey: fc.Arbitrary<Key>): fc.Arbitrary<Step> =>
  fc.oneof(
    fc.record({ do: fc.constantFrom("set", "add"), value: anyValue }),
    fc.record({ do: fc.constant("put"), at: mapKey, value: anyValue }),
    fc.record({ do: fc.constant("delete"), at: mapKey }),
    fc.record({ do: fc.constantFrom("update", "clear", "clear value", "clear list", "clear map", "read") }),
  );

export function applyToTable(table: StateTable, key: Key, steps: readonly Step[]): void {
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

export function applyToModel(model: Model, steps: readonly Step[]): void {
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
export const newModel = (): Model => ({ count: 0, last: undefined, seen: [], by: [] });
const isEmpty = ({ count, last, seen, by }: Model): boolean =>
  count === 0 && last === undefined && seen.length === 0 && by.length === 0;

export function expectState(
  table: StateTable,
  models: ReadonlyMap<string, readonly [Key, Model]>,
  groups: KeyGroups,
): void {
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
