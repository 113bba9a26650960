import { join } from "node:path";
import { StreamError } from "../../model/errors.js";
import {
  applyChange,
  type BucketInfo,
  type BucketState,
  type Change,
  changesOf,
  contentsOf,
  emptyState,
} from "./bucket-state.js";
import { Contents } from "./contents.js";
import { Journal, journalExists, readJournal } from "./journal.js";
import type { OpenUpload, StoredObject } from "./object.js";
import { noSuchBucket, noSuchUpload, S3Error } from "./s3-error.js";

/** The journal is rewritten when it has grown by this many entries and to twice its length: many of them say nothing any more. */
const grownEntriesMin = 10_000;

const journalFile = "journal.jsonl";

/**
 * One bucket in its folder: `journal.jsonl` says what there is, `contents/` has the bodies.
 *
 * B1. A change counts from its line in the journal; a body is complete on the disk before the line that names it.
 * B2. A condition is checked in the turn of the event loop that appends: `commit` is synchronous, no lock is needed.
 * B3. A body is removed only after the line that replaces it.
 */
export class Bucket {
  readonly contents: Contents;
  readonly #state: BucketState;
  readonly #journal: Journal;
  #condition: "open" | "removed" | "closed" = "open";

  private constructor(folder: string, state: BucketState) {
    this.contents = new Contents(join(folder, "contents"));
    this.#state = state;
    this.#journal = new Journal(join(folder, journalFile), changesOf(state));
  }

  static exists(folder: string): boolean {
    return journalExists(join(folder, journalFile));
  }

  static create(folder: string, info: BucketInfo): Bucket {
    const bucket = new Bucket(folder, { ...emptyState(), info });
    bucket.contents.sweep(new Set());
    return bucket;
  }

  static load(folder: string): Bucket {
    const state = emptyState();
    for (const change of readJournal(join(folder, journalFile))) applyChange(state, change as Change);
    const bucket = new Bucket(folder, state);
    bucket.contents.sweep(contentsOf(state));
    return bucket;
  }

  get info(): BucketInfo {
    if (!this.#state.info) throw new StreamError("corrupt", "journal of a bucket does not begin with its creation");
    return this.#state.info;
  }

  get lifecycle(): string | null {
    return this.#state.lifecycle;
  }

  get isEmpty(): boolean {
    return this.#state.objects.size === 0;
  }

  object(key: string): StoredObject | null {
    return this.#state.objects.get(key) ?? null;
  }

  /** All keys in listing order; valid until the next change. */
  keys(): readonly string[] {
    return this.#state.keys.all();
  }

  uploads(): Iterable<OpenUpload> {
    return this.#state.uploads.values();
  }

  /** The upload of this id and key. Throws NoSuchUpload. */
  upload(id: string, key: string): OpenUpload {
    const open = this.#state.uploads.get(id);
    if (!open || open.upload.key !== key) throw noSuchUpload(id);
    return open;
  }

  /** Makes a change last and shows it to every later request. */
  commit(change: Change): void {
    if (this.#condition === "removed") throw noSuchBucket(this.info.name);
    if (this.#condition === "closed") throw new S3Error("ServiceUnavailable", "The server is closing.");
    this.#journal.append(change);
    this.contents.remove(applyChange(this.#state, change));
    if (this.#journal.grown > Math.max(grownEntriesMin, this.#journal.length / 2)) {
      this.#journal.rewrite(changesOf(this.#state));
    }
  }

  /** After this a commit throws: NoSuchBucket where the bucket is removed, ServiceUnavailable where only the server closes. */
  close(condition: "removed" | "closed"): void {
    this.#condition = condition;
    this.#journal.close();
  }
}
