import type { Key } from "../model/keys.js";
import { arrayKeyId, checkKey, keptKey, type PlainKey } from "./key-ids.js";

/**
 * The map of one key of the operator, in the order of insertion (which a snapshot keeps, so that a restored run sees the order
 * that the first one saw). An array key stands under an id, since a Map compares arrays by identity.
 */
export interface MapCell {
  readonly values: Map<PlainKey, unknown>;
  readonly arrayKeys: Map<string, readonly Key[]>;
}

export const newMapCell = (): MapCell => ({ values: new Map(), arrayKeys: new Map() });

/** No key that is a string begins like this and goes on with "[": the surrogate would be a lone one. */
const arrayMark = "\ud800";

const idOf = (key: Key): PlainKey => (typeof key === "object" ? arrayMark + arrayKeyId(key) : key);

/** A string that stands for an array must not find it. */
const isDisguised = (cell: MapCell, key: Key): boolean =>
  cell.arrayKeys.size > 0 && typeof key === "string" && cell.arrayKeys.has(key);

export function mapGet(cell: MapCell, key: Key): unknown {
  return isDisguised(cell, key) ? undefined : cell.values.get(idOf(key));
}

export function mapHas(cell: MapCell, key: Key): boolean {
  return !isDisguised(cell, key) && cell.values.has(idOf(key));
}

/** @throws StreamError `invalid` where the key is none */
export function mapSet(cell: MapCell, key: Key, value: unknown): void {
  checkKey(key);
  const id = idOf(key);
  if (typeof key === "object" && typeof id === "string" && !cell.values.has(id)) cell.arrayKeys.set(id, keptKey(key));
  cell.values.set(id, value);
}

/** Nothing where there is nothing to delete. */
export function mapDelete(cell: MapCell, key: Key): void {
  if (isDisguised(cell, key)) return;
  const id = idOf(key);
  if (typeof key === "object" && typeof id === "string") cell.arrayKeys.delete(id);
  cell.values.delete(id);
}

export function* mapEntries(cell: MapCell): Generator<readonly [Key, unknown], void, void> {
  for (const [id, value] of cell.values) {
    const arrayKey = typeof id === "string" ? cell.arrayKeys.get(id) : undefined;
    yield [arrayKey ?? id, value];
  }
}

/** What takes a {@link mapSet} back, to be asked for before it. */
export function undoSet(cell: MapCell, key: Key): () => void {
  const kept = keptKey(key);
  if (!mapHas(cell, key)) return () => mapDelete(cell, kept);
  const before = mapGet(cell, key);
  return () => mapSet(cell, kept, before);
}

/** What takes a {@link mapDelete} back, order and all. Counts the keys before it: little where the oldest goes first. */
export function undoDelete(cell: MapCell, key: Key): () => void {
  const kept = keptKey(key);
  const before = mapGet(cell, key);
  const id = idOf(key);
  let place = 0;
  for (const other of cell.values.keys()) {
    // -0 and 0 are one key, as they are to a Map.
    if (other === id) break;
    place += 1;
  }
  return () => {
    const behind = [...mapEntries(cell)].slice(place);
    for (const [other] of behind) mapDelete(cell, other);
    mapSet(cell, kept, before);
    for (const [other, value] of behind) mapSet(cell, other, value);
  };
}
