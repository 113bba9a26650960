import { invariant, StreamError } from "../model/errors.js";
import { keyBytes } from "../model/keys.js";
import { mayReplace, sameIncarnation, versionAttribute } from "../model/versions.js";
import { kindOf } from "../pipeline/checks.js";
import type { HeldWrite, HeldWriter, Sink, SinkResources } from "../pipeline/sink.js";
import { type AttributeType, itemBytesMax, type TableItem } from "../ports/tables.js";

type KeyKind = { string: string; number: number; bytes: Uint8Array };
type Named<K extends string> = { readonly [P in K]: string };
type Kinded<K extends Readonly<Record<string, keyof KeyKind>>> = { readonly [P in keyof K]: KeyKind[K[P]] };

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const partitionKeyBytesMax = 2_048;
const sortKeyBytesMax = 1_024;

/** Puts under way at a time. */
const putsAtOnce = 16;

/**
 * A DynamoDB table as a sink: each row is one item, whole, written under a condition, so that any number of repeats leaves the
 * same item. Rows are held: of each key the newest is written when the checkpoint that covers it is complete (section 8, W1).
 *
 * Items get one attribute of ours, `~tidemark`: 24 bytes that say which write they are. An item without it is taken over.
 *
 * @param options `table`: the logical name. `key`: the key attributes, partition key first, all strings; or their types by name:
 *   `{ airport: "string", year: "number" }`
 * @throws StreamError `invalid` at build: no key; at start: the table is absent or has another key; at a cut: a row over 400 KB
 * @example stream.to("airports", dynamoTable({ table: "airports", key: ["airport"] }))
 */
export function dynamoTable<const K extends string>(options: {
  readonly table: string;
  readonly key: readonly [K] | readonly [K, K];
  readonly delivery?: "held";
}): Sink<Named<K>>;
export function dynamoTable<const K extends Readonly<Record<string, keyof KeyKind>>>(options: {
  readonly table: string;
  readonly key: K;
  readonly delivery?: "held";
}): Sink<Kinded<K>>;
export function dynamoTable(options: {
  readonly table: string;
  readonly key: readonly string[] | Readonly<Record<string, AttributeType>>;
  readonly delivery?: "held";
}): Sink<never> {
  const key = checkedKey(options);
  return {
    kind: "dynamo-table",
    delivery: "held",
    config: { table: options.table, key: key.map(({ name, type }) => ({ name, type })) },
    keyOf: (row: TableItem) => rowKey(options.table, key, row),
    open: (resources) => openTable(resources, resources.bind(options.table), key),
  } satisfies Sink<never>;
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
}): readonly KeyAttribute[] {
  const { table, key, delivery } = options;
  if (typeof table !== "string" || table === "") throw invalidSink(String(table), `"table" must name a table`);
  if (delivery !== undefined && delivery !== "held")
    throw invalidSink(table, `delivery "${delivery}" is not there yet; leave it out (rows are held)`);
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

function openTable(resources: SinkResources, target: string, key: readonly KeyAttribute[]): HeldWriter {
  const names = key.map(({ name }) => name);
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
    validate(row) {
      const item = row as TableItem;
      if (Object.hasOwn(item, "")) throw invalidSink(target, "a row has an attribute without a name");
      if (Object.hasOwn(item, versionAttribute))
        throw invalidSink(target, `a row has an attribute "${versionAttribute}": that name is ours`);
      const size = resources.tables.measure(item) + versionAttribute.length + 24;
      if (size > itemBytesMax) {
        throw invalidSink(
          target,
          `a row has ${size} bytes, an item may have ${itemBytesMax} (400 KB): write less into it, or put the body into S3 and its name into the row`,
        );
      }
    },
    async apply(table, writes, permit) {
      const uncovered = writes.find((write) => write.checkpointId > permit.completed.checkpointId);
      invariant(uncovered === undefined, "C2: a row is committed whose checkpoint was not seen complete");
      for (let i = 0; i < writes.length; i += putsAtOnce) {
        await Promise.all(writes.slice(i, i + putsAtOnce).map((write) => putHeld(resources, table, names, write)));
      }
    },
  };
}

const describeKey = (key: readonly KeyAttribute[]): string =>
  `(${key.map(({ name, type }) => `${name}: ${type}`).join(", ")})`;

/** W1: refused by an equal one is done; by a newer one of the same incarnation, written since: done too, for it covers this one. */
async function putHeld(
  resources: SinkResources,
  table: string,
  key: readonly string[],
  write: HeldWrite,
): Promise<void> {
  const put = { table, key, item: write.row as TableItem, version: write.version };
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
