import { isDeepStrictEqual } from "node:util";
import { dynamoTables } from "../connectors/dynamo-tables.js";
import { tableItems } from "../connectors/table-items.js";
import { StreamError } from "../model/errors.js";
import type { TableItem } from "../ports/tables.js";
import { type StoreFlags, withStore } from "./checkpoints.js";
import type { Target } from "./environment.js";
import { writeLines } from "./lines-out.js";

/** What a key has in two tables, of which one may not have it. Values are those of the items. */
export interface OutputChange {
  readonly change: "added" | "removed" | "changed";
  readonly key: TableItem;
  /** Of the first table; null where it has none. */
  readonly before: TableItem | null;
  readonly now: TableItem | null;
}

/** Items of the first table are kept in memory; one more is refused. */
const itemsMax = 2_000_000;

/**
 * What differs between two tables with the same key, key by key: tombstones are no items, and attributes of ours are left out. The
 * order is that of the second table, then what the first alone has.
 *
 * @param first physical names, as `second`
 * @throws StreamError `invalid`: a table is absent, or they have other keys
 */
export async function* diffTables(
  target: Target,
  first: string,
  second: string,
): AsyncGenerator<OutputChange, void, void> {
  const { dynamo } = target.clients;
  const names = await commonKey(target, first, second);
  const keyOf = (item: TableItem): TableItem => Object.fromEntries(names.map((name) => [name, item[name]]));
  const left = new Map<string, TableItem>();
  for await (const item of tableItems(dynamo, first)) {
    if (left.size === itemsMax) throw tooLarge(first);
    left.set(textOf(keyOf(item)), item);
  }
  for await (const now of tableItems(dynamo, second)) {
    const key = keyOf(now);
    const before = left.get(textOf(key)) ?? null;
    left.delete(textOf(key));
    if (before === null) yield { change: "added", key, before, now };
    else if (!isDeepStrictEqual(before, now)) yield { change: "changed", key, before, now };
  }
  for (const before of left.values()) yield { change: "removed", key: keyOf(before), before, now: null };
}

/** Numbers and texts are told apart, and bytes are by their values. */
const textOf = (key: TableItem): string =>
  JSON.stringify(
    Object.values(key).map((part) =>
      part instanceof Uint8Array ? { bytes: Buffer.from(part).toString("hex") } : part,
    ),
    (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value),
  );

async function commonKey(target: Target, first: string, second: string): Promise<readonly string[]> {
  const tables = dynamoTables(target.clients.dynamo);
  const described = [];
  for (const name of [first, second]) {
    const found = await tables.describe(name);
    if (found.kind === "absent") throw new StreamError("invalid", `there is no table "${name}"`);
    described.push(found.key);
  }
  const [a = [], b = []] = described;
  if (isDeepStrictEqual(a, b)) return a.map(({ name }) => name);
  throw new StreamError("invalid", `the tables "${first}" and "${second}" have other keys: nothing can be compared`);
}

const tooLarge = (table: string): StreamError =>
  new StreamError(
    "invalid",
    `table "${table}" has more than ${itemsMax.toLocaleString("en-US")} items, which are compared in memory; compare exports of both instead`,
  );

/** A bigint as its digits, bytes as base64. */
const json = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return String(part);
    return part instanceof Uint8Array ? Buffer.from(part).toString("base64") : part;
  });

const signs = { added: "+", removed: "-", changed: "~" } as const;

/** Of what changed only the attributes that differ are shown. */
function textLine({ change, key, before, now }: OutputChange): string {
  if (before === null || now === null) return `${signs[change]} ${json(before ?? now)}\n`;
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const differing = names.filter((name) => !isDeepStrictEqual(before[name], now[name]));
  const values = differing.map((name) => `${name}: ${json(before[name]) ?? "none"} → ${json(now[name]) ?? "none"}`);
  return `${signs[change]} ${json(key)} ${values.join(", ")}\n`;
}

/** Prints what differs between two tables that a pipeline, or its fork, or its replay, has written. */
export async function printOutputDiff(
  file: string,
  tables: { readonly before: string; readonly now: string },
  flags: StoreFlags & { readonly json: boolean },
): Promise<void> {
  const counts = { added: 0, removed: 0, changed: 0 };
  await withStore(file, flags, async ({ target }) => {
    for await (const one of diffTables(target, tables.before, tables.now)) {
      counts[one.change]++;
      await writeLines([flags.json ? `${json(one)}\n` : textLine(one)]);
    }
  });
  const told = Object.entries(counts).map(([change, count]) => `${count.toLocaleString("en-US")} ${change}`);
  if (!flags.json) process.stderr.write(`from table "${tables.before}" to "${tables.now}": ${told.join(", ")}\n`);
}
