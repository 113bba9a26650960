import { StreamError } from "../../model/errors.js";
import type { BucketRule, BucketRules, Objects } from "../../ports/objects.js";
import { byteOrder } from "./byte-order.js";

export interface MemoryObjects {
  readonly objects: Objects;
  /** One that is there stays as it is. */
  createBucket(name: string): void;
  /** What `rules` says of the bucket. Nothing is done by them. */
  setRules(bucket: string, rules: readonly BucketRule[]): void;
  /** All keys of a bucket, in byte order. */
  keys(bucket: string): readonly string[];
  /** null: there is no such object. */
  read(bucket: string, key: string): Uint8Array | null;
  /** Keys that were written again with other bytes, against R6, each as often as it happened. */
  rewritten(): readonly string[];
}

interface Bucket {
  readonly objects: Map<string, Uint8Array>;
  rules: BucketRules;
}

/**
 * Objects in this process. Answers come on the microtask queue; bytes are copied on their way in and out.
 *
 * @example
 * const { objects, createBucket } = memoryObjects();
 * createBucket("acme-lake");
 */
export function memoryObjects(): MemoryObjects {
  const buckets = new Map<string, Bucket>();
  const rewritten: string[] = [];
  const bucketOf = (name: string): Bucket => {
    const found = buckets.get(name);
    if (found !== undefined) return found;
    throw new StreamError("invalid", `bucket "${name}" does not exist; create it, or check its name`);
  };
  const write = (bucket: Bucket, key: string, bytes: Uint8Array) => {
    const before = bucket.objects.get(key);
    if (before !== undefined && Buffer.compare(before, bytes) !== 0) rewritten.push(key);
    bucket.objects.set(key, bytes);
  };
  const inOrder = (bucket: string) => [...bucketOf(bucket).objects.keys()].sort(byteOrder);
  const objects: Objects = {
    size: async (bucket, key) => bucketOf(bucket).objects.get(key)?.length ?? null,
    async *list(bucket, prefix) {
      const { objects: all } = bucketOf(bucket);
      for (const key of inOrder(bucket).filter((name) => name.startsWith(prefix)))
        yield { key, size: all.get(key)?.length ?? 0 };
    },
    rules: async (bucket) => bucketOf(bucket).rules,
    put: async (bucket, key, bytes) => write(bucketOf(bucket), key, Uint8Array.from(bytes)),
    async copy(bucket, from, to) {
      const bytes = bucketOf(bucket).objects.get(from);
      if (bytes === undefined) return "absent";
      write(bucketOf(bucket), to, bytes);
      return "copied";
    },
    async remove(bucket, keys) {
      for (const key of keys) bucketOf(bucket).objects.delete(key);
    },
  };
  return {
    objects,
    createBucket(name) {
      if (!buckets.has(name)) buckets.set(name, { objects: new Map(), rules: { kind: "known", rules: [] } });
    },
    setRules(bucket, rules) {
      bucketOf(bucket).rules = { kind: "known", rules };
    },
    keys: inOrder,
    read: (bucket, key) => bucketOf(bucket).objects.get(key)?.slice() ?? null,
    rewritten: () => [...rewritten],
  };
}
