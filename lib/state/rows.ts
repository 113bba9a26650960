import { type Key, keyGroupOfKey } from "../model/keys.js";

/** The row of no key: its cells are always empty. */
export const noRow = 0;

export const noKey = Symbol("no key entered") as unknown as Key;

/** The stamp of a row that no key has. */
export const unusedStamp = -1;

const unknownGroup = 0xff;
const startRows = 64;

/**
 * The keys of one operator with their cells, in columns: a key is a row, that is, a number. A cell is undefined where there is
 * nothing, a list is a non-empty array, a map a non-empty MapCell. A key whose cells are all empty is no key.
 *
 * Columns rather than an object for each key, since with half a million keys what a record costs is how many places of memory it
 * visits, and how many objects the collector of garbage walks over: so it is little more than that of a Map of plain numbers.
 */
export class Rows {
  /** By column, then by row. */
  readonly cells: readonly unknown[][];
  readonly keys: Key[] = [noKey];
  /** When a row last changed or was saved: see Entries. */
  stamps = new Int32Array(startRows).fill(unusedStamp);
  /** 1: the last snapshot, with those that it builds on, holds the key. */
  saved = new Uint8Array(startRows);
  #groups = new Uint8Array(startRows).fill(unknownGroup);
  #filled = new Uint16Array(startRows);
  readonly #free: number[] = [];
  #holding = 0;

  constructor(columns: number) {
    this.cells = Array.from({ length: columns }, () => [undefined]);
  }

  /** Rows that hold something. */
  get holding(): number {
    return this.#holding;
  }

  /** One more than the last row. */
  get end(): number {
    return this.keys.length;
  }

  isEmpty(row: number): boolean {
    return this.#filled[row] === 0;
  }

  /** K1, computed when it is first asked for. */
  keyGroup(row: number): number {
    const known = this.#groups[row];
    if (known !== undefined && known !== unknownGroup) return known;
    const group = keyGroupOfKey(this.keys[row] ?? noKey);
    this.#groups[row] = group;
    return group;
  }

  /** An empty row for the key. */
  add(key: Key): number {
    const row = this.#free.pop() ?? this.#append();
    this.keys[row] = key;
    this.stamps[row] = 0;
    this.saved[row] = 0;
    this.#groups[row] = unknownGroup;
    return row;
  }

  /** Puts down what a snapshot says, so that nobody need compute it. */
  setSaved(row: number, keyGroup: number): void {
    this.#groups[row] = keyGroup;
    this.saved[row] = 1;
  }

  /** The row, which is empty, is no key's any more. */
  remove(row: number): void {
    this.keys[row] = noKey;
    this.stamps[row] = unusedStamp;
    this.#free.push(row);
  }

  put(row: number, column: number, cell: unknown): void {
    const cells = this.cells[column];
    if (cells === undefined) return;
    const wasEmpty = cells[row] === undefined;
    cells[row] = cell;
    if (wasEmpty === (cell === undefined)) return;
    const filled = this.#filled[row] ?? 0;
    this.#filled[row] = wasEmpty ? filled + 1 : filled - 1;
    if (wasEmpty && filled === 0) this.#holding += 1;
    else if (!wasEmpty && filled === 1) this.#holding -= 1;
  }

  #append(): number {
    const row = this.keys.length;
    if (row === this.stamps.length) this.#grow(2 * row);
    this.keys.push(noKey);
    for (const cells of this.cells) cells.push(undefined);
    return row;
  }

  #grow(rows: number): void {
    const stamps = new Int32Array(rows).fill(unusedStamp, this.stamps.length);
    stamps.set(this.stamps);
    this.stamps = stamps;
    this.saved = copied(this.saved, new Uint8Array(rows));
    this.#groups = copied(this.#groups, new Uint8Array(rows));
    this.#filled = copied(this.#filled, new Uint16Array(rows));
  }
}

function copied<T extends Uint8Array | Uint16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
