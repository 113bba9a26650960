import { StreamError } from "../model/errors.js";
import { versionAttribute } from "../model/versions.js";
import { itemBytesMax, type TableItem, type TablePut } from "../ports/tables.js";
import { type MarshalledItem, marshalItem, sizeOfItem } from "./dynamo-items.js";

/**
 * The whole item of a put, with its version (W1).
 *
 * @throws StreamError `invalid` where it cannot be stored: a value without counterpart, no key, our attribute's name, more than 400 KB
 */
export function versionedItem(put: TablePut): MarshalledItem {
  const where = `DynamoDB table "${put.table}", item with the key (${put.key.join(", ")})`;
  if (Object.hasOwn(put.item, versionAttribute)) {
    throw new StreamError(
      "invalid",
      `${where}: the attribute "${versionAttribute}" is written by the sink; rename yours`,
    );
  }
  for (const name of put.key) {
    if (!Object.hasOwn(put.item, name) || put.item[name] === undefined) {
      throw new StreamError("invalid", `${where}: the row has no "${name}"; every row needs each attribute of the key`);
    }
  }
  const item = { ...marshalled(put.item, where), [versionAttribute]: { B: put.version } };
  const size = sizeOfItem(item);
  if (size > itemBytesMax) {
    throw new StreamError("invalid", `${where}: ${size} bytes with its version; an item has at most ${itemBytesMax}`);
  }
  return item;
}

/** The item's key alone. */
export const keyOf = (put: Pick<TablePut, "key" | "item">): TableItem =>
  Object.fromEntries(put.key.map((name) => [name, put.item[name]]));

/** The version of an item that refused a put; null where it went meanwhile. */
export function versionOf(item: Readonly<MarshalledItem> | undefined, table: string): Uint8Array | null {
  const version = item?.[versionAttribute];
  if (version === undefined) return null;
  if (version.B !== undefined) return version.B;
  throw new StreamError(
    "invalid",
    `DynamoDB table "${table}": an item has an attribute "${versionAttribute}" that is no version of ours; remove it there, or use another table`,
  );
}

function marshalled(item: TableItem, where: string): MarshalledItem {
  try {
    return marshalItem(item);
  } catch (error) {
    if (error instanceof StreamError) throw new StreamError(error.kind, `${where}: ${error.message}`, { cause: error });
    throw error;
  }
}
