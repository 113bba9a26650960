export type AttributeType = "string" | "number" | "bytes";

export type TableDescription =
  | { readonly kind: "found"; readonly key: readonly { readonly name: string; readonly type: AttributeType }[] }
  | { readonly kind: "absent" };

export type TableItem = Readonly<Record<string, unknown>>;

/** A put of a whole item under W1's condition on its version. */
export interface TablePut {
  readonly table: string;
  /** The names of the key attributes, partition key first. */
  readonly key: readonly string[];
  /** Plain values: strings, numbers, bigints, booleans, null, bytes, arrays and objects of these. The version attribute is added. */
  readonly item: TableItem;
  /** 24 bytes: {@link encodeVersion}. */
  readonly version: Uint8Array;
}

/** `refused`: there is an item that is not older, or of another incarnation; its version then (null: it went meanwhile). */
export type TablePutResult =
  | { readonly kind: "written" }
  | { readonly kind: "refused"; readonly version: Uint8Array | null };

/**
 * Users' key-value tables: DynamoDB. A put is atomic and its condition is checked in the same step:
 * absent (no version attribute), or same incarnation and older (W1). An item has at most 400 KB.
 */
export interface Tables {
  describe(table: string): Promise<TableDescription>;
  put(put: TablePut): Promise<TablePutResult>;
  /** Strongly consistent; with the version attribute. null: no such item. */
  read(table: string, key: TableItem): Promise<TableItem | null>;
  /** Bytes of the item as the service counts them, without a call. @throws StreamError `invalid` where a value cannot be stored */
  measure(item: TableItem): number;
}

export const itemBytesMax = 400 * 1024;
