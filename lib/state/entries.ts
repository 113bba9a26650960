import { StreamError } from "../model/errors.js";
import { type Key, keyBytes, keyGroupOf } from "../model/keys.js";
import { arrayKeyId, checkKey, keptKey, type PlainKey } from "./key-ids.js";

/**
 * What is kept for one key. `cells` has one place per declared state, undefined where there is nothing: a list as a non-empty
 * array, a map as a non-empty MapCell. A key whose cells are all empty is no key; if a snapshot holds it (`saved`) it stays in
 * the table until its tombstone is in the next one.
 */
export interface Entry {
  key: Key;
  keyGroup: number;
  readonly cells: unknown[];
  filled: number;
  /** Stands in the table. An entry for a key that was only read does not. */
  kept: boolean;
  /** Changed since the last snapshot. */
  dirty: boolean;
  /** The last snapshot, with those that it builds on, holds the key. */
  saved: boolean;
}

const noKey = Symbol("no key entered") as unknown as Key;

/** The keys of one operator, the current one among them, and which of them changed. One lookup per record, none per access. */
export class Entries {
  current: Entry;
  readonly #columns: number;
  readonly #plain = new Map<PlainKey, Entry>();
  readonly #arrays = new Map<string, Entry>();
  #changed: Entry[] = [];
  #keys = 0;
  /** Stands for any key that the table does not hold, until it is written to. */
  #vacant: Entry;
  /** The current one while there is none: empty to read, and an error to write. */
  readonly #nobody: Entry;

  constructor(columns: number) {
    this.#columns = columns;
    this.#vacant = newEntry(columns);
    this.#nobody = newEntry(columns);
    this.current = this.#nobody;
  }

  /** Keys that hold something. */
  get keys(): number {
    return this.#keys;
  }

  get changed(): readonly Entry[] {
    return this.#changed;
  }

  enter(key: Key): void {
    const found = typeof key === "object" ? this.#arrays.get(arrayKeyId(key)) : this.#plain.get(key);
    this.current = found ?? this.#enterVacant(key);
  }

  /** Sets a cell of the current key; undefined empties it. */
  write(column: number, cell: unknown): void {
    const entry = this.current;
    const wasEmpty = entry.cells[column] === undefined;
    if (cell === undefined) {
      if (wasEmpty) return;
      entry.filled -= 1;
      if (entry.filled === 0) this.#keys -= 1;
    } else if (wasEmpty) {
      if (!entry.kept) this.#keep(entry);
      if (entry.filled === 0) this.#keys += 1;
      entry.filled += 1;
    }
    entry.cells[column] = cell;
    if (!entry.dirty) this.#touch(entry);
  }

  /** To be called after a cell of the current key was changed in place. */
  touch(): void {
    if (!this.current.dirty) this.#touch(this.current);
  }

  /** Every key that holds something. */
  *all(): Generator<Entry, void, void> {
    for (const entry of this.#plain.values()) if (entry.filled > 0) yield entry;
    for (const entry of this.#arrays.values()) if (entry.filled > 0) yield entry;
  }

  /** A snapshot holds every change: nothing is dirty now, and what was removed is forgotten. */
  settle(): void {
    for (const entry of this.#changed) {
      entry.dirty = false;
      entry.saved = entry.filled > 0;
      if (!entry.saved) this.#remove(entry);
    }
    this.#changed = [];
  }

  /** Puts a key that a snapshot holds, in place of what the table has for it. null: the snapshot says that it was removed. */
  restore(key: Key, keyGroup: number, cells: readonly unknown[] | null): void {
    this.enter(key);
    if (this.current.filled > 0) this.#keys -= 1;
    if (this.current.kept) this.#remove(this.current);
    if (cells !== null) this.#fill(this.current, keyGroup, cells);
    this.current = this.#nobody;
  }

  #fill(entry: Entry, keyGroup: number, cells: readonly unknown[]): void {
    for (let i = 0; i < this.#columns; i += 1) {
      entry.cells[i] = cells[i];
      if (cells[i] !== undefined) entry.filled += 1;
    }
    if (entry.filled === 0) return;
    entry.keyGroup = keyGroup;
    entry.saved = true;
    this.#keep(entry);
    this.#keys += 1;
  }

  #enterVacant(key: Key): Entry {
    checkKey(key);
    if (this.#vacant.kept) this.#vacant = newEntry(this.#columns);
    this.#vacant.key = key;
    this.#vacant.keyGroup = -1;
    return this.#vacant;
  }

  #keep(entry: Entry): void {
    if (entry.key === noKey) {
      throw new StreamError("invalid", "state was changed outside of onRecord: it belongs to the key of a record");
    }
    entry.key = keptKey(entry.key);
    if (entry.keyGroup < 0) entry.keyGroup = keyGroupOf(keyBytes(entry.key));
    if (typeof entry.key === "object") this.#arrays.set(arrayKeyId(entry.key), entry);
    else this.#plain.set(entry.key, entry);
    entry.kept = true;
  }

  #remove(entry: Entry): void {
    if (typeof entry.key === "object") this.#arrays.delete(arrayKeyId(entry.key));
    else this.#plain.delete(entry.key);
    // It may still be the current one: it must not be written to without coming back into the table.
    if (this.current === entry) this.current = this.#enterVacant(entry.key);
  }

  #touch(entry: Entry): void {
    entry.dirty = true;
    this.#changed.push(entry);
  }
}

function newEntry(columns: number): Entry {
  return {
    key: noKey,
    keyGroup: -1,
    cells: new Array<unknown>(columns).fill(undefined),
    filled: 0,
    kept: false,
    dirty: false,
    saved: false,
  };
}
