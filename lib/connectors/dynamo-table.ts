import { invariant, StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { mayReplace, sameIncarnation, versionAttribute } from "../model/versions.js";
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
import { checkedConditions, comparisonsFor, type TableCondition } from "./table-conditions.js";
import {
  checkedTable,
  checkTableKey,
  type KeyAttribute,
  type KeyKind,
  type Kinded,
  type Named,
  rowKey,
} from "./table-key.js";

/** Puts under way at a time. */
const putsAtOnce = 16;

interface TableOptions<K> {
  readonly table: string;
  readonly key: K;
  /** All of it must be so of the item that a row would replace; where it is not, the row is left out, and that is no failure. */
  readonly onlyIf?: readonly TableCondition[];
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
 * With `onlyIf` a row is written only where the item that is there is as it says ({@link TableCondition}): a row of another one is left
 * out. It is judged when the row is written, so for held output once a checkpoint, of the newest row of a key.
 *
 * @param options `table`: the logical name. `key`: the key attributes, partition key first, all strings; or their types by name:
 *   `{ airport: "string", year: "number" }`
 * @throws StreamError `invalid` at build: no key; at start: the table is absent or has another key; at a cut: a row over 400 KB
 * @example stream.to("airports", dynamoTable({ table: "airports", key: ["airport"] }))
 * @example stream.to("airports", dynamoTable({ table: "airports", key: ["airport"], delivery: "eager", stableKeys: true }))
 * @example
 * const onlyIf = [{ attribute: "updatedAt", is: "<", row: "updatedAt", orAbsent: true }] as const;
 * stream.to("profiles", dynamoTable({ table: "profiles", key: ["user"], onlyIf }));
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
  const { table, key } = checkedTable("dynamoTable", options);
  checkDelivery(options);
  const onlyIf = checkedConditions(whereOf(table), options.onlyIf);
  const where = whereOf(table);
  const keyOf = (row: TableItem) => rowKey(where, key, (deletedKey(row) as TableItem | null) ?? row);
  const config = {
    table,
    key: key.map(({ name, type }) => ({ name, type })),
    ...(onlyIf.length === 0 ? {} : { onlyIf: onlyIf.map((one) => ({ ...one })) }),
  };
  const open = (resources: SinkResources) => openTable(resources, resources.bind("table", table), { key, onlyIf });
  if (options.delivery !== "eager") {
    return {
      kind: "dynamo-table",
      delivery: "held",
      redirectable: true,
      config,
      keyOf,
      open,
    } satisfies HeldSink<never>;
  }
  const keyFor = (of: Key) => rowKey(where, key, itemWithKey(table, key, of));
  return {
    kind: "dynamo-table",
    delivery: "eager",
    redirectable: true,
    config: { ...config, delivery: "eager" },
    keyOf,
    keyFor,
    open,
  } satisfies EagerSink<never>;
}

function checkDelivery(options: {
  readonly table: string;
  readonly delivery?: string;
  readonly stableKeys?: unknown;
}): void {
  const { table, delivery } = options;
  if (delivery !== undefined && delivery !== "held" && delivery !== "eager")
    throw invalidSink(table, `delivery is ${JSON.stringify(delivery)}; it must be "held" or "eager"`);
  if (delivery === "eager" && options.stableKeys !== true)
    throw invalidSink(
      table,
      'delivery "eager" is exact only where which keys are written depends neither on time nor on the order of arrival: say so with stableKeys: true, or leave the delivery out (W3)',
    );
}

const whereOf = (table: string): string => `dynamoTable "${table}"`;
const invalidSink = (table: string, why: string) => new StreamError("invalid", `${whereOf(table)}: ${why}`);

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

interface Writing {
  readonly key: readonly KeyAttribute[];
  readonly onlyIf: readonly TableCondition[];
}

function openTable(resources: SinkResources, target: string, writing: Writing): HeldWriter & EagerWriter {
  const { key, onlyIf } = writing;
  const validate = (row: unknown) => {
    checkItem(resources, target, row as TableItem);
    comparisonsFor(target, onlyIf, row as TableItem);
  };
  return {
    target,
    check: () => checkTableKey(resources.tables, target, { maker: "dynamoTable", key }),
    validate,
    close: async () => undefined,
    async apply(table, writes, permit) {
      const uncovered = writes.find((write) => write.checkpointId > permit.completed.checkpointId);
      invariant(uncovered === undefined, "C2: a row is committed whose checkpoint was not seen complete");
      await putAll(resources, table, writing, writes);
    },
    async put(rows) {
      for (const { row } of rows) validate(row);
      await putAll(resources, target, writing, rows);
    },
  };
}

async function putAll(
  resources: SinkResources,
  table: string,
  writing: Writing,
  rows: readonly VersionedRow[],
): Promise<void> {
  for (let i = 0; i < rows.length; i += putsAtOnce) {
    await Promise.all(rows.slice(i, i + putsAtOnce).map((row) => putRow(resources, table, writing, row)));
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

/**
 * W1: refused by an equal one is done; by a newer one of the same incarnation, written since: done too, for it covers this one. What is
 * refused although it might replace what is there is left out: the item is not as the user's condition says. Or it has changed since;
 * so it is put once more.
 */
async function putRow(resources: SinkResources, table: string, writing: Writing, write: VersionedRow): Promise<void> {
  const row = write.row as TableItem;
  const item = write.change === "put" ? row : tombstone(row, resources.clock);
  const key = writing.key.map(({ name }) => name);
  const onlyIf = comparisonsFor(table, writing.onlyIf, row);
  const put = { table, key, item, version: write.version, ...(onlyIf.length === 0 ? {} : { onlyIf }) };
  let unfit = 0;
  let pause = pauseMillis;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const result = await resources.tables.put(put).catch(retryable);
    if (result?.kind === "written") return;
    if (result?.kind === "refused" && result.version !== null) {
      if (!sameIncarnation(result.version, write.version)) throw foreign(table, key);
      if (!mayReplace(result.version, write.version)) return;
    }
    if (result?.kind === "refused" && onlyIf.length > 0 && ++unfit === 2) return;
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
