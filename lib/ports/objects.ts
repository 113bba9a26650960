/** A lifecycle rule of a bucket by which objects go away, or to where they cannot be copied from. */
export interface BucketRule {
  readonly id: string;
  /** Of the keys that it is for; "" is all. */
  readonly prefix: string;
  /** Such as "expires objects after 7 days". */
  readonly effect: string;
}

/** `unknown`: who asks may not read them, or the service has none. */
export type BucketRules =
  | { readonly kind: "known"; readonly rules: readonly BucketRule[] }
  | { readonly kind: "unknown"; readonly why: string };

/**
 * Objects in buckets of the user's own, as a reader has them. What was put, copied or removed is seen at once, in lists too.
 *
 * @throws StreamError `invalid`: there is no such bucket, it is in another region, or may not be read; `transient`: anything else
 */
export interface ObjectReads {
  /** In bytes; null: there is no such object. */
  size(bucket: string, key: string): Promise<number | null>;
  /** Keys that begin with `prefix`, in byte order. */
  list(bucket: string, prefix: string): AsyncIterable<{ readonly key: string; readonly size: number }>;
  rules(bucket: string): Promise<BucketRules>;
}

/**
 * What a writer does to objects. A key is only ever written with one content (R6), so that all of it may be repeated. A reader sees
 * all of an object or nothing.
 *
 * @throws StreamError `invalid`: there is no such bucket, it is in another region, or may not be written; `ambiguous`, `transient`: anything else
 */
export interface ObjectWrites {
  put(bucket: string, key: string, bytes: Uint8Array): Promise<void>;
  /** Within the bucket, by the service: no byte comes here. `absent`: there is no object `from`. */
  copy(bucket: string, from: string, to: string): Promise<"copied" | "absent">;
  /** Absent ones are no error. */
  remove(bucket: string, keys: readonly string[]): Promise<void>;
}

export type Objects = ObjectReads & ObjectWrites;
