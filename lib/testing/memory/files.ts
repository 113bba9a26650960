import { posix } from "node:path";
import { StreamError } from "../../model/errors.js";
import type { Files } from "../../ports/files.js";
import { byteOrder } from "./byte-order.js";

export interface MemoryFiles {
  readonly files: Files;
  /** The machine crashes: what was neither synced nor moved is gone. */
  crash(): void;
  /** All paths, in byte order. */
  paths(): readonly string[];
}

interface Entry {
  readonly identity: string;
  bytes: Uint8Array;
  /** As a crash leaves it. */
  durable: { readonly bytes: Uint8Array; readonly hasName: boolean };
}

const empty = new Uint8Array(0);

/**
 * Files in this process. Answers come on the microtask queue; bytes are copied on their way in and out.
 *
 * @example
 * const { files } = memoryFiles();
 * await files.write("in/lines.txt", 0, bytes);
 */
export function memoryFiles(): MemoryFiles {
  const entries = new Map<string, Entry>();
  let made = 0;
  const existing = (path: string): Entry => {
    const found = entries.get(posix.normalize(path));
    if (found !== undefined) return found;
    throw new StreamError("invalid", `cannot sync "${path}": there is no such file`);
  };
  const make = (path: string): Entry => {
    const entry = { identity: String(++made), bytes: empty, durable: { bytes: empty, hasName: false } };
    entries.set(posix.normalize(path), entry);
    return entry;
  };
  const files: Files = {
    async stat(path) {
      const found = entries.get(posix.normalize(path));
      return found === undefined ? null : { size: found.bytes.length, identity: found.identity };
    },
    async read(path, range) {
      const bytes = entries.get(posix.normalize(path))?.bytes;
      if (bytes === undefined) return null;
      return range === undefined ? bytes.slice() : bytes.slice(range[0], range[0] + range[1]);
    },
    async write(path, offset, bytes) {
      const entry = entries.get(posix.normalize(path)) ?? make(path);
      const longer = new Uint8Array(Math.max(entry.bytes.length, bytes.length === 0 ? 0 : offset + bytes.length));
      longer.set(entry.bytes);
      longer.set(bytes, bytes.length === 0 ? 0 : offset);
      entry.bytes = longer;
    },
    async sync(path) {
      const entry = existing(path);
      entry.durable = { bytes: entry.bytes.slice(), hasName: true };
    },
    async move(from, to) {
      const entry = entries.get(posix.normalize(from));
      if (entry === undefined) return "absent";
      entries.delete(posix.normalize(from));
      entries.set(posix.normalize(to), entry);
      entry.durable = { ...entry.durable, hasName: true };
      return "moved";
    },
    async list(folder) {
      const within = [...entries.keys()].filter((path) => posix.dirname(path) === posix.normalize(folder));
      return within.map((path) => posix.basename(path)).sort(byteOrder);
    },
    async remove(path) {
      entries.delete(posix.normalize(path));
    },
  };
  return {
    files,
    crash() {
      for (const [path, entry] of entries) {
        entry.bytes = entry.durable.bytes.slice();
        if (!entry.durable.hasName) entries.delete(path);
      }
    },
    paths: () => [...entries.keys()].sort(byteOrder),
  };
}
