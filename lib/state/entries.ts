import { invariant, StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { arrayKeyId, checkKey, keptKey, type PlainKey } from "./key-ids.js";
import { noKey, noRow, Rows } from "./rows.js";
import type { SnapshotKind } from "./snapshot-format.js";

/** What a cut does with a row: takes down what it holds, or that its key was removed. Must not throw: it may be called in the midst of a record. */
export type Save = (row: number) => void;

/** A cut whose rows are not all saved yet: those of a list, or all from `at` on before `end`. */
interface Cut {
  readonly save: Save;
  readonly list: readonly number[] | null;
  at: number;
  readonly end: number;
}

/** Stands for "no cut is under way": no stamp is that low. */
const nothingPending = -2;

/** From this part of the rows on, looking at all of them in their order beats following a list through the memory. */
const denseShare = 1 / 8;

/** A row that is passed over costs so much less than one that is saved. */
const passesForOne = 16;

/**
 * The keys of one operator, the current one among them, and which of them changed. One lookup per record, none per access.
 *
 * **A cut takes no time.** It saves nothing by itself. Stamps tell what belongs to it: `#now` is an even number that each cut
 * raises by 2. A row with that stamp changed since the last cut. One with a stamp of at most `#pendingTo`, which is `#now` - 2
 * while a cut is under way (in a delta: of exactly that), belongs to the cut and is not saved yet; `#now` - 1 says that it was
 * saved. What is pending is saved by {@link advance}, or when its key is entered or written to, whichever comes first: so a cut
 * sees each row as it was.
 */
export class Entries {
  readonly rows: Rows;
  /** The row of the current key, or `noRow` where the table does not hold it. */
  current = noRow;
  /** Whether changes are noted for a rollback. */
  recording = false;
  readonly #plain = new Map<PlainKey, number>();
  readonly #arrays = new Map<string, number>();
  /** What takes a change back; of these the first `#noted` are of this record. */
  readonly #undo: (() => void)[] = [];
  #noted = 0;
  /** The current key while it has no row. */
  #absent: Key = noKey;
  #changed: number[] = [];
  #now = 2;
  #pendingFrom = 0;
  #pendingTo = nothingPending;
  #cut: Cut | null = null;
  /** A cut was given up: which keys are in no snapshot is not known until the next base. */
  #lost = false;

  constructor(columns: number) {
    this.rows = new Rows(columns);
  }

  /** Keys that were changed, made or removed since the last cut. */
  get dirty(): number {
    return this.#changed.length;
  }

  /** Neither changed since the last cut, nor in a cut under way. */
  get settled(): boolean {
    return this.#cut === null && this.#changed.length === 0;
  }

  enter(key: Key): void {
    const row = this.#rowOf(key);
    if (row === undefined) {
      checkKey(key);
      this.current = noRow;
      this.#absent = key;
      return;
    }
    this.current = row;
    // Here, and not at its first change: users who change an object in place do so before they tell the accessor.
    if ((this.rows.stamps[row] ?? 0) <= this.#pendingTo) this.#savePending(row);
  }

  /** Sets a cell of the current key; undefined empties it. */
  write(column: number, cell: unknown): void {
    const before = this.rows.cells[column]?.[this.current];
    if (cell === undefined && before === undefined) return;
    if (this.current === noRow) this.#keep();
    const row = this.current;
    if (this.rows.stamps[row] !== this.#now) this.#touch(row);
    if (this.recording) this.#noteWrite(row, column, before);
    this.rows.put(row, column, cell);
  }

  /** To be called before a cell of the current key is changed in place. */
  touch(): void {
    if (this.rows.stamps[this.current] !== this.#now) this.#touch(this.current);
  }

  /** From here on every change is noted, until the next call, or a cut begins or goes on. */
  begin(): void {
    this.#noted = 0;
    this.recording = true;
  }

  /** How to take back a change in place that is about to be made. Only while `recording`. */
  onRollback(undo: () => void): void {
    this.#undo[this.#noted] = undo;
    this.#noted += 1;
  }

  /** Takes back every change since {@link begin}, the newest first. What was changed stays dirty; that does no harm. */
  rollback(): void {
    invariant(this.recording, "a rollback without a begin before it, or across a cut");
    while (this.#noted > 0) {
      this.#noted -= 1;
      this.#undo[this.#noted]?.();
    }
  }

  /**
   * Begins a cut: `save` gets every key that holds something (`base`), or every one that changed since the last cut, removed ones
   * among them (`delta`), each once and as it is now, whatever happens to it. Takes no time; {@link advance} does the work.
   */
  beginCut(kind: SnapshotKind, save: Save): void {
    invariant(this.#cut === null, "a cut is begun while another one is under way");
    invariant(kind === "base" || !this.#lost, "a delta after a cut that was given up");
    const isDense = kind === "base" || this.#changed.length > this.rows.end * denseShare;
    this.#cut = isDense
      ? { save, list: null, at: noRow + 1, end: this.rows.end }
      : { save, list: this.#changed, at: 0, end: this.#changed.length };
    this.#changed = [];
    this.#lost = false;
    this.#pendingTo = this.#now;
    this.#pendingFrom = kind === "base" ? 0 : this.#now;
    this.#now += 2;
    this.#forget();
  }

  /** Saves up to `count` of the cut's rows. True once that was the end of the cut. */
  advance(count: number): boolean {
    const cut = this.#cut;
    invariant(cut !== null, "no cut is under way");
    this.#forget();
    for (let left = count * passesForOne; left > 0; cut.at += 1) {
      if (cut.at === cut.end) {
        this.#endCut();
        return true;
      }
      const row = cut.list === null ? cut.at : (cut.list[cut.at] ?? noRow);
      left -= this.#settle(row) ? passesForOne : 1;
    }
    return false;
  }

  /** Gives a cut up, under way or done. The next one must be a base, since what this one saved is in no snapshot. */
  abandonCut(): void {
    this.#lost = true;
    this.#endCut();
  }

  /** Puts a key that a snapshot holds, in place of what the table has for it. null: the snapshot says that it was removed. */
  restore(key: Key, keyGroup: number, cells: readonly unknown[] | null): void {
    const found = this.#rowOf(key);
    if (cells === null) {
      if (found !== undefined) this.#drop(found);
    } else {
      const row = found ?? this.#add(key);
      for (let i = 0; i < this.rows.cells.length; i += 1) this.rows.put(row, i, cells[i]);
      this.rows.setSaved(row, keyGroup);
      if (this.rows.isEmpty(row)) this.#remove(row);
    }
    this.current = noRow;
    this.#absent = noKey;
  }

  /** By itself, so that a table that notes nothing allocates nothing for it. */
  #noteWrite(row: number, column: number, before: unknown): void {
    this.onRollback(() => this.rows.put(row, column, before));
  }

  #rowOf(key: Key): number | undefined {
    return typeof key === "object" ? this.#arrays.get(arrayKeyId(key)) : this.#plain.get(key);
  }

  /** Gives the current key a row. */
  #keep(): void {
    if (this.#absent === noKey) {
      throw new StreamError("invalid", "state was changed outside of onRecord: it belongs to the key of a record");
    }
    this.current = this.#add(this.#absent);
  }

  #add(key: Key): number {
    const kept = keptKey(key);
    const row = this.rows.add(kept);
    if (typeof kept === "object") this.#arrays.set(arrayKeyId(kept), row);
    else this.#plain.set(kept, row);
    return row;
  }

  /** The first change of a row since the last cut. */
  #touch(row: number): void {
    if ((this.rows.stamps[row] ?? 0) <= this.#pendingTo) this.#savePending(row);
    this.rows.stamps[row] = this.#now;
    this.#changed.push(row);
  }

  #drop(row: number): void {
    for (let i = 0; i < this.rows.cells.length; i += 1) this.rows.put(row, i, undefined);
    this.#remove(row);
  }

  #remove(row: number): void {
    const key = this.rows.keys[row] ?? noKey;
    if (typeof key === "object") this.#arrays.delete(arrayKeyId(key));
    else this.#plain.delete(key as PlainKey);
    this.rows.remove(row);
    // It may still be the current one: it must not be written to without coming back into the table.
    if (this.current !== row) return;
    this.current = noRow;
    this.#absent = key;
  }

  /** A row with a stamp of at most `#pendingTo`. Whether it belonged to the cut. */
  #savePending(row: number): boolean {
    const { rows } = this;
    if ((rows.stamps[row] ?? 0) < this.#pendingFrom) return false;
    const isEmpty = rows.isEmpty(row);
    const isDelta = this.#pendingFrom > 0;
    if (!isEmpty || (isDelta && rows.saved[row] === 1)) this.#cut?.save(row);
    rows.saved[row] = isEmpty ? 0 : 1;
    rows.stamps[row] = this.#pendingTo + 1;
    return true;
  }

  /** Saves a row unless that is done; forgets a key that went before the cut and did not come back. */
  #settle(row: number): boolean {
    const stamp = this.rows.stamps[row] ?? 0;
    if (stamp < this.#pendingFrom) return false;
    const wasPending = stamp <= this.#pendingTo && this.#savePending(row);
    if (stamp !== this.#now && this.rows.isEmpty(row)) this.#remove(row);
    return wasPending;
  }

  #endCut(): void {
    this.#cut = null;
    this.#pendingTo = nothingPending;
    this.#forget();
  }

  /** A record is over: nothing of it can be taken back. */
  #forget(): void {
    this.recording = false;
    this.#noted = 0;
    if (this.#undo.length > 0) this.#undo.length = 0;
  }
}
