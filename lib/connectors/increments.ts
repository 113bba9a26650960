import { attributesAddedMax, incrementsMax, type TableIncrement, type TableItem } from "../ports/tables.js";
import type { KeyAttribute } from "./table-key.js";

/** A row of counters, once it was checked: key attributes, and whole numbers. */
export type CounterRow = TableItem;

interface Sum {
  readonly key: TableItem;
  readonly add: Map<string, bigint>;
}

/**
 * The increments of a segment in transactions: each key's rows are added up, in the order in which keys come first, and a key stands
 * in a transaction once. Never to be changed: a segment that is applied again is cut as it was, and where it was cut is part of its
 * position (C5).
 */
export function transactionsOf(
  rows: readonly CounterRow[],
  key: readonly KeyAttribute[],
  keyOf: (row: CounterRow) => string,
): readonly (readonly TableIncrement[])[] {
  // Of a key more than one where it has more attributes than an update adds to.
  const byKey = new Map<string, Sum[]>();
  for (const row of rows) {
    const name = keyOf(row);
    const added = addedBy(row, key);
    const sums = byKey.get(name) ?? [];
    let sum = sums.find((one) => fitsIn(one, added));
    if (sum === undefined) {
      sum = { key: keyItem(row, key), add: new Map<string, bigint>() };
      sums.push(sum);
    }
    for (const [attribute, n] of added) sum.add.set(attribute, (sum.add.get(attribute) ?? 0n) + n);
    byKey.set(name, sums);
  }
  const transactions: TableIncrement[][] = [];
  const most = Math.max(0, ...[...byKey.values()].map((sums) => sums.length));
  for (let nth = 0; nth < most; nth++) {
    const increments = [...byKey.values()].flatMap((sums) => {
      const sum = sums[nth];
      return sum === undefined ? [] : [{ key: sum.key, add: fromEntries(sum.add) }];
    });
    for (let first = 0; first < increments.length; first += incrementsMax)
      transactions.push(increments.slice(first, first + incrementsMax));
  }
  return transactions;
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
