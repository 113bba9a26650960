import { type MarshalledItem, marshalItem, sizeOfItem, unmarshalItem } from "../../connectors/dynamo-items.js";
import { keyOf, versionedItem, versionOf } from "../../connectors/versioned-items.js";
import { StreamError } from "../../model/errors.js";
import { mayReplace, versionAttribute } from "../../model/versions.js";
import {
  type AttributeType,
  incrementsMax,
  itemBytesMax,
  markAttribute,
  type TableIncrement,
  type TableItem,
  type Tables,
} from "../../ports/tables.js";
import { byteOrder } from "./byte-order.js";
import { fulfils } from "./comparisons.js";
import { plus } from "./decimals.js";

export type KeySchema = readonly { readonly name: string; readonly type: AttributeType }[];

export interface MemoryTables {
  readonly tables: Tables;
  /** An empty table; one of that name goes. */
  createTable(name: string, key: KeySchema): void;
  /** The items of a table as users see them, without our attribute, in a fixed order. */
  items(table: string): readonly TableItem[];
  /** Puts an item as somebody else would: without condition and version. */
  plant(table: string, item: TableItem): void;
  removeItem(table: string, key: TableItem): void;
}

interface Table {
  readonly key: KeySchema;
  /** By the JSON of the key. */
  readonly items: Map<string, MarshalledItem>;
}

const attributeNames = { string: "S", number: "N", bytes: "B" } as const;

/**
 * DynamoDB tables in this process: the same marshalling, sizes and refusals, W1's condition by `mayReplace`.
 * Answers come on the microtask queue.
 *
 * @example
 * const { tables, createTable } = memoryTables();
 * createTable("airports", [{ name: "airport", type: "string" }]);
 */
export function memoryTables(): MemoryTables {
  const all = new Map<string, Table>();
  const table = (name: string): Table => {
    const found = all.get(name);
    if (found !== undefined) return found;
    throw new StreamError("invalid", `table "${name}" does not exist; create it, or bind the sink to another`);
  };
  const inOrder = (name: string) => [...table(name).items].sort(([a], [b]) => byteOrder(a, b)).map(([, item]) => item);

  return {
    tables: {
      async describe(name) {
        const found = all.get(name);
        return found === undefined ? { kind: "absent" } : { kind: "found", key: found.key };
      },
      async put(put) {
        const item = versionedItem(put);
        const { key, items } = table(put.table);
        const address = addressOf(put.table, key, keyOf(put));
        const current = items.get(address);
        const version = versionOf(current, put.table);
        if (!mayReplace(version, put.version) || !fulfils(current, put.onlyIf))
          return { kind: "refused", version: version?.slice() ?? null };
        items.set(address, structuredClone(item));
        return { kind: "written" };
      },
      async transact({ table: name, increments, mark }) {
        const { key: schema, items } = table(name);
        const changed = new Map<string, MarshalledItem>();
        const change = (key: TableItem, by: (item: MarshalledItem) => MarshalledItem) => {
          const address = addressOf(name, schema, key);
          if (changed.has(address)) throw invalidIn(name, "a transaction changes an item twice");
          changed.set(address, by(items.get(address) ?? marshalItem(key)));
        };
        checkTransaction(name, increments);
        const position = items.get(addressOf(name, schema, mark.key))?.[markAttribute]?.S;
        if (position !== undefined && byteOrder(position, mark.position) >= 0) return { kind: "passed" };
        change(mark.key, (item) => ({ ...item, [markAttribute]: { S: mark.position } }));
        for (const { key, add } of increments) change(key, (item) => incremented(name, item, add));
        for (const [address, item] of changed) items.set(address, item);
        return { kind: "applied" };
      },
      async read(name, key) {
        const { key: schema, items } = table(name);
        const item = items.get(addressOf(name, schema, key));
        return item === undefined ? null : unmarshalItem(structuredClone(item));
      },
      measure: (item) => sizeOfItem(marshalItem(item)),
    },
    createTable: (name, key) => void all.set(name, { key, items: new Map() }),
    items: (name) =>
      inOrder(name).map((item) => {
        const { [versionAttribute]: _version, ...rest } = structuredClone(item);
        return unmarshalItem(rest);
      }),
    plant(name, item) {
      const { key, items } = table(name);
      const address = addressOf(name, key, Object.fromEntries(key.map((part) => [part.name, item[part.name]])));
      items.set(address, structuredClone(marshalItem(item)));
    },
    removeItem(name, key) {
      const { key: schema, items } = table(name);
      items.delete(addressOf(name, schema, key));
    },
  };
}

const invalidIn = (table: string, what: string) => new StreamError("invalid", `table "${table}": ${what}`);

function checkTransaction(table: string, increments: readonly TableIncrement[]): void {
  if (increments.length > incrementsMax)
    throw invalidIn(table, `a transaction of ${increments.length} increments; it may have ${incrementsMax}`);
  if (increments.some(({ add }) => Object.keys(add).length === 0))
    throw invalidIn(table, "an increment has no attribute");
}

function incremented(table: string, item: MarshalledItem, add: TableIncrement["add"]): MarshalledItem {
  const sums = Object.entries(add).map(([name, n]) => {
    const before = Object.hasOwn(item, name) ? item[name] : { N: "0" };
    if (before?.N === undefined) throw invalidIn(table, `the attribute "${name}" of an item is no number`);
    return [name, { N: plus(before.N, n) }] as const;
  });
  const after = { ...item, ...Object.fromEntries(sums) };
  if (sizeOfItem(after) > itemBytesMax) throw invalidIn(table, `an item would have more than ${itemBytesMax} bytes`);
  return after;
}

/** One text for one key. @throws StreamError `invalid` where it is not the key of the table */
function addressOf(table: string, schema: KeySchema, key: TableItem): string {
  const refuse = (what: string) => new StreamError("invalid", `table "${table}": ${what}`);
  if (Object.keys(key).length !== schema.length) {
    throw refuse(`its key is (${schema.map((part) => part.name).join(", ")}), not (${Object.keys(key).join(", ")})`);
  }
  const marshalled = marshalItem(key);
  const parts = schema.map(({ name, type }) => {
    const { S, N, B } = marshalled[name] ?? {};
    const value = { string: S, number: N, bytes: B }[type];
    if (value === undefined) throw refuse(`the key attribute "${name}" must be ${attributeNames[type]} (${type})`);
    if (value.length === 0) throw refuse(`the key attribute "${name}" is empty`);
    return typeof value === "string" ? value : Buffer.from(value).toString("hex");
  });
  return JSON.stringify(parts);
}
