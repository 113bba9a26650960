import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StreamError } from "../model/errors.js";
import type { Files } from "../ports/files.js";

/**
 * The files of this machine. A relative path is one from the working directory.
 *
 * @example const files = nodeFiles();
 */
export function nodeFiles(): Files {
  return {
    stat: (path) =>
      told(path, "look at", async () => {
        const found = await stat(path, { bigint: true }).catch(absent);
        if (found === null) return null;
        if (!found.isFile()) throw new StreamError("invalid", `"${path}" is no file`);
        return { size: Number(found.size), identity: `${found.dev}:${found.ino}` };
      }),
    read: (path, range) =>
      told(path, "read", async () => {
        const file = await open(path, "r").catch(absent);
        return file === null ? null : closing(file, () => readRange(file, range));
      }),
    write: (path, offset, bytes) =>
      told(path, "write", async () => {
        const file = await openToWrite(path);
        await closing(file, () => writeAll(file, offset, bytes));
      }),
    sync: (path) =>
      told(path, "sync", async () => {
        await syncPath(path);
        await syncPath(dirname(path));
      }),
    move: (from, to) =>
      told(to, `move "${from}" to`, async () => {
        await makeFolder(dirname(to));
        if ((await rename(from, to).catch(absent)) === null) return "absent";
        await syncPath(dirname(to));
        if (dirname(from) !== dirname(to)) await syncPath(dirname(from));
        return "moved";
      }),
    list: (folder) =>
      told(folder, "list", async () => {
        const entries = (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? [];
        const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
        return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    remove: (path) => told(path, "remove", () => rm(path, { force: true })),
  };
}

async function readRange(file: FileHandle, range: readonly [number, number] | undefined): Promise<Uint8Array> {
  const [offset, length] = range ?? [0, (await file.stat()).size];
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, length));
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

async function writeAll(file: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, offset + written);
    written += bytesWritten;
  }
}

async function openToWrite(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT;
  const file = await open(path, flags).catch(absent);
  if (file !== null) return file;
  await makeFolder(dirname(path));
  return open(path, flags);
}

/** What was made is an entry of its parent: without a sync of that it is gone after a crash, with all that is in it. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  const outermost = dirname(first);
  for (let parent = dirname(folder); ; parent = dirname(parent)) {
    await syncPath(parent);
    if (parent === outermost || parent === dirname(parent)) return;
  }
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r");
  await closing(file, () => file.sync());
}

async function closing<T>(file: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await file.close();
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

function absent(error: unknown): null {
  if (codeOf(error) === "ENOENT") return null;
  throw error;
}

/** What another attempt would meet again. */
const lasting: readonly unknown[] = [
  "ENOENT",
  "EACCES",
  "EPERM",
  "EISDIR",
  "ENOTDIR",
  "EROFS",
  "ENAMETOOLONG",
  "EXDEV",
];

async function told<T>(path: string, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof StreamError) throw cause;
    const code = codeOf(cause);
    const kind = lasting.includes(code) || cause instanceof TypeError ? "invalid" : "transient";
    throw new StreamError(kind, `cannot ${doing} "${path}": ${String(code ?? cause)}`, { cause });
  }
}
