import { randomUUID } from "node:crypto";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { invariant } from "../../model/errors.js";

/** Up to here a body is read and written in one synchronous piece: three trips to the thread pool cost more than the copy. */
const smallBytes = 256 * 1024;

/** A part of a file: `length` bytes from `start`. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

/**
 * A folder of bodies. Each is written once under a name of its own and never changed, so a reader that has opened one keeps it, whatever
 * happens to its key. A file that no entry of the journal names is waste of an interrupted write.
 */
export class Contents {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Writes a body to a new file. Where the source fails, nothing is left. */
  async write(source: AsyncIterable<Buffer>): Promise<{ readonly name: string; readonly size: number }> {
    const name = randomUUID();
    const spill = new Spill(this.#path(name));
    try {
      for await (const chunk of source) {
        if (spill.hold(chunk) >= smallBytes) await spill.flush();
      }
      return { name, size: await spill.finish() };
    } catch (error) {
      await spill.discard();
      throw error;
    }
  }

  /** The bytes of a span. The file is opened before this returns: removing it afterwards does not disturb the reader. */
  read(name: string, span: Span): Buffer | Readable {
    const descriptor = openSync(this.#path(name), "r");
    if (span.length > smallBytes) {
      const end = span.start + span.length - 1;
      return createReadStream("", { fd: descriptor, start: span.start, end, highWaterMark: smallBytes });
    }
    try {
      return readSpan(descriptor, span);
    } finally {
      closeSync(descriptor);
    }
  }

  /** In the background: a file left over is swept at the next start. */
  remove(names: readonly string[]): void {
    for (const name of names) rm(this.#path(name), { force: true }).catch(() => undefined);
  }

  /** Removes every file that is not named. */
  sweep(named: ReadonlySet<string>): void {
    for (const name of readdirSync(this.#folder)) if (!named.has(name)) rmSync(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

function readSpan(descriptor: number, span: Span): Buffer {
  const bytes = Buffer.allocUnsafe(span.length);
  for (let done = 0; done < span.length; ) {
    const got = readSync(descriptor, bytes, done, span.length - done, span.start + done);
    invariant(got > 0, `content file ends ${span.length - done} bytes early`);
    done += got;
  }
  return bytes;
}

/** A body on its way to its file: held in memory while it is small. */
class Spill {
  readonly #path: string;
  #file: FileHandle | null = null;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #size = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Takes a chunk and says how many bytes are held. */
  hold(chunk: Buffer): number {
    this.#held.push(chunk);
    this.#size += chunk.length;
    this.#heldBytes += chunk.length;
    return this.#heldBytes;
  }

  async flush(): Promise<void> {
    this.#file ??= await open(this.#path, "wx");
    await this.#file.writeFile(this.#take());
  }

  async finish(): Promise<number> {
    if (this.#file === null) {
      writeFileSync(this.#path, this.#take(), { flag: "wx" });
    } else {
      await this.flush();
      await this.#file.close();
    }
    return this.#size;
  }

  async discard(): Promise<void> {
    await this.#file?.close().catch(() => undefined);
    await rm(this.#path, { force: true });
  }

  #take(): Buffer {
    const [only] = this.#held;
    const bytes = this.#held.length === 1 && only ? only : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    return bytes;
  }
}
