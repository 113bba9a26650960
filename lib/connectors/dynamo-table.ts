import { invariant, StreamError } from "../model/errors.js";
import { type Key, keyBytes } from "../model/keys.js";
import { mayReplace, sameIncarnation, versionAttribute } from "../model/versions.js";
import { kindOf } from "../pipeline/checks.js";
import { type Deletion, deletedKey } from "../pipeline/deletion.js";
import type {
  EagerSink,
  EagerWriter,
  HeldSink,
  HeldWriter,
  Sink,
  SinkResources,
  VersionedRow,
} from "../pipeline/sink.js";
import type { Clock } from "../ports/clock.js";
import { type AttributeType, itemBytesMax, type TableItem } from "../ports/tables.js";

type KeyKind = { string: string; number: number; bytes: Uint8Array };
type Named<K extends string> = { readonly [P in K]: string };
type Kinded<K extends Readonly<Record<string, keyof KeyKind>>> = { readonly [P in keyof K]: KeyKind[K[P]] };

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const partitionKeyBytesMax = 2_048;
const sortKeyBytesMax = 1_024;

/** Puts under way at a time. */
const putsAtOnce = 16;

interface TableOptions<K> {
  readonly table: string;
  readonly key: K;
}

/**
 * How rows are delivered. `held`: of each key the newest row is written when the checkpoint that covers it is complete, so that
 * a reader sees complete checkpoints only. `eager`: at once, for readers that cannot wait; a reader may see work that a failure
 * repeats. Only right behind an operator with state, by its key, and only where *which* keys are written depends neither on time
 * nor on the order of arrival, which `stableKeys` says: else a key written before a crash, and not after it, would stay (W3).
 */
type TableDelivery = { readonly delivery?: "held" } | { readonly delivery: "eager"; readonly stableKeys: true };

/**
 * A DynamoDB table as a sink: each row is one item, whole, written under a condition, so that any number of repeats leaves the
 * same item (W1). {@link deleted} in place of a row makes its item a tombstone (W4).
 *
 * Items get one attribute of ours, `~tidemark`: 24 bytes that say which write they are. An item without it is taken over.
 *
 * @param options `table`: the logical name. `key`: the key attributes, partition key first, all strings; or their types by name:
 *   `{ airport: "string", year: "number" }`
 * @throws StreamError `invalid` at build: no key; at start: the table is absent or has another key; at a cut: a row over 400 KB
 * @example stream.to("airports", dynamoTable({ table: "airports", key: ["airport"] }))
 * @example stream.to("airports", dynamoTable({ table: "airports", key: ["airport"], delivery: "eager", stableKeys: true }))
 */
export function dynamoTable<const K extends string>(
  options: TableOptions<readonly [K] | readonly [K, K]> & TableDelivery,
): Sink<Named<K> | Deletion<Named<K>>>;
export function dynamoTable<const K extends Readonly<Record<string, keyof KeyKind>>>(
  options: TableOptions<K> & TableDelivery,
): Sink<Kinded<K> | Deletion<Kinded<K>>>;
export function dynamoTable(
  options: TableOptions<readonly string[] | Readonly<Record<string, AttributeType>>> & TableDelivery,
): Sink<never> {
  const { table } = options;
  const key = checkedKey(options);
  const keyOf = (row: TableItem) => rowKey(table, key, (deletedKey(row) as TableItem | null) ?? row);
  const config = { table, key: key.map(({ name, type }) => ({ name, type })) };
  const open = (resources: SinkResources) => openTable(resources, resources.bind("table", table), key);
  if (options.delivery !== "eager") {
    return { kind: "dynamo-table", delivery: "held", config, keyOf, open } satisfies HeldSink<never>;
  }
  const keyFor = (of: Key) => rowKey(table, key, itemWithKey(table, key, of));
  return {
    kind: "dynamo-table",
    delivery: "eager",
    config: { ...config, delivery: "eager" },
    keyOf,
    keyFor,
    open,
  } satisfies EagerSink<never>;
}

interface KeyAttribute {
  readonly name: string;
  readonly type: AttributeType;
}

const types: ReadonlySet<string> = new Set(["string", "number", "bytes"]);

function checkedKey(options: {
  readonly table: string;
  readonly key: unknown;
  readonly delivery?: string;
  readonly stableKeys?: unknown;
}): readonly KeyAttribute[] {
  const { table, key, delivery } = options;
  if (typeof table !== "string" || table === "") throw invalidSink(String(table), `"table" must name a table`);
  if (delivery !== undefined && delivery !== "held" && delivery !== "eager")
    throw invalidSink(table, `delivery is ${JSON.stringify(delivery)}; it must be "held" or "eager"`);
  if (delivery === "eager" && options.stableKeys !== true)
    throw invalidSink(
      table,
      'delivery "eager" is exact only where which keys are written depends neither on time nor on the order of arrival: say so with stableKeys: true, or leave the delivery out (W3)',
    );
  const attributes = Array.isArray(key)
    ? key.map((name: unknown) => ({ name, type: "string" }))
    : Object.entries(typeof key === "object" && key !== null ? key : {}).map(([name, type]) => ({
        name,
        type: type as unknown,
      }));
  const good = attributes.every(({ name, type }) => typeof name === "string" && name !== "" && types.has(String(type)));
  if (attributes.length < 1 || attributes.length > 2 || !good) {
    throw invalidSink(
      table,
      `it has no key; give the table's key attributes, partition key first: key: ["airport"], or with types: key: { airport: "string", year: "number" }`,
    );
  }
  return attributes as readonly KeyAttribute[];
}

const invalidSink = (table: string, why: string) => new StreamError("invalid", `dynamoTable "${table}": ${why}`);

/** The key attributes of an operator's key: the key itself, or its parts in order. */
function itemWithKey(table: string, attributes: readonly KeyAttribute[], key: Key): TableItem {
  const parts = Array.isArray(key) ? key : [key];
  if (parts.length === attributes.length)
    return Object.fromEntries(attributes.map(({ name }, index) => [name, parts[index]]));
  throw invalidSink(
    table,
    `it has ${attributes.length} key attributes, the operator before it a key of another form (W3)`,
  );
}

/** What tells rows apart: the key attributes' bytes. */
function rowKey(table: string, key: readonly KeyAttribute[], row: TableItem): string {
  if (typeof row !== "object" || row === null) throw invalidSink(table, `a row is ${kindOf(row)}, not an object`);
  const [only] = key;
  if (key.length === 1 && only?.type === "string")
    return stringKey(table, row[only.name], only.name, partitionKeyBytesMax);
  const limits = [partitionKeyBytesMax, sortKeyBytesMax];
  return key.map((attribute, index) => partKey(table, row[attribute.name], attribute, limits[index] ?? 0)).join("|");
}

function stringKey(table: string, value: unknown, name: string, bytesMax: number): string {
  if (typeof value !== "string" || value === "") throw badKeyValue(table, name, "a string that is not empty", value);
  // Bytes of UTF-8 are counted only where there may be too many: at most three for a UTF-16 unit.
  if (value.length * 3 > bytesMax && Buffer.byteLength(value) > bytesMax) throw longKeyValue(table, name, bytesMax);
  return value;
}

function partKey(table: string, value: unknown, { name, type }: KeyAttribute, bytesMax: number): string {
  if (type === "bytes") {
    if (!(value instanceof Uint8Array) || value.length === 0) throw badKeyValue(table, name, "bytes", value);
    if (value.length > bytesMax) throw longKeyValue(table, name, bytesMax);
    return Buffer.from(value).toString("hex");
  }
  if (type === "number") {
    if (typeof value !== "number" || !Number.isFinite(value)) throw badKeyValue(table, name, "a finite number", value);
    return Buffer.from(keyBytes(value)).toString("hex");
  }
  return Buffer.from(stringKey(table, value, name, bytesMax), "utf8").toString("hex");
}

function longKeyValue(table: string, name: string, bytesMax: number): StreamError {
  return invalidSink(
    table,
    `key attribute "${name}" of a row has more than ${bytesMax} bytes, which DynamoDB refuses; write a shorter key, such as a hash of it`,
  );
}

function badKeyValue(table: string, name: string, expected: string, value: unknown): StreamError {
  const isEmpty = value === "" || (value instanceof Uint8Array && value.length === 0);
  const found = value === undefined ? "is missing" : `is ${isEmpty ? "empty" : kindOf(value)}`;
  return invalidSink(table, `key attribute "${name}" of a row ${found}; it must be ${expected}`);
}

function openTable(resources: SinkResources, target: string, key: readonly KeyAttribute[]): HeldWriter & EagerWriter {
  const names = key.map(({ name }) => name);
  const validate = (row: unknown) => checkItem(resources, target, row as TableItem);
  return {
    target,
    async check() {
      const found = await resources.tables.describe(target);
      if (found.kind === "absent")
        throw new StreamError(
          "invalid",
          `sink table "${target}": there is no such table; create it with the key ${describeKey(key)}`,
        );
      if (describeKey(found.key) !== describeKey(key)) {
        throw new StreamError(
          "invalid",
          `sink table "${target}": its key is ${describeKey(found.key)}, the pipeline writes by ${describeKey(key)}; change dynamoTable's "key", or use another table`,
        );
      }
    },
    validate,
    close: async () => undefined,
    async apply(table, writes, permit) {
      const uncovered = writes.find((write) => write.checkpointId > permit.completed.checkpointId);
      invariant(uncovered === undefined, "C2: a row is committed whose checkpoint was not seen complete");
      await putAll(resources, table, names, writes);
    },
    async put(rows) {
      for (const { row } of rows) validate(row);
      await putAll(resources, target, names, rows);
    },
  };
}

async function putAll(
  resources: SinkResources,
  table: string,
  key: readonly string[],
  rows: readonly VersionedRow[],
): Promise<void> {
  for (let i = 0; i < rows.length; i += putsAtOnce) {
    await Promise.all(rows.slice(i, i + putsAtOnce).map((row) => putRow(resources, table, key, row)));
  }
}

/** @throws StreamError `invalid` where the table cannot hold it */
function checkItem(resources: SinkResources, target: string, item: TableItem): void {
  if (Object.hasOwn(item, "")) throw invalidSink(target, "a row has an attribute without a name");
  const ours = ourAttributes.find((name) => Object.hasOwn(item, name));
  if (ours !== undefined) throw invalidSink(target, `a row has an attribute "${ours}": that name is ours`);
  const size = resources.tables.measure(item) + versionAttribute.length + 24;
  if (size > itemBytesMax) {
    throw invalidSink(
      target,
      `a row has ${size} bytes, an item may have ${itemBytesMax} (400 KB): write less into it, or put the body into S3 and its name into the row`,
    );
  }
}

/** W4: what stands in a row's place. DynamoDB removes it after a day where the table's TTL attribute is `~expires`. */
const tombstone = (key: TableItem, clock: Clock): TableItem => ({
  ...key,
  [deletedAttribute]: true,
  [expiresAttribute]: Math.ceil(clock.now() / 1_000) + tombstoneSeconds,
});

const tombstoneSeconds = 24 * 3_600;
/** Of a tombstone. Readers leave out items that have it: `attribute_not_exists(#d)` with #d = `~deleted`. */
const deletedAttribute = "~deleted";
const expiresAttribute = "~expires";
const ourAttributes = [versionAttribute, deletedAttribute, expiresAttribute];

const describeKey = (key: readonly KeyAttribute[]): string =>
  `(${key.map(({ name, type }) => `${name}: ${type}`).join(", ")})`;

/** W1: refused by an equal one is done; by a newer one of the same incarnation, written since: done too, for it covers this one. */
async function putRow(
  resources: SinkResources,
  table: string,
  key: readonly string[],
  write: VersionedRow,
): Promise<void> {
  const row = write.row as TableItem;
  const item = write.change === "put" ? row : tombstone(row, resources.clock);
  const put = { table, key, item, version: write.version };
  let pause = pauseMillis;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const result = await resources.tables.put(put).catch(retryable);
    if (result?.kind === "written") return;
    if (result?.kind === "refused" && result.version !== null) {
      if (!sameIncarnation(result.version, write.version)) throw foreign(table, key);
      if (!mayReplace(result.version, write.version)) return;
    }
    if (result === null) {
      await resources.clock.sleep(pause);
      pause = Math.min(2 * pause, pauseMillisMax);
    }
  }
  throw new StreamError("transient", `sink table "${table}": an item could not be written in ${attemptsMax} attempts`);
}

/** A lost answer is told by the condition when the row is put again (R5); a table that throttles is waited for, about half a minute. */
const attemptsMax = 10;
const pauseMillis = 100;
const pauseMillisMax = 5_000;

function retryable(error: unknown): null {
  if (error instanceof StreamError && (error.kind === "transient" || error.kind === "ambiguous")) return null;
  throw error;
}

function foreign(table: string, key: readonly string[]): StreamError {
  return new StreamError(
    "invalid",
    `sink table "${table}": an item (key ${key.join(", ")}) was written by another pipeline, or by this one before its head was deleted (W1). Remove the attribute "${versionAttribute}" from the items to adopt the table, or write to another table`,
  );
}
