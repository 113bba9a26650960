import type { DynamoStore, Item, ItemsDb, Write } from "./dynamodb-store.js";
import { prefixes } from "./dynamodb-store.js";

/** A view of the store in which an operation of dynalite runs without writing. */
export interface Shadow {
  readonly store: DynamoStore;
  /** What the operation would have written, keys as in the database. */
  readonly writes: Write[];
  /** The item that the operation found under its key. */
  found(): Item | undefined;
}

/** Reads go to the store, writes are collected; locks are not taken, for the caller holds them. */
export function shadowOf(store: DynamoStore): Shadow {
  const writes: Write[] = [];
  let found: Item | undefined;
  const view = (db: ItemsDb, prefix: string): ItemsDb => ({
    lock: (_key, run) => run((done) => done),
    get: db.get,
    put(key, item, done) {
      writes.push({ type: "put", key: prefix + key, value: item });
      setImmediate(done);
    },
    del(key, done) {
      writes.push({ type: "del", key: prefix + key });
      setImmediate(done);
    },
  });
  const shadow: DynamoStore = {
    ...store,
    getItemDb: (table) =>
      watched(view(store.getItemDb(table), prefixes.items(table)), (item) => {
        found = item;
      }),
    getIndexDb: (type, table, index) => view(store.getIndexDb(type, table, index), prefixes.index(type, table, index)),
  };
  return { store: shadow, writes, found: () => found };
}

/** The store as it is, telling which item an operation found; dynalite's refusals do not say it. */
export function tellingFound(store: DynamoStore, tell: (item: Item | undefined) => void): DynamoStore {
  return { ...store, getItemDb: (table) => watched(store.getItemDb(table), tell) };
}

function watched(db: ItemsDb, tell: (item: Item | undefined) => void): ItemsDb {
  return {
    ...db,
    get: (key, done) =>
      db.get(key, (error, item) => {
        tell(item);
        done(error, item);
      }),
  };
}
