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
  /** What must be so of the item that is there, all of it, besides W1's condition. */
  readonly onlyIf?: readonly TableComparison[];
}

export type Comparison = "=" | "<>" | "<" | "<=" | ">" | ">=";
export type ComparableValue = string | number | bigint | boolean | Uint8Array;

/** With an attribute of an item; one that is absent, or of another type, fulfils only `<>`, unless `orAbsent` says that it need not be there. */
export type TableComparison =
  | { readonly attribute: string; readonly is: "absent" }
  | { readonly attribute: string; readonly is: "present" }
  | {
      readonly attribute: string;
      readonly is: Comparison;
      readonly value: ComparableValue;
      readonly orAbsent: boolean;
    };

/**
 * `refused`: there is an item that is not older, or of another incarnation; its version then (null: it has none, or went meanwhile).
 * Or it is not as `onlyIf` says: then its version may be an older one, or null.
 */
export type TablePutResult =
  | { readonly kind: "written" }
  | { readonly kind: "refused"; readonly version: Uint8Array | null };

/** A number for each of these attributes of an item; an absent item, or attribute, counts from 0. */
export interface TableIncrement {
  readonly key: TableItem;
  /** Exact: DynamoDB keeps 38 digits. At least one attribute, at most {@link attributesAddedMax}. */
  readonly add: Readonly<Record<string, bigint>>;
}

/** Increments, and a mark that moves with them: all of it happens, or nothing. */
export interface TableTransaction {
  readonly table: string;
  /** At most {@link incrementsMax}, each of another item, none of it the mark's. */
  readonly increments: readonly TableIncrement[];
  /** An item whose attribute {@link markAttribute} becomes `position`, under the condition that it is absent, or less as text. */
  readonly mark: { readonly key: TableItem; readonly position: string };
}

/** `passed`: the mark stands at this position, or at a greater one, so that nothing was changed. */
export type TableTransactionResult = { readonly kind: "applied" } | { readonly kind: "passed" };

/** A transaction has a hundred items (TransactWriteItems); one is the mark. */
export const incrementsMax = 99;
/** An expression has 4 KB at most, and some ten bytes for each. */
export const attributesAddedMax = 100;
/** Of an item that is a mark. */
export const markAttribute = "~position";

/**
 * Users' key-value tables: DynamoDB. A put is atomic and its condition is checked in the same step:
 * absent (no version attribute), or same incarnation and older (W1). An item has at most 400 KB.
 */
export interface Tables {
  describe(table: string): Promise<TableDescription>;
  put(put: TablePut): Promise<TablePutResult>;
  /**
   * @throws StreamError `invalid`: no such table, no transactions there, or an attribute that is no number, or has more than 38 digits
   *   then; `transient` where another transaction was in the way, or the table throttles; `ambiguous` where it may have happened
   */
  transact(transaction: TableTransaction): Promise<TableTransactionResult>;
  /** Strongly consistent; with the version attribute. null: no such item. */
  read(table: string, key: TableItem): Promise<TableItem | null>;
  /** Bytes of the item as the service counts them, without a call. @throws StreamError `invalid` where a value cannot be stored */
  measure(item: TableItem): number;
}

export const itemBytesMax = 400 * 1024;
