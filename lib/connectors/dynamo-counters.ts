import { StreamError } from "../model/errors.js";
import { padded } from "../model/ids.js";
import { versionAttribute } from "../model/versions.js";
import { kindOf, refuse } from "../pipeline/checks.js";
import { deletedKey } from "../pipeline/deletion.js";
import type { SegmentToken, Sink } from "../pipeline/sink.js";
import type { TargetResources } from "../pipeline/sink-target.js";
import type { LogTarget } from "../pipeline/write-ahead-log.js";
import {
  type AttributeType,
  attributesAddedMax,
  itemBytesMax,
  markAttribute,
  type TableItem,
} from "../ports/tables.js";
import { again } from "./again.js";
import { addedBy, transactionsOf } from "./increments.js";
import { portLog } from "./port-log.js";
import {
  checkedTable,
  checkTableKey,
  type KeyAttribute,
  type KeyKind,
  type Kinded,
  type Named,
  rowKey,
} from "./table-key.js";

interface CountersOptions<K> {
  /** The logical name of the table. */
  readonly table: string;
  /** The table's key attributes, partition key first: their names where all are strings, else their types by name. */
  readonly key: K;
}

/** Rows of one key are added up within a segment: the more rows it has, the fewer writes. Never to be changed, as the cut of segments. */
const segmentRowsMax = 10_000;

/** The partition key of items that are marks begins with it. */
const reserved = "~tidemark/";
/** So that a thousand increments of a segment still have no more than the 38 digits that DynamoDB keeps. */
const digitsMax = 34;
const incrementMost = 10n ** BigInt(digitsMax) - 1n;

/**
 * Counters in a DynamoDB table as a sink: a row is the key of an item and what to add to its attributes. Every row counts exactly
 * once, whatever crashes, is retried or comes late: increments and a mark of how far the task has come are one transaction (C5).
 *
 * An item, or attribute, that is not there counts from 0. Unlike with `dynamoTable` others may write to the same items: what is
 * there is added to. The table also holds marks: items whose partition key begins with `~tidemark/`, one for each task and
 * generation, which readers leave out.
 *
 * @param options `table`: the logical name. `key`: the key attributes, partition key first, all strings; or their types by name. The
 *   partition key must be a string or bytes, since marks have names
 * @throws StreamError `invalid` at build: no key, or a number as partition key; at start: the table is absent, has another key, or
 *   the endpoint has no transactions; at a record: what is to be added is no whole number
 * @example stream.map(({ origin }) => ({ airport: origin, flights: 1 })).to("totals", dynamoCounters({ table: "totals", key: ["airport"] }))
 */
export function dynamoCounters<const K extends string>(
  options: CountersOptions<readonly [K] | readonly [K, K]>,
): Sink<Named<K>>;
export function dynamoCounters<const K extends Readonly<Record<string, keyof KeyKind>>>(
  options: CountersOptions<K>,
): Sink<Kinded<K>>;
export function dynamoCounters(
  options: CountersOptions<readonly string[] | Readonly<Record<string, AttributeType>>>,
): Sink<never> {
  const { table, key } = checkedTable("dynamoCounters", options);
  const where = `dynamoCounters "${table}"`;
  if (key[0]?.type === "number")
    refuse(
      where,
      `its partition key "${key[0].name}" is a number, and the table must hold marks, whose keys are texts: use a table whose partition key is a string or bytes`,
    );
  const config = { table, key: key.map(({ name, type }) => ({ name, type })) };
  const open = (resources: TargetResources) => openCounters(resources, where, key);
  return portLog<TableItem>({
    kind: "dynamo-counters",
    config,
    target: { kind: "table", name: table },
    rowsMax: segmentRowsMax,
    open,
  }) as Sink<never>;
}

function openCounters(resources: TargetResources, where: string, key: readonly KeyAttribute[]): LogTarget<TableItem> {
  const { tables, clock, target: table } = resources;
  const keyOf = (row: TableItem) => rowKey(where, key, row);
  const markKey = (lane: string): TableItem =>
    Object.fromEntries(key.map(({ name, type }, index) => [name, index === 0 ? firstPart(type, lane) : rest[type]]));
  return {
    async check() {
      await checkTableKey(tables, table, { maker: "dynamoCounters", key });
      // Whether the endpoint has transactions, and lets this role make one, only a transaction tells.
      const mark = { key: markKey("check"), position: "0" };
      await again(clock, () => tables.transact({ table, increments: [], mark }));
    },
    validate: (row) => checkRow(row, { where, key, keyOf, size: (item) => tables.measure(item) }),
    async apply({ token, rows }) {
      const mark = markKey(token.lane);
      let passed = "";
      for (const [index, increments] of transactionsOf(rows, key, keyOf).entries()) {
        const position = positionOf(token, index);
        if (position <= passed) continue;
        const done = await again(clock, () => tables.transact({ table, increments, mark: { key: mark, position } }));
        if (done.kind === "applied") continue;
        passed = await markedAt();
        if (passed < position)
          throw new StreamError("transient", `the mark of ${token.lane} stands at "${passed}", before ${position}`);
      }

      async function markedAt(): Promise<string> {
        const item = await again(clock, () => tables.read(table, mark));
        return String(item?.[markAttribute] ?? "");
      }
    },
  };
}

const rest = { string: "~", number: 0, bytes: Buffer.from("~") } as const;

const firstPart = (type: AttributeType, lane: string): string | Uint8Array =>
  type === "bytes" ? Buffer.from(`${reserved}${lane}`) : `${reserved}${lane}`;

/** Within a lane it grows with every transaction. Never to be changed: tables keep it. */
const positionOf = ({ position }: SegmentToken, index: number): string => `${position}-${padded(index, 4)}`;

interface RowCheck {
  readonly where: string;
  readonly key: readonly KeyAttribute[];
  readonly keyOf: (row: TableItem) => string;
  readonly size: (item: TableItem) => number;
}

/** @throws StreamError `invalid` where it could not be added */
function checkRow(row: TableItem, { where, key, keyOf, size }: RowCheck): void {
  if (deletedKey(row) !== null) refuse(where, "a row is deleted(), but counters are only added to");
  keyOf(row);
  const [first] = key;
  const name = first === undefined ? undefined : row[first.name];
  const text = name instanceof Uint8Array ? Buffer.from(name).toString("latin1") : String(name);
  if (text.startsWith(reserved)) refuse(where, `the key of a row begins with "${reserved}", as those of marks do`);
  for (const [attribute, value] of Object.entries(row)) {
    if (value === undefined || key.some((part) => part.name === attribute)) continue;
    checkAdded(where, attribute, value);
  }
  const count = addedBy(row, key).length;
  if (count === 0) refuse(where, "a row has no attribute but its key: there is nothing to add");
  if (count > attributesAddedMax)
    refuse(where, `a row adds to ${count} attributes; a transaction takes ${attributesAddedMax} of an item`);
  if (size(row) > itemBytesMax)
    refuse(
      where,
      `a row has ${size(row)} bytes, an item may have ${itemBytesMax} (400 KB): count in fewer attributes, or under shorter names`,
    );
}

const ours: ReadonlySet<string> = new Set([markAttribute, versionAttribute]);

function checkAdded(where: string, attribute: string, value: unknown): void {
  if (attribute === "") refuse(where, "a row has an attribute without a name");
  if (ours.has(attribute)) refuse(where, `a row has an attribute "${attribute}": that name is ours`);
  const isNumber = typeof value === "number" || typeof value === "bigint";
  if (!isNumber) refuse(where, `"${attribute}" of a row is ${kindOf(value)}, which cannot be added`);
  if (typeof value === "number" && !Number.isSafeInteger(value)) refuse(where, inexact(attribute, value));
  if (typeof value === "bigint" && (value > incrementMost || value < -incrementMost))
    refuse(where, `"${attribute}" of a row has more than ${digitsMax} digits`);
}

function inexact(attribute: string, value: number): string {
  if (Number.isInteger(value))
    return `"${attribute}" of a row is larger than a number holds exactly (2^53): give a bigint`;
  if (!Number.isFinite(value)) return `"${attribute}" of a row is ${value}, which cannot be added`;
  return `"${attribute}" of a row has a fraction, and sums of fractions are not exact: count in smaller units, such as cents`;
}
