import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bucket } from "./bucket.js";
import { noSuchBucket, S3Error } from "./s3-error.js";

/** The buckets of a folder, one sub-folder each. Their names are safe as names of files: lower case, digits, `-` and single dots. */
export class Store {
  readonly #folder: string;
  readonly #temporary: boolean;
  readonly #buckets = new Map<string, Bucket>();
  #closed = false;

  /** Reads the journals of the folder; without a folder, a temporary one is made and removed by `close`. */
  constructor(directory: string | null) {
    this.#temporary = directory === null;
    this.#folder = directory ?? mkdtempSync(join(tmpdir(), "s3-"));
    mkdirSync(this.#folder, { recursive: true });
    for (const name of readdirSync(this.#folder)) {
      const folder = join(this.#folder, name);
      if (Bucket.exists(folder)) this.#buckets.set(name, Bucket.load(folder));
    }
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Throws NoSuchBucket. */
  bucket(name: string): Bucket {
    const bucket = this.#buckets.get(name);
    if (!bucket) throw noSuchBucket(name);
    return bucket;
  }

  buckets(): readonly Bucket[] {
    return [...this.#buckets.keys()].sort().map((name) => this.bucket(name));
  }

  create(name: string, region: string): void {
    checkBucketName(name);
    if (this.#buckets.has(name)) {
      throw new S3Error(
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
        { BucketName: name },
      );
    }
    this.#buckets.set(name, Bucket.create(join(this.#folder, name), { name, region, createdMs: Date.now() }));
  }

  remove(name: string): void {
    const bucket = this.bucket(name);
    if (!bucket.isEmpty) {
      throw new S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty", { BucketName: name });
    }
    bucket.close("removed");
    this.#buckets.delete(name);
    rmSync(join(this.#folder, name), { recursive: true, force: true });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const bucket of this.#buckets.values()) bucket.close("closed");
    if (this.#temporary) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Source: "General purpose bucket naming rules" of the S3 user guide. */
function checkBucketName(name: string): void {
  const wellFormed = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes("..");
  if (!wellFormed || /^\d+\.\d+\.\d+\.\d+$/.test(name)) {
    throw new S3Error("InvalidBucketName", "The specified bucket is not valid.", { BucketName: name });
  }
}
