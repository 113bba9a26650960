import { StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import type { ListState, MapState, ValueState } from "../pipeline/state-spec.js";
import type { Entries } from "./entries.js";
import { type MapCell, mapDelete, mapEntries, mapGet, mapSet, newMapCell } from "./map-cell.js";

// Closures rather than methods, so that `const { get, set } = state.flights` works.

/** `initial` is frozen, since every key without a value is given the same one. */
export function valueAccessor(entries: Entries, column: number, name: string, initial: unknown): ValueState<unknown> {
  const get = () => {
    const cell = entries.current.cells[column];
    return cell === undefined ? initial : cell;
  };
  const set = (value: unknown) => {
    if (value === undefined && initial !== undefined) {
      throw new StreamError(
        "invalid",
        `state "${name}" has an initial value, so it cannot be set to undefined; clear() it`,
      );
    }
    // What is the same value needs no place in the next delta. Objects may have been changed in place: they do.
    if (typeof value !== "object" && Object.is(value, entries.current.cells[column])) return;
    entries.write(column, value);
  };
  const clear = () => entries.write(column, undefined);
  return Object.freeze({ get, set, update: (change: (old: unknown) => unknown) => set(change(get())), clear });
}

const emptyList: readonly unknown[] = Object.freeze([]);

export function listAccessor(entries: Entries, column: number): ListState<unknown> {
  return Object.freeze({
    add(value: unknown) {
      const list = entries.current.cells[column] as unknown[] | undefined;
      if (list === undefined) {
        entries.write(column, [value]);
      } else {
        list.push(value);
        entries.touch();
      }
    },
    get: () => (entries.current.cells[column] as unknown[] | undefined) ?? emptyList,
    clear: () => entries.write(column, undefined),
  });
}

const noEntries: Iterable<readonly [Key, unknown]> = Object.freeze([]);

export function mapAccessor(entries: Entries, column: number): MapState<Key, unknown> {
  const here = () => entries.current.cells[column] as MapCell | undefined;
  return Object.freeze({
    get(key: Key) {
      const cell = here();
      return cell === undefined ? undefined : mapGet(cell, key);
    },
    set(key: Key, value: unknown) {
      const cell = here() ?? newMapCell();
      mapSet(cell, key, value);
      if (here() === undefined) entries.write(column, cell);
      else entries.touch();
    },
    delete(key: Key) {
      const cell = here();
      if (cell === undefined || !mapDelete(cell, key)) return;
      if (cell.values.size === 0) entries.write(column, undefined);
      else entries.touch();
    },
    entries() {
      const cell = here();
      return cell === undefined ? noEntries : mapEntries(cell);
    },
    clear: () => entries.write(column, undefined),
  });
}
