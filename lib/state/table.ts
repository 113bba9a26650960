import { invariant, StreamError, unreachable } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import type { KeyType } from "../model/snapshots.js";
import { type Migrations, noMigrations } from "../pipeline/migrations.js";
import type { StateDeclaration } from "../pipeline/plan.js";
import { listAccessor, mapAccessor, valueAccessor } from "./accessors.js";
import { Entries, type Save } from "./entries.js";
import { type MapCell, mapSet, newMapCell } from "./map-cell.js";
import type { Rows } from "./rows.js";
import type { SnapshotKind } from "./snapshot-format.js";

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
  /** From older versions (P2). */
  readonly migrations: Migrations;
  /** Sorted by name, so that the order of declaration does not matter to a snapshot. */
  readonly columns: readonly Column[];
  /** What it holds, for the writer of snapshots. */
  readonly rows: Rows;
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
  /**
   * From here on changes of any key can be taken back by {@link rollback}, until the next call or the next step of a snapshot.
   * Tables of which it is never called pay nothing for it.
   */
  begin(): void;
  /**
   * Brings back what was there at {@link begin}: values, lists, maps with their order, keys that came and that went. What was
   * changed in place behind the accessors' back (the insides of an object that `get` returned) is not known to them.
   */
  rollback(): void;
  /** For the writer of snapshots: begins a cut, whose keys `save` is given one by one; see Entries. */
  beginCut(kind: SnapshotKind, save: Save): void;
  /** Saves up to `count` keys of the cut. True once that was the end of it. */
  advanceCut(count: number): boolean;
  /** Gives the cut up. The next one must be a base. */
  abandonCut(): void;
  /**
   * What was restored has keys of these types: the first key that is entered must be of one of them, or other code gives keys by
   * which none of it would ever be found.
   *
   * @param refuse makes of the failure what is thrown
   */
  expectKeys(types: readonly KeyType[], refuse: (error: StreamError) => Error): void;
  /** Puts what a snapshot holds for a key: values by column as {@link savedValue} makes them, or null if it was removed. */
  restore(key: Key, keyGroup: number, values: readonly unknown[] | null): void;
}

/** An empty table for an operator as the plan declares it. `reduce` has one state, `{ value: { kind: "value" } }`. */
export function createStateTable(
  operator: string,
  stateVersion: number,
  declarations: Readonly<Record<string, StateDeclaration>>,
  migrations: Migrations = noMigrations,
): StateTable {
  const declared = Object.entries(declarations).sort(([a], [b]) => (a < b ? -1 : 1));
  const columns = declared.map(([name, { kind }]) => Object.freeze({ name, kind }));
  const entries = new Entries(columns.length);
  const hasMaps = columns.some(({ kind }) => kind === "map");
  const accessors = declared.map(([name, state], column) => [name, accessor(entries, column, name, state)] as const);
  let prove: ((key: Key) => void) | null = null;
  return {
    operator,
    stateVersion,
    migrations,
    columns,
    rows: entries.rows,
    // Without a prototype, so that no name means anything before it is declared.
    accessors: Object.freeze(Object.setPrototypeOf(Object.fromEntries(accessors), null)),
    get keys() {
      return entries.rows.holding;
    },
    get dirty() {
      return entries.dirty;
    },
    enter(key) {
      if (prove !== null) prove(key);
      entries.enter(key);
    },
    begin: () => entries.begin(),
    rollback: () => entries.rollback(),
    beginCut: (kind, save) => entries.beginCut(kind, save),
    advanceCut: (count) => entries.advance(count),
    abandonCut: () => entries.abandonCut(),
    expectKeys(types, refuse) {
      prove = (key) => {
        const type = keyTypeOf(key);
        if (!types.includes(type)) throw refuse(otherKeys(operator, types, type));
        prove = null;
      };
    },
    restore(key, keyGroup, values) {
      invariant(entries.settled, `operator ${operator}: a restore into a table that was changed`);
      const cells =
        values === null || !hasMaps ? values : columns.map(({ kind }, column) => restoredCell(kind, values[column]));
      entries.restore(key, keyGroup, cells);
    },
  };
}

export function keyTypeOf(key: Key): KeyType {
  const type = typeof key;
  return type === "object" ? "array" : (type as KeyType);
}

function otherKeys(operator: string, types: readonly KeyType[], type: KeyType): StreamError {
  const remedy = `bring such keys back, give the operator another name, or leave its state out with --allow-dropped ${operator}`;
  return new StreamError(
    "invalid",
    `the state that was restored is by keys of type ${types.join(" or ")}, and keyBy now gives one of type ${type}, so that none of it would be found; ${remedy}`,
  );
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
