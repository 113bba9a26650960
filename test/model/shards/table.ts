import { type Entries, entry, withEntry, withoutEntry } from "../changes.js";
import { childrenOf, type Entry, isTrimmed, parentsOf, type Setup, type State, shardOf, type Table } from "./state.js";

/** P0: the shards of the first list whose parents are gone. */
export function firstTable(setup: Setup, state: State, list: readonly string[]): Table {
  let table: Table = {};
  for (const name of list.filter((shard) => !parentsOf(setup, shard).some((parent) => list.includes(parent))))
    table = withEntry(table, name, rootEntry(setup, state, name));
  return table;
}

function rootEntry(setup: Setup, { resolved }: State, name: string): Entry {
  const base = { after: -1, at: "open", isFresh: true } as const;
  if (setup.start === "latest") return { ...base, next: nextFrom(setup, name, resolved), readTo: resolved };
  if (setup.rules.horizon === "a start of its own") return { ...base, next: 0, readTo: 0, at: "horizon" };
  return { ...base, next: 0, readTo: resolved - setup.retention };
}

function nextFrom(setup: Setup, name: string, start: number): number {
  const { records } = shardOf(setup, name);
  const next = records.findIndex(({ time }) => time >= start);
  return next === -1 ? records.length : next;
}

/** K3: the table after a checkpoint: which shards of the list enter, and which finished ones leave. */
export function foldTable(setup: Setup, state: State, table: Table, list: readonly string[]): Table {
  let folded = table;
  for (const name of list) {
    if (table[name] === undefined && mayEnter(setup, table, list, name))
      folded = withEntry(folded, name, childEntry(setup, state, table, name));
  }
  for (const name of Object.keys(table)) {
    if (mayLeave(setup, folded, list, name)) folded = withoutEntry(folded, name);
  }
  return folded;
}

function mayEnter(setup: Setup, table: Table, list: readonly string[], name: string): boolean {
  const parents = parentsOf(setup, name);
  if (setup.rules.entering === "its parents are finished or not listed")
    return parents.every((parent) => table[parent]?.at === "finished" || !list.includes(parent));
  const inTable = parents.flatMap((parent) => table[parent] ?? []);
  const others = parents.filter((parent) => table[parent] === undefined);
  return (
    inTable.length > 0 &&
    inTable.every(({ at }) => at === "finished") &&
    !others.some((parent) => list.includes(parent))
  );
}

/** P1: read to where its earliest parent was. */
function childEntry(setup: Setup, { resolved }: State, table: Table, name: string): Entry {
  const readTos = parentsOf(setup, name).flatMap((parent) => table[parent]?.readTo ?? []);
  const isLate = setup.start === "latest" && setup.rules.childStart === "at the start of the source";
  const next = isLate ? nextFrom(setup, name, resolved) : 0;
  return { next, after: -1, readTo: Math.min(...readTos, Number.MAX_SAFE_INTEGER), at: "open", isFresh: true };
}

function mayLeave(setup: Setup, table: Table, list: readonly string[], name: string): boolean {
  const { leaving, ends } = setup.rules;
  if (table[name]?.at !== "finished" || list.includes(name)) return false;
  const children = childrenOf(setup, name);
  const isIn = (child: string) => table[child] !== undefined;
  if (!children.filter((child) => list.includes(child)).every(isIn)) return false;
  if (ends === "read up to now") return true;
  const isSure = leaving === "it is not listed" || list.some((other) => cameFrom(setup, other, name));
  return children.some(isIn) && isSure;
}

/** By any number of splits and merges. */
export const cameFrom = (setup: Setup, name: string, ancestor: string): boolean =>
  parentsOf(setup, name).some((parent) => parent === ancestor || cameFrom(setup, parent, ancestor));

/** P1: a position whose last record is there needs no clock; else `readTo` decides. */
export function isPast(setup: Setup, state: State, name: string, position: Entry): boolean {
  if (position.at === "horizon") return false;
  const last = shardOf(setup, name).records[position.after];
  const isThere = position.at === "open" && last !== undefined && !isTrimmed(setup, state, last.time);
  return !isThere && isTrimmed(setup, state, position.readTo);
}

/** P1: the first shard of the table that cannot be gone on with: past retention, or finished and nobody has its children in time. */
export function lostShard(setup: Setup, state: State, table: Table): string | undefined {
  return Object.keys(table).find((name) => {
    const position = entry(table as Entries<Entry>, name);
    if (position.at !== "finished") return isPast(setup, state, name, position);
    return isChildless(setup, table, name) && isPast(setup, state, name, position);
  });
}

const isChildless = (setup: Setup, table: Table, name: string): boolean =>
  setup.rules.ends !== "read up to now" && !childrenOf(setup, name).some((child) => table[child] !== undefined);
