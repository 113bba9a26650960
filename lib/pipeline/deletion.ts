declare const deletionOf: unique symbol;

/** Instead of a row: the row of that key goes (W4). Made by {@link deleted}. */
export interface Deletion<out K> {
  readonly [deletionOf]: K;
}

/** Registered, so that a deletion made by another copy of this library is one too. */
const keyMember: unique symbol = Symbol.for("tidemark.deletion") as never;

/**
 * Instead of a row, for a table: its row of that key goes. In the table a tombstone takes its place, with a version, for a write
 * that comes late could bring a removed item back (W4); readers leave out what has the attribute that the sink's guide names.
 *
 * @param key the key attributes of the row
 * @example onRecord(order) { return order.cancelled ? deleted({ order: order.id }) : { order: order.id, total: order.total }; }
 */
export function deleted<const K extends object>(key: K): Deletion<K> {
  return Object.freeze({ [keyMember]: Object.freeze({ ...key }) }) as unknown as Deletion<K>;
}

/** The key attributes where the row is a deletion, else null. */
export function deletedKey(row: unknown): object | null {
  if (typeof row !== "object" || row === null || !(keyMember in row)) return null;
  return (row as { readonly [keyMember]: object })[keyMember];
}
