import { setTimeout as delay } from "node:timers/promises";
import { type Done, type Emulator, type Fields, type Lock, loadEmulator } from "./emulators.js";
import { openStore } from "./storage.js";

/** An item in DynamoDB's JSON: `{ id: { S: "a" }, n: { N: "1" } }`. */
export type Item = Record<string, Fields>;

/** A table or an index within dynalite's one database. */
export interface ItemsDb {
  readonly lock: Lock;
  readonly get: (key: string, done: Done<Item>) => void;
  readonly put: (key: string, item: Item, done: Done) => void;
  readonly del: (key: string, done: Done) => void;
}

export interface Table {
  readonly TableName: string;
  readonly TableStatus: "CREATING" | "ACTIVE" | "UPDATING" | "DELETING";
  readonly GlobalSecondaryIndexes?: readonly { readonly IndexStatus: string }[];
}

export type Write =
  | { readonly type: "put"; readonly key: string; readonly value: unknown }
  | { readonly type: "del"; readonly key: string };

interface Database {
  open(): Promise<unknown>;
  close(): Promise<unknown>;
  get(key: string): Promise<unknown>;
  batch(writes: readonly Write[]): Promise<unknown>;
  iterator(range: { readonly gte: string; readonly lt: string }): AsyncIterable<[string, unknown]>;
}
export interface DynamoStore {
  readonly options: { readonly maxItemSize: number };
  readonly db: Database;
  readonly tableDb: { readonly lock: Lock };
  getItemDb(table: string): ItemsDb;
  getIndexDb(type: string, table: string, index: string): ItemsDb;
  getTable(name: string, checkStatus: boolean, done: Done<Table>): void;
}

/** What is used of `dynalite/db`. The functions that validate give back the refusal. */
export interface DynamoDatabase {
  create(options: Fields): DynamoStore;
  createKey(item: Item, table: Table): string;
  validateKey(key: Item, table: Table): Error | null | undefined;
  validateItem(item: Item, table: Table): Error | null | undefined;
  itemSize(item: Item): number;
}

export interface DynamoParts {
  readonly emulator: Emulator<DynamoDatabase>;
  readonly store: DynamoStore;
}

// biome-ignore format: a list
const operations = [
  "BatchGetItem", "BatchWriteItem", "CreateTable", "DeleteItem", "DeleteTable", "DescribeTable", "DescribeTimeToLive", "GetItem",
  "ListTables", "PutItem", "Query", "Scan", "TagResource", "UntagResource", "ListTagsOfResource", "UpdateItem", "UpdateTable",
];
const atOnce = { createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 };

/** How dynalite names a table's items, its indexes and the tables themselves in its one database. */
export const prefixes = {
  table: "table~",
  items: (table: string): string => `item-${table}~`,
  index: (type: string, table: string, index: string): string => `index-${type.toLowerCase()}~${table}~${index}~`,
};

/** Opens dynalite's store in `folder` (null: in memory), with the tables that a killed process left half changed put right. */
export async function openDynamoStore(folder: string | null): Promise<DynamoParts> {
  const emulator = loadEmulator<DynamoDatabase>("dynalite", operations);
  const store = await openStore(folder, () => {
    const opening = emulator.database.create({ ...atOnce, ...(folder === null ? {} : { path: folder }) });
    return { store: opening, opened: opening.db.open() };
  });
  await settleTables(store);
  return { emulator, store };
}

/** The table, or undefined when there is none of that name. */
export function tableNamed(store: DynamoStore, name: string): Promise<Table | undefined> {
  return new Promise((resolve, reject) => {
    store.getTable(name, false, (error, table) => {
      if (!error) resolve(table);
      else if (error.name === "NotFoundError") resolve(undefined);
      else reject(error);
    });
  });
}

/** Waits until a change that has been accepted is done, so that an answer means that it is on disk. */
export async function untilSettled(store: DynamoStore, name: string): Promise<void> {
  for (;;) {
    const table = await tableNamed(store, name);
    if (table === undefined || isSettled(table)) return;
    await delay(1);
  }
}

const isSettled = (table: Table): boolean =>
  table.TableStatus === "ACTIVE" &&
  (table.GlobalSecondaryIndexes ?? []).every((index) => index.IndexStatus === "ACTIVE");

/** Everything in the database whose key begins with `prefix`. */
export function entriesUnder(db: Database, prefix: string): AsyncIterable<[string, unknown]> {
  return db.iterator({ gte: prefix, lt: `${prefix}\uffff` });
}

// A change is accepted by one write and done by a second one. Who was killed between them never answered, so either way is right:
// what was being created or deleted is gone, what was being changed is active.
async function settleTables(store: DynamoStore): Promise<void> {
  const writes: Write[] = [];
  for await (const [key, value] of entriesUnder(store.db, prefixes.table)) {
    const table = value as Table;
    if (!isSettled(table)) writes.push(...(await settling(store, key, table)));
  }
  if (writes.length > 0) await store.db.batch(writes);
}

async function settling(store: DynamoStore, key: string, table: Table): Promise<Write[]> {
  if (table.TableStatus === "ACTIVE" || table.TableStatus === "UPDATING") {
    const indexes = table.GlobalSecondaryIndexes?.map((index) => ({ ...index, IndexStatus: "ACTIVE" }));
    const value = { ...table, TableStatus: "ACTIVE", ...(indexes ? { GlobalSecondaryIndexes: indexes } : {}) };
    return [{ type: "put", key, value }];
  }
  const gone: Write[] = [{ type: "del", key }];
  for (const prefix of [
    prefixes.items(table.TableName),
    prefixes.index("local", table.TableName, "").slice(0, -1),
    prefixes.index("global", table.TableName, "").slice(0, -1),
  ]) {
    for await (const [owned] of entriesUnder(store.db, prefix)) gone.push({ type: "del", key: owned });
  }
  return gone;
}
