import { invariant, StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import type { ListState, MapState, ValueState } from "../pipeline/state-spec.js";
import type { Entries } from "./entries.js";
import { checkKey } from "./key-ids.js";
import {
  type MapCell,
  mapDelete,
  mapEntries,
  mapGet,
  mapHas,
  mapSet,
  newMapCell,
  undoDelete,
  undoSet,
} from "./map-cell.js";

// Closures rather than methods, so that `const { get, set } = state.flights` works.

/** `initial` is frozen, since every key without a value is given the same one. */
export function valueAccessor(entries: Entries, column: number, name: string, initial: unknown): ValueState<unknown> {
  const cells = cellsOf(entries, column);
  const get = () => {
    const cell = cells[entries.current];
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
    if (typeof value !== "object" && Object.is(value, cells[entries.current])) return;
    entries.write(column, value);
  };
  const clear = () => entries.write(column, undefined);
  return Object.freeze({ get, set, update: (change: (old: unknown) => unknown) => set(change(get())), clear });
}

const emptyList: readonly unknown[] = Object.freeze([]);

export function listAccessor(entries: Entries, column: number): ListState<unknown> {
  const cells = cellsOf(entries, column) as readonly (unknown[] | undefined)[];
  const here = () => cells[entries.current];
  return Object.freeze({
    add(value: unknown) {
      const list = here();
      if (list === undefined) {
        entries.write(column, [value]);
        return;
      }
      if (Object.isFrozen(list)) {
        entries.write(column, [...list, value]);
        return;
      }
      entries.touch();
      if (entries.recording) entries.onRollback(undoAdd(entries, column, list));
      list.push(value);
    },
    // Who was given it may keep it, in a row that is not encoded yet: from now on it stays as it is, and the next `add` copies it.
    get: () => {
      const list = here();
      return list === undefined ? emptyList : Object.freeze(list);
    },
    clear: () => entries.write(column, undefined),
  });
}

/** Back to the length of now. A list that somebody was given meanwhile stays with them as it is. */
function undoAdd(entries: Entries, column: number, list: unknown[]): () => void {
  const { length } = list;
  const row = entries.current;
  return () => {
    if (Object.isFrozen(list)) entries.rows.put(row, column, list.slice(0, length));
    else list.length = length;
  };
}

const noEntries: Iterable<readonly [Key, unknown]> = Object.freeze([]);

export function mapAccessor(entries: Entries, column: number): MapState<Key, unknown> {
  const cells = cellsOf(entries, column) as readonly (MapCell | undefined)[];
  const here = () => cells[entries.current];
  return Object.freeze({
    get(key: Key) {
      const cell = here();
      return cell === undefined ? undefined : mapGet(cell, key);
    },
    set(key: Key, value: unknown) {
      checkKey(key);
      const cell = here();
      if (cell === undefined) {
        const made = newMapCell();
        mapSet(made, key, value);
        entries.write(column, made);
        return;
      }
      entries.touch();
      if (entries.recording) entries.onRollback(undoSet(cell, key));
      mapSet(cell, key, value);
    },
    delete(key: Key) {
      const cell = here();
      if (cell === undefined || !mapHas(cell, key)) return;
      if (cell.values.size === 1) {
        entries.write(column, undefined);
        return;
      }
      entries.touch();
      if (entries.recording) entries.onRollback(undoDelete(cell, key));
      mapDelete(cell, key);
    },
    entries() {
      const cell = here();
      return cell === undefined ? noEntries : mapEntries(cell);
    },
    clear: () => entries.write(column, undefined),
  });
}

function cellsOf(entries: Entries, column: number): readonly unknown[] {
  const cells = entries.rows.cells[column];
  invariant(cells !== undefined, `no column ${column}`);
  return cells;
}
