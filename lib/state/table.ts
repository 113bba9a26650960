import { invariant, unreachable } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import type { StateDeclaration } from "../pipeline/plan.js";
import { listAccessor, mapAccessor, valueAccessor } from "./accessors.js";
import { Entries, type Entry } from "./entries.js";
import { type MapCell, mapSet, newMapCell } from "./map-cell.js";

/** One declared state of the operator: a column of its table. */
export interface Column {
  readonly name: string;
  readonly kind: StateDeclaration["kind"];
}

/**
 * The keyed state of one operator, in memory, and what of it changed since the last snapshot.
 *
 * @example
 * const table = createStateTable("punctuality", 1, { flights: { kind: "value", initial: 0 } });
 * table.enter("JFK");
 * const flights = table.accessors.flights as ValueState<number>;
 * flights.update((n) => n + 1); // of JFK
 */
export interface StateTable {
  readonly operator: string;
  readonly stateVersion: number;
  /** Sorted by name, so that the order of declaration does not matter to a snapshot. */
  readonly columns: readonly Column[];
  /** By state name. They work on the current key, allocate nothing, and may be taken apart. */
  readonly accessors: Readonly<Record<string, unknown>>;
  /** How many keys hold something. A key whose states are all cleared is gone. */
  readonly keys: number;
  /** How many keys were changed, made or removed since the last snapshot. */
  readonly dirty: number;
  /**
   * Makes this key the current one for the accessors. Reading an unseen key leaves nothing behind.
   *
   * @throws StreamError `invalid` where the value is no key
   */
  enter(key: Key): void;
  /** What a snapshot is made of: every key, or those that changed; removed ones have `filled` 0. To be read at once. */
  entries(kind: "base" | "delta"): Iterable<Readonly<Entry>>;
  /** Nothing is dirty any more, for a snapshot holds it. */
  settle(): void;
  /** Puts what a snapshot holds for a key: values by column as {@link savedValue} makes them, or null if it was removed. */
  restore(key: Key, keyGroup: number, values: readonly unknown[] | null): void;
}

/** An empty table for an operator as the plan declares it. `reduce` has one state, `{ value: { kind: "value" } }`. */
export function createStateTable(
  operator: string,
  stateVersion: number,
  declarations: Readonly<Record<string, StateDeclaration>>,
): StateTable {
  const declared = Object.entries(declarations).sort(([a], [b]) => (a < b ? -1 : 1));
  const columns = declared.map(([name, { kind }]) => Object.freeze({ name, kind }));
  const entries = new Entries(columns.length);
  const accessors = declared.map(([name, state], column) => [name, accessor(entries, column, name, state)] as const);
  return {
    operator,
    stateVersion,
    columns,
    // Without a prototype, so that no name means anything before it is declared.
    accessors: Object.freeze(Object.setPrototypeOf(Object.fromEntries(accessors), null)),
    get keys() {
      return entries.keys;
    },
    get dirty() {
      return entries.changed.length;
    },
    enter: (key) => entries.enter(key),
    entries: (kind) => (kind === "base" ? entries.all() : changedEntries(entries)),
    settle: () => entries.settle(),
    restore(key, keyGroup, values) {
      invariant(entries.changed.length === 0, `operator ${operator}: a restore into a table that was changed`);
      entries.restore(key, keyGroup, values && columns.map(({ kind }, column) => restoredCell(kind, values[column])));
    },
  };
}

function accessor(entries: Entries, column: number, name: string, state: StateDeclaration): unknown {
  switch (state.kind) {
    case "value":
      return valueAccessor(entries, column, name, frozen(state.initial));
    case "list":
      return listAccessor(entries, column);
    case "map":
      return mapAccessor(entries, column);
    default:
      return unreachable(state.kind);
  }
}

/** A key that came and went between two snapshots was in neither: nothing to say of it. */
function* changedEntries(entries: Entries): Generator<Entry, void, void> {
  for (const entry of entries.changed) if (entry.filled > 0 || entry.saved) yield entry;
}

function restoredCell(kind: StateDeclaration["kind"], saved: unknown): unknown {
  if (kind !== "map" || saved === undefined) return saved;
  const cell: MapCell = newMapCell();
  for (const [key, value] of saved as readonly (readonly [Key, unknown])[]) mapSet(cell, key, value);
  return cell;
}

/** All keys share the initial value: a change in place must fail, not leak from one key to all others. */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  const copy = structuredClone(value);
  freezeDeep(copy);
  return copy;
}

function freezeDeep(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const member of Object.values(value)) freezeDeep(member);
  Object.freeze(value);
}
