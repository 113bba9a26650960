import type { Ack, CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Note } from "../model/frames.js";
import { sha256 } from "../model/sha256.js";
import type { SnapshotFile } from "../model/snapshots.js";
import type { Stored } from "../model/stored.js";
import { readSlice } from "../state/slice-reader.js";
import { fileHeader, type SnapshotKind } from "../state/snapshot-format.js";
import { loadBody } from "./bodies.js";
import { readList } from "./inventory.js";
import { framesOf, placeOf, readNotes } from "./named-notes.js";
import { manifestKey, manifestName } from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readGenerationRecord, readManifest, resolveBody } from "./store.js";

/** What was read of a checkpoint, and what of it is not what was written. */
export interface Verified {
  readonly checkpoint: CheckpointRef;
  /** Manifest and its copy, snapshot files, bodies of output, of lists and of frames: each once, inline ones too. */
  readonly objects: number;
  readonly bytes: number;
  /** Of snapshots and frames. */
  readonly slices: number;
  /** Keys with state, over base and deltas: a key that changed stands in several. */
  readonly keys: number;
  /** Rows of output that waits to be written. */
  readonly rows: number;
  /** Frames on their way between tasks, which the checkpoint names (E3). */
  readonly frames: number;
  /** Output that a sink has staged with itself: nothing in the bucket of checkpoints tells of its bytes. */
  readonly staged: number;
  /** The first {@link problemsMax}. */
  readonly problems: readonly string[];
  readonly problemCount: number;
}

export interface VerifyOptions {
  /** Reads the rows of held output. @throws StreamError where the bytes are none */
  readonly countRows: (bytes: Uint8Array) => number;
  /** After each object. */
  readonly onProgress: (so: Pick<Verified, "objects" | "bytes">) => void;
}

export const problemsMax = 20;

/**
 * Reads all that a restore of the checkpoint would read, and more: every byte, whichever task it is for (P3), and the frames that were on
 * their way (E3). One object is in memory at a time. What is wrong with it is a result; thrown is only that the services do not answer, or refuse.
 *
 * @example const { problems } = await verifyCheckpoint(store, head.incarnation, head.completed, { countRows, onProgress });
 */
export async function verifyCheckpoint(
  store: CheckpointStore,
  incarnation: string,
  ref: CheckpointRef,
  options: VerifyOptions,
): Promise<Verified> {
  const check = new Check(store, options);
  const manifest = await check.manifest(incarnation, ref);
  if (manifest !== null) {
    await check.record(incarnation, manifest);
    for (const ack of manifest.tasks) await check.ack(ack);
    await check.frames(manifest);
  }
  return check.result(ref);
}

class Check {
  readonly #store: CheckpointStore;
  readonly #options: VerifyOptions;
  /** By SHA-256: several tasks may refer to one file after a rescale. */
  readonly #seen = new Set<string>();
  readonly #problems: string[] = [];
  #problemCount = 0;
  #counts = { objects: 0, bytes: 0, slices: 0, keys: 0, rows: 0, frames: 0, staged: 0 };

  constructor(store: CheckpointStore, options: VerifyOptions) {
    this.#store = store;
    this.#options = options;
  }

  result(checkpoint: CheckpointRef): Verified {
    return { checkpoint, ...this.#counts, problems: this.#problems, problemCount: this.#problemCount };
  }

  /** R7: item and copy each by itself, for each must do without the other. */
  async manifest(incarnation: string, ref: CheckpointRef): Promise<Manifest | null> {
    const store = this.#store;
    const name = manifestName(incarnation, ref);
    const key = manifestKey(store.pipeline, incarnation, ref);
    await this.#attempt(async () => {
      const found = await repeat(store.clock, () => store.registers.read({ group: store.pipeline, name }));
      const text = found === null ? null : await resolveBody(store, name, found.body);
      this.#checkText(text, ref, `the item ${name}`);
    });
    await this.#attempt(async () => {
      const bytes = await repeat(store.clock, () => store.blobs.get(key));
      this.#checkText(bytes === null ? null : Buffer.from(bytes).toString("utf8"), ref, `its copy ${key}`);
    });
    return this.#attempt(() => readManifest(store, incarnation, ref));
  }

  #checkText(text: string | null, ref: CheckpointRef, where: string): void {
    if (text === null) throw new StreamError("corrupt", `manifest of checkpoint ${ref.checkpointId}: ${where} is gone`);
    this.#count(Buffer.byteLength(text));
    if (sha256(text) === ref.sha256) return;
    throw new StreamError(
      "corrupt",
      `manifest of checkpoint ${ref.checkpointId}: ${where} has SHA-256 ${sha256(text)}, ${ref.sha256} was written`,
    );
  }

  async record(incarnation: string, { generation, generationRecord }: Manifest): Promise<void> {
    await this.#attempt(() => readGenerationRecord(this.#store, { incarnation, generation, generationRecord }));
  }

  async ack(ack: Ack): Promise<void> {
    const { base, deltas } = ack.snapshot;
    if (base !== null) await this.#file(base, "base");
    for (const delta of deltas) await this.#file(delta, "delta");
    if ("kind" in ack.committables) await this.#body(ack.committables, () => undefined);
    const list = await this.#attempt(() => readList(this.#store, ack));
    for (const item of list ?? []) {
      if (item.kind === "two-phase") this.#counts.staged++;
      else if (item.kind === "held")
        await this.#body(item.body, (bytes) => {
          this.#counts.rows += this.#options.countRows(bytes);
        });
      else
        for (const { body, records } of item.segments)
          await this.#body(body, () => {
            this.#counts.rows += records;
          });
    }
  }

  /** E3: notes and bodies of all frames that it leaves to be taken. */
  async frames(manifest: Manifest): Promise<void> {
    const named = await this.#attempt(async () => framesOf(manifest));
    for (const frames of named ?? []) {
      for await (const found of readNotes(this.#store, manifest.incarnation, frames)) {
        await this.#attempt(async () => {
          if (found.kind === "there") return this.#frame(found.note, found.where);
          if (found.kind === "changed") throw found.error;
          throw new StreamError("corrupt", `${placeOf(found.frames)}: gone, for the table has no note of it`);
        });
      }
    }
  }

  async #frame(note: Note, where: string): Promise<void> {
    this.#counts.frames++;
    const listed = note.slices.reduce((sum, slice) => sum + slice.records, 0);
    if (listed !== note.records || (note.body === null) !== (note.records === 0))
      throw new StreamError("corrupt", `${where}: ${note.records} records, its index has ${listed}`);
    const { body } = note;
    if (body === null) return;
    const bytes = await within(where, () => load(this.#store, body));
    this.#count(bytes.length);
    for (const { offset, length, keyGroups, sha256: expected } of note.slices) {
      const found = sha256(bytes.subarray(offset, offset + length));
      if (found !== expected)
        throw new StreamError(
          "corrupt",
          `${where}, key groups ${keyGroups[0]} to ${keyGroups[1]} at byte ${offset}: SHA-256 ${found}, ${expected} was written`,
        );
      this.#counts.slices++;
    }
  }

  async #file(file: SnapshotFile, kind: SnapshotKind): Promise<void> {
    await this.#body(file.body, async (bytes) => {
      const where = nameOf(file.body);
      const header = fileHeader(kind);
      if (Buffer.compare(bytes.subarray(0, header.length), header) !== 0)
        throw new StreamError("corrupt", `snapshot ${where} does not begin as a ${kind} does`);
      for (const slice of file.slices) {
        await this.#attempt(async () => {
          const part = bytes.subarray(slice.offset, slice.offset + slice.length);
          let keys = 0;
          readSlice(part, slice, where).each(() => {
            keys++;
          });
          if (keys !== slice.keys)
            throw new StreamError(
              "corrupt",
              `snapshot ${where}, slice of operator "${slice.operator}" at byte ${slice.offset}: ${keys} keys, ${slice.keys} were written`,
            );
          this.#counts.slices++;
          this.#counts.keys += keys;
        });
      }
    });
  }

  async #body(stored: Stored, use: (bytes: Uint8Array) => unknown): Promise<void> {
    if (this.#seen.has(nameOf(stored))) return;
    this.#seen.add(nameOf(stored));
    await this.#attempt(async () => {
      const bytes = await load(this.#store, stored);
      this.#count(bytes.length);
      await within(nameOf(stored), () => use(bytes)).catch(unreadable);
    });
  }

  #count(bytes: number): void {
    this.#counts.objects++;
    this.#counts.bytes += bytes;
    this.#options.onProgress(this.#counts);
  }

  /** What is wrong with stored bytes is noted, once, and the rest is looked at all the same. */
  async #attempt<T>(act: () => Promise<T>): Promise<T | null> {
    try {
      return await act();
    } catch (error) {
      const { kind, message } = asStreamError(error);
      if (kind !== "corrupt" && kind !== "bug") throw error;
      if (this.#problems.includes(message)) return null;
      this.#problemCount++;
      if (this.#problems.length < problemsMax) this.#problems.push(message);
      return null;
    }
  }
}

const load = (store: CheckpointStore, stored: Stored): Promise<Uint8Array> =>
  repeat(store.clock, () => loadBody(store.blobs, stored));

const nameOf = (stored: Stored): string => (stored.kind === "object" ? stored.key : `inline ${stored.sha256}`);

/** Says where it was: the hash was right, so a failure in here is the writer's or the reader's. */
async function within<T>(where: string, use: () => T | Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (cause) {
    const { kind, message } = asStreamError(cause);
    throw message.includes(where) ? cause : new StreamError(kind, `${where}: ${message}`, { cause });
  }
}

/** Of bytes whose hash was right: who cannot read them cannot go on from them. Elsewhere `invalid` is a service's refusal. */
function unreadable(cause: unknown): never {
  const { kind, message } = asStreamError(cause);
  throw kind === "invalid" ? new StreamError("corrupt", message, { cause }) : cause;
}
