import { StreamError } from "../../model/errors.js";
import { kindOf } from "../../pipeline/checks.js";
import { deletedKey } from "../../pipeline/deletion.js";
import type { Column, TableShape, TableUse } from "./table-shape.js";
import { hasExactText, valueText } from "./values.js";

/** What a row of the sink does to the table: by column, values as JSON. */
export interface Change {
  readonly kind: "put" | "delete";
  readonly values: ReadonlyMap<string, string>;
  /** Of a table with a key: the key's values as JSON. Two texts that differ may mean one key where it is not exact. */
  readonly key: string;
  readonly exactKey: boolean;
}

/** @throws StreamError `invalid` where the table could not take it, whatever stands there */
export function changeOf(use: TableUse, shape: TableShape, row: unknown): Change {
  const deletion = deletedKey(row);
  if (deletion !== null) return deletionOf(use, shape, deletion);
  const values = valuesOf(use, shape, row);
  for (const { name, notNull } of shape.required) {
    if (values.has(name) && !(use.key?.includes(name) && values.get(name) === "null")) continue;
    const why = use.key?.includes(name)
      ? "it is of the key: each row must have it"
      : notNull
        ? "the column takes no null, and has no default"
        : 'it is one of "columns": give it, if need be as null';
    throw new StreamError("invalid", `${use.where}: a row has no ${JSON.stringify(name)}; ${why}`);
  }
  return { kind: "put", values, ...keyOf(use, shape, values, row as object) };
}

function deletionOf(use: TableUse, shape: TableShape, deletion: object): Change {
  const { where, key } = use;
  if (key === null)
    throw new StreamError("invalid", `${where}: a row is deleted, but rows are appended; use mode: "upsert"`);
  const values = valuesOf({ ...use, columns: null }, shape, deletion);
  const isKey = values.size === key.length && key.every((name) => (values.get(name) ?? "null") !== "null");
  if (!isKey)
    throw new StreamError(
      "invalid",
      `${where}: a deletion has ${[...values.keys()].join(", ") || "nothing"}; give deleted() the key alone: ${key.join(", ")}`,
    );
  return { kind: "delete", values, ...keyOf(use, shape, values, deletion) };
}

function valuesOf({ where, columns }: TableUse, shape: TableShape, row: unknown): ReadonlyMap<string, string> {
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw new StreamError("invalid", `${where}: a row is ${kindOf(row)}, not an object with columns as members`);
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(row)) {
    if (value === undefined) continue;
    const column = shape.columns.get(name);
    if (column === undefined || (columns !== null && !columns.includes(name)))
      throw new StreamError(
        "invalid",
        `${where}: a row has ${JSON.stringify(name.slice(0, 80))}, which is no column of ${columns === null ? "the table" : '"columns"'}; leave it out of the row, or add the column and start again`,
      );
    values.set(name, valueText(where, column, value));
  }
  return values;
}

function keyOf(
  { key }: TableUse,
  { columns }: TableShape,
  values: ReadonlyMap<string, string>,
  row: object,
): Pick<Change, "key" | "exactKey"> {
  if (key === null) return { key: "", exactKey: true };
  const isExact = (name: string) =>
    hasExactText(columns.get(name) as Column, (row as Readonly<Record<string, unknown>>)[name]);
  return { key: rowText(key, values), exactKey: key.every(isExact) };
}

/** JSON, in the order of the names. */
export const rowText = (names: readonly string[], values: ReadonlyMap<string, string>): string =>
  `{${names.map((name) => `${JSON.stringify(name)}:${values.get(name) ?? "null"}`).join(",")}}`;

/** One statement: rows of the same columns. */
export interface Step {
  readonly kind: Change["kind"];
  readonly names: readonly string[];
  readonly rows: readonly ReadonlyMap<string, string>[];
}

/** Each change by itself: right whatever the key is, and slow. */
export const oneByOne = (changes: readonly Change[]): readonly Step[] =>
  changes.map(({ kind, values }) => ({ kind, names: [...values.keys()], rows: [values] }));

/** As few statements as do the same as {@link oneByOne}. */
export function inSteps({ key }: TableUse, changes: readonly Change[]): readonly Step[] {
  if (key === null) return runsOf(changes);
  if (!changes.every(({ exactKey }) => exactKey)) return oneByOne(changes);
  const gone: Change[] = [];
  const put = new Map<string, Change>();
  for (const [of, { remove, last }] of foldByKey(changes)) {
    if (remove !== null) gone.push(remove);
    if (last !== null) put.set(of, last);
  }
  return [...byColumns(gone), ...byColumns([...put.values()])];
}

/** What becomes of a key: its row goes, a row is put, or first the one, then the other. */
interface Outcome {
  readonly remove: Change | null;
  readonly last: Change | null;
}

/** One statement changes no row twice: of each key the last change counts, with what earlier ones said of other columns. */
function foldByKey(changes: readonly Change[]): ReadonlyMap<string, Outcome> {
  const outcomes = new Map<string, Outcome>();
  for (const change of changes) {
    const { remove = null, last = null } = outcomes.get(change.key) ?? {};
    if (change.kind === "delete") outcomes.set(change.key, { remove: change, last: null });
    else if (last === null) outcomes.set(change.key, { remove, last: change });
    else outcomes.set(change.key, { remove, last: { ...change, values: new Map([...last.values, ...change.values]) } });
  }
  return outcomes;
}

const columnsOf = ({ values }: Change): string => JSON.stringify([...values.keys()].sort());

function byColumns(changes: readonly Change[]): readonly Step[] {
  const groups = new Map<string, Change[]>();
  for (const change of changes) {
    const of = columnsOf(change);
    const group = groups.get(of) ?? [];
    groups.set(of, group);
    group.push(change);
  }
  return [...groups.values()].map(stepOf);
}

/** In their order: rows that follow each other, as long as they have the same columns. */
function runsOf(changes: readonly Change[]): readonly Step[] {
  const runs: Change[][] = [];
  for (const change of changes) {
    const run = runs.at(-1);
    if (run?.[0] !== undefined && columnsOf(run[0]) === columnsOf(change)) run.push(change);
    else runs.push([change]);
  }
  return runs.map(stepOf);
}

const stepOf = (changes: readonly Change[]): Step => ({
  kind: changes[0]?.kind ?? "put",
  names: [...(changes[0]?.values.keys() ?? [])],
  rows: changes.map(({ values }) => values),
});
