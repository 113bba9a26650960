// Changes of immutable data. Entries of a map stay in the order of their names, so that equal states look equal.

export type Entries<T> = Readonly<Record<string, T>>;

export function withEntry<T>(entries: Entries<T>, name: string, value: T): Entries<T> {
  if (name in entries) return { ...entries, [name]: value };
  return byName([...Object.entries(entries), [name, value]]);
}

export function withoutEntry<T>(entries: Entries<T>, name: string): Entries<T> {
  return Object.fromEntries(Object.entries(entries).filter(([other]) => other !== name));
}

export function byName<T>(pairs: readonly (readonly [string, T])[]): Entries<T> {
  return Object.fromEntries([...pairs].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The list with `by` in the place of its element `index`; without `by` the element is left out. */
export function replaced<T>(list: readonly T[], index: number, ...by: readonly T[]): readonly T[] {
  return [...list.slice(0, index), ...by, ...list.slice(index + 1)];
}

export const upTo = (count: number): readonly number[] => [...Array(count).keys()];

/** An entry that must be there. */
export function entry<T>(entries: Entries<T> | readonly T[], name: string | number): T {
  const value = (entries as Entries<T>)[name];
  if (value === undefined) throw new Error(`the model has no ${name}`);
  return value;
}

export const isTwice = (records: readonly string[]): boolean => new Set(records).size !== records.length;

export const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  [...new Set(a)].sort().join() === [...new Set(b)].sort().join();
