import { attributesAddedMax, incrementsMax, type TableIncrement, type TableItem } from "../ports/tables.js";
import type { KeyAttribute } from "./table-key.js";

/** A row of counters, once it was checked: key attributes, and whole numbers. */
export type CounterRow = TableItem;

interface Sum {
  readonly key: TableItem;
  readonly add: Map<string, bigint>;
}

/**
 * The increments of a segment in transactions, each key once in each, in the order in which keys come first. Never to be changed: a
 * segment that is applied again is cut as it was, and where it was cut is part of its position (C5).
 */
export function transactionsOf(
  rows: readonly CounterRow[],
  key: readonly KeyAttribute[],
  keyOf: (row: CounterRow) => string,
): readonly (readonly TableIncrement[])[] {
  const transactions: Map<string, Sum>[] = [];
  let open = new Map<string, Sum>();
  for (const row of rows) {
    const name = keyOf(row);
    const sum = open.get(name);
    const added = addedBy(row, key);
    const fits = sum === undefined ? open.size < incrementsMax : fitsIn(sum, added);
    if (!fits || transactions.length === 0) {
      open = new Map();
      transactions.push(open);
    }
    const into = open.get(name) ?? { key: keyItem(row, key), add: new Map<string, bigint>() };
    for (const [attribute, n] of added) into.add.set(attribute, (into.add.get(attribute) ?? 0n) + n);
    open.set(name, into);
  }
  return transactions.map((sums) => [...sums.values()].map((sum) => ({ key: sum.key, add: fromEntries(sum.add) })));
}

const fitsIn = (sum: Sum, added: readonly (readonly [name: string, n: bigint])[]): boolean =>
  sum.add.size + added.filter(([name]) => !sum.add.has(name)).length <= attributesAddedMax;

const keyItem = (row: CounterRow, key: readonly KeyAttribute[]): TableItem =>
  fromEntries(key.map(({ name }) => [name, row[name]] as const));

/** What a row adds: all its attributes but the key's; members that are `undefined` are left out. */
export const addedBy = (
  row: CounterRow,
  key: readonly KeyAttribute[],
): readonly (readonly [name: string, n: bigint])[] =>
  Object.entries(row)
    .filter(([name, value]) => value !== undefined && !key.some((part) => part.name === name))
    .map(([name, value]) => [name, BigInt(value as number | bigint)] as const);

/** Own members, whatever their names: assigning to `__proto__` would lose one. */
const fromEntries = <T>(entries: Iterable<readonly [string, T]>): Record<string, T> => Object.fromEntries(entries);
