import type { SinkMode } from "../../model/head.js";
import { deadLetterSink } from "../../pipeline/dead-letter.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { folder, tableKeys, tables } from "./tally-pipeline.js";

/** A table of the pipeline, by its own name. */
export type TableName = keyof typeof tables;

/** A generation as its output shows it (W2): which code made its rows, and where they go. */
export interface Output {
  readonly version: string;
  readonly modes: SinkModes;
}

/** Of redirects. */
export const suffixes = ["x", "y"] as const;

export const fileSinkName = "lines";
const sinkOf = (table: TableName): string => (table === "dead" ? deadLetterSink : table);

const targetIn = (mode: SinkMode | undefined, name: string): string | null => {
  if (mode?.kind === "dry-run") return null;
  return mode?.kind === "redirect" ? `${name}-${mode.suffix}` : name;
};

/** The table that rows go to; null: none. */
export const targetOf = (table: TableName, modes: SinkModes): string | null =>
  targetIn(modes[sinkOf(table)], tables[table]);

/** The folder that files go to; null: none. */
export const folderOf = (modes: SinkModes): string | null => targetIn(modes[fileSinkName], folder);

export const folders: readonly string[] = [folder, ...suffixes.map((suffix) => `${folder}-${suffix}`)];

/** A table that is there, and of which of the pipeline's it is. */
export interface TargetTable {
  readonly name: string;
  readonly of: TableName;
  /** The attribute that is its key. */
  readonly key: string;
}

export const targetTables: readonly TargetTable[] = (Object.keys(tables) as TableName[]).flatMap((of) =>
  [tables[of], ...suffixes.map((suffix) => `${tables[of]}-${suffix}`)].map((name) => ({
    name,
    of,
    key: tableKeys[of],
  })),
);

const byName = new Map(targetTables.map((table) => [table.name, table]));

export function targetTable(name: string): TargetTable {
  const found = byName.get(name);
  if (found === undefined) throw new Error(`a row goes to the table "${name}", which is not there`);
  return found;
}
