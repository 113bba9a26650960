import { gunzipSync } from "node:zlib";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { sha256 } from "../model/sha256.js";
import type { SnapshotSlice } from "../model/snapshots.js";
import { CborReader } from "./cbor-reader.js";
import { type SliceHeader, sliceHeaderOf, snapshotBytesMax } from "./snapshot-format.js";

/** What a slice says of one key. `values` by column of the slice's header, undefined for what is absent; null if the key was removed. */
export type TakeEntry = (keyGroup: number, key: Key, values: readonly unknown[] | null) => void;

/** An opened slice: proven whole. */
export interface OpenedSlice extends SliceHeader {
  /** Reads its entries, one after the other. To be called once. */
  each(take: TakeEntry): void;
}

/**
 * Opens a slice. P3: its SHA-256 is checked before anything of it is used.
 *
 * @param bytes of the slice alone
 * @param file the name of the file, for messages
 * @throws StreamError `corrupt` where the bytes are not those that the index names, or not of this format
 */
export function readSlice(bytes: Uint8Array, slice: SnapshotSlice, file: string): OpenedSlice {
  const where = `snapshot ${file}, slice of operator "${slice.operator}" at byte ${slice.offset}`;
  const found = sha256(bytes);
  if (found !== slice.sha256) {
    const sizes = `${bytes.length} bytes with SHA-256 ${found}, expected ${slice.length} with ${slice.sha256}`;
    throw new StreamError("corrupt", `${where}: ${sizes}; restore from another checkpoint`);
  }
  return within(where, () => {
    const reader = new CborReader(
      slice.codec === "cbor" ? bytes : gunzipSync(bytes, { maxOutputLength: snapshotBytesMax }),
    );
    const header = sliceHeaderOf(reader.value());
    if (header.operator !== slice.operator || header.stateVersion !== slice.stateVersion) {
      throw new StreamError("corrupt", `holds operator "${header.operator}", state version ${header.stateVersion}`);
    }
    const columns = header.columns.length;
    const each = (take: TakeEntry) => {
      while (!reader.done) takeEntry(reader, where, columns, take);
    };
    return { ...header, each };
  });
}

/** What `take` throws goes through as it is: only what is read is corrupt. */
function takeEntry(reader: CborReader, where: string, columns: number, take: TakeEntry): void {
  let keyGroup: unknown;
  let key: unknown;
  let values: unknown;
  try {
    const parts = reader.arrayOf();
    keyGroup = reader.value();
    key = reader.value();
    values = reader.value();
    if (parts !== 3 || typeof keyGroup !== "number" || key === undefined || !isValues(values, columns)) {
      throw new StreamError("corrupt", "an entry that is none");
    }
  } catch (cause) {
    throw new StreamError("corrupt", `${where}: ${asStreamError(cause).message}`, { cause });
  }
  take(keyGroup, key as Key, values);
}

const isValues = (values: unknown, columns: number): values is readonly unknown[] | null =>
  values === null || (Array.isArray(values) && values.length === columns);

/** Says where it was. The hash was right, so a failure in here is the writer's or the reader's, yet nothing to build on. */
function within<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new StreamError("corrupt", `${where}: ${asStreamError(cause).message}`, { cause });
  }
}
