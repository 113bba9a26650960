import { randomUUID } from "node:crypto";
import { link } from "node:fs/promises";
import { join } from "node:path";
import { StreamError } from "../model/errors.js";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import type { Files } from "../ports/files.js";
import { type MarkPlace, markedLetters } from "./letter-marks.js";
import { nodeFiles } from "./node-files.js";
import { letterOf, type StoredLetters } from "./stored-letters.js";

/** Beside the files. Readers of the folder leave it out: its name begins with a dot. */
const marksFolder = ".put-back";

/** The dead letters in a folder of {@link fileSink}, those that are shown. */
export function deadLetterFolder(folder: string): StoredLetters {
  const files = nodeFiles();
  return markedLetters(marksIn(files, join(folder, marksFolder)), () => lettersIn(files, folder));
}

async function lettersIn(files: Files, folder: string): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (const name of await files.list(folder)) {
    if (!name.endsWith(".jsonl")) continue;
    const lines = Buffer.from((await files.read(join(folder, name))) ?? []).toString("utf8");
    for (const line of lines.split("\n"))
      if (line !== "") letters.push(...[letterOf(rowOf(line, join(folder, name)))].flatMap((letter) => letter ?? []));
  }
  return letters;
}

function rowOf(line: string, file: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new StreamError("corrupt", `${file}: a line is no JSON, and so no dead letter`, { cause });
  }
}

function marksIn(files: Files, folder: string): MarkPlace {
  return {
    names: async (prefix) =>
      (await files.list(folder)).filter((name) => name.startsWith(prefix) && name.endsWith(".json")),
    read: (name) => files.read(join(folder, name)),
    async create(name, bytes) {
      const written = join(folder, `.${randomUUID()}`);
      await files.write(written, 0, bytes);
      try {
        await files.sync(written);
        if (!(await linked(written, join(folder, name)))) return false;
        await files.sync(join(folder, name));
        return true;
      } finally {
        await files.remove(written);
      }
    },
  };
}

/** A second name for a file appears with all that it has, and once. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST") return false;
    throw new StreamError(
      "invalid",
      `cannot make "${to}", which is to say that a dead letter is put back: ${String(cause)}. Its folder must lie on a disk with hard links`,
      { cause },
    );
  }
}
