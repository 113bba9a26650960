import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { StreamError } from "../../model/errors.js";

const newline = 0x0a;

function encodeLines(entries: Iterable<unknown>): Buffer {
  let text = "";
  for (const entry of entries) text += `${JSON.stringify(entry)}\n`;
  return Buffer.from(text, "utf8");
}

function parseLine(path: string, line: string, index: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new StreamError(
      "corrupt",
      `${path}:${index + 1}: not a journal entry; restore the file or delete its folder`,
      {
        cause,
      },
    );
  }
}

/** The entries of a journal. What stands behind its last newline was never acknowledged (the process died in it) and is left out. */
export function readJournal(path: string): unknown[] {
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf(newline) + 1;
  const lines = bytes.toString("utf8", 0, end).split("\n");
  lines.pop();
  return lines.map((line, index) => parseLine(path, line, index));
}

export function journalExists(path: string): boolean {
  return existsSync(path);
}

/**
 * A file of JSON lines that only grows. An entry counts from the moment its newline is in the file: `append` is synchronous, so that whoever
 * checks a condition and then appends in the same turn of the event loop cannot be raced.
 */
export class Journal {
  readonly #path: string;
  #descriptor: number;
  #bytes: number;
  #entries: number;
  #grown: number;

  /** Replaces the file by these entries, atomically, and opens it. */
  constructor(path: string, entries: Iterable<unknown>) {
    this.#path = path;
    this.#descriptor = -1;
    this.#bytes = 0;
    this.#entries = 0;
    this.#grown = 0;
    this.rewrite(entries);
  }

  /** How many entries the file has, the outdated ones included. */
  get length(): number {
    return this.#entries;
  }

  /** How many were added since it was last rewritten. */
  get grown(): number {
    return this.#grown;
  }

  append(entry: unknown): void {
    const line = encodeLines([entry]);
    try {
      for (let written = 0; written < line.length; ) {
        written += writeSync(this.#descriptor, line, written, line.length - written, this.#bytes + written);
      }
    } catch (cause) {
      // A torn line must not stand before the next one (the disk may be full for a moment only).
      ftruncateSync(this.#descriptor, this.#bytes);
      throw new StreamError("transient", `${this.#path}: cannot append; is the disk full?`, { cause });
    }
    this.#bytes += line.length;
    this.#entries++;
    this.#grown++;
  }

  rewrite(entries: Iterable<unknown>): void {
    const kept = [...entries];
    const bytes = encodeLines(kept);
    writeFileSync(`${this.#path}.new`, bytes);
    const descriptor = openSync(`${this.#path}.new`, "r+");
    renameSync(`${this.#path}.new`, this.#path);
    this.close();
    this.#descriptor = descriptor;
    this.#bytes = bytes.length;
    this.#entries = kept.length;
    this.#grown = 0;
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }
}
