import { StreamError } from "../../model/errors.js";
import type { Blobs } from "../../ports/blobs.js";
import { SortedMap } from "./sorted-map.js";

export interface MemoryBlobs {
  readonly blobs: Blobs;
  /** What is stored, as it is now, in byte order of the keys. */
  all(): ReadonlyMap<string, Uint8Array>;
  has(key: string): boolean;
  /** In byte order. */
  keys(): readonly string[];
  /** Keys that were put again with other bytes, against R6, each as often as it happened. */
  rewritten(): readonly string[];
  /** Flips one bit of a stored object: for P3. */
  corrupt(key: string, offset: number): void;
}

/**
 * Blobs in this process. Answers come on the microtask queue; bytes are copied on their way in and out.
 *
 * @example const { blobs } = memoryBlobs();
 */
export function memoryBlobs(): MemoryBlobs {
  const objects = new SortedMap<Uint8Array>();
  const rewritten: string[] = [];
  return {
    blobs: {
      async put(key, bytes) {
        const before = objects.get(key);
        if (before !== undefined && Buffer.compare(before, bytes) !== 0) rewritten.push(key);
        objects.set(key, Uint8Array.from(bytes));
      },
      async get(key, range) {
        const bytes = objects.get(key);
        if (bytes === undefined) return null;
        return range === undefined ? bytes.slice() : bytes.slice(range[0], range[0] + range[1]);
      },
      async *list(prefix) {
        for (const [key, bytes] of objects.list(prefix)) yield { key, size: bytes.byteLength };
      },
      async remove(keys) {
        for (const key of keys) objects.delete(key);
      },
    },
    all: () => new Map(objects.list("").map(([key, bytes]) => [key, bytes.slice()])),
    has: (key) => objects.has(key),
    keys: () => objects.names(),
    rewritten: () => [...rewritten],
    corrupt(key, offset) {
      const bytes = objects.get(key);
      const byte = bytes?.[offset];
      if (bytes === undefined || byte === undefined) {
        throw new StreamError("invalid", `there is no byte ${offset} in an object "${key}" to corrupt`);
      }
      bytes[offset] = byte ^ 1;
    },
  };
}
