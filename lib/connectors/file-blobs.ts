import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Blobs } from "../ports/blobs.js";
import type { Files } from "../ports/files.js";

/**
 * Objects as files in one folder, for pipelines that run on one machine: each is written aside, synced, and then gets its name.
 *
 * @example const blobs = fileBlobs(nodeFiles(), "out/.checkpoints");
 */
export function fileBlobs(files: Files, folder: string): Blobs {
  const pathOf = (key: string) => join(folder, nameOf(key));
  return {
    async put(key, bytes) {
      const aside = join(folder, asideFolder, randomUUID());
      await files.write(aside, 0, bytes);
      await files.sync(aside);
      await files.move(aside, pathOf(key));
    },
    get: (key, range) => files.read(pathOf(key), range),
    async *list(prefix) {
      const keys = (await files.list(folder)).map(keyOf).filter((key) => key.startsWith(prefix));
      for (const key of keys.sort(byBytes)) {
        const found = await files.stat(pathOf(key));
        if (found !== null) yield { key, size: found.size };
      }
    },
    async remove(keys) {
      for (const key of keys) await files.remove(pathOf(key));
    },
  };
}

/** A folder, so that it is no object. What lies in it was interrupted. */
const asideFolder = ".aside";

/** Any text becomes the name of a file: it has no slash, and begins with a letter. Long ones are refused by the file system. */
const nameOf = (key: string): string => `o${encodeURIComponent(key)}`;
const keyOf = (name: string): string => decodeURIComponent(name.slice(1));

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
