/**
 * Objects that are written once: a name has one content (R6), so putting it again puts the same bytes and needs no condition.
 * Read after write is consistent, lists too. A put is atomic: a reader sees all of it or nothing.
 */
export interface Blobs {
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** null where there is no such object. `range` is [offset, length]. */
  get(key: string, range?: readonly [offset: number, length: number]): Promise<Uint8Array | null>;
  /** Keys that begin with `prefix`, in byte order. */
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly size: number }>;
  /** Absent ones are no error. */
  remove(keys: readonly string[]): Promise<void>;
}
