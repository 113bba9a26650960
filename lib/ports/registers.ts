/** A small item that is changed by compare-and-set, or created once and never changed. */
export interface Register {
  /** 1 when created; one more with each swap. */
  readonly version: number;
  readonly body: string;
}

export interface RegisterKey {
  /** What is listed together: a pipeline. */
  readonly group: string;
  readonly name: string;
}

/** A part of a list. */
export interface RegisterPage {
  readonly from: string;
  readonly limit: number;
}

export type Swapped = { readonly kind: "swapped" } | { readonly kind: "conflict"; readonly current: Register | null };

/**
 * Registers, linearizable each by itself: of concurrent swaps from one version exactly one wins.
 * A body is text of at most 256 KiB of UTF-8.
 *
 * An answer may be lost: then the call throws `ambiguous`, or (a retry underneath) returns `conflict` although the write was its own.
 * The caller decides by what the item says, not by who wrote it (R5).
 */
export interface Registers {
  /** Strongly consistent. */
  read(key: RegisterKey): Promise<Register | null>;
  /** From exactly the version `expected` (null: absent) to the next one with `body`. */
  swap(key: RegisterKey, expected: number | null, body: string): Promise<Swapped>;
  /** Without a condition; for advisory items with one writer. The version is then without meaning. */
  put(key: RegisterKey, body: string): Promise<void>;
  /**
   * All registers of a group whose names begin with `prefix`, by name in byte order. With a page: only those from `from` on, a name
   * or the beginning of one that has the prefix too, and of them the first, at most `limit`. Strongly consistent an item, not as a whole.
   */
  list(
    group: string,
    prefix: string,
    page?: RegisterPage,
  ): Promise<readonly { readonly name: string; readonly register: Register }[]>;
  remove(key: RegisterKey): Promise<void>;
}

export const registerBytesMax = 256 * 1024;
