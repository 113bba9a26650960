import { posix } from "node:path";
import { type DedupeState, dedupe, emptyDedupe, inheritDedupe } from "../../model/dedupe.js";
import { StreamError } from "../../model/errors.js";
import type { Plan } from "../../pipeline/plan.js";
import { type AttributeType, markAttribute, type TableItem } from "../../ports/tables.js";
import { byteOrder } from "../memory/byte-order.js";
import type { MemoryFiles } from "../memory/files.js";
import type { MemoryLog } from "../memory/log.js";
import type { MemoryObjects } from "../memory/objects.js";
import type { KeySchema, MemoryTables } from "../memory/tables.js";
import { type ObjectsConfig, objectRows } from "./object-rows.js";

/** By sink: what a reader of it sees, for sinks that are neither tables nor files, here or in a bucket. */
export type Seen = Readonly<Record<string, (() => readonly unknown[]) | undefined>>;

/** What a table sink's config says (`dynamoTable`). */
interface TableConfig {
  readonly table: string;
  readonly key: KeySchema;
}

/** What a file sink's config says (`fileSink`). */
interface FileConfig {
  readonly folder: string;
  readonly codec: string;
}

/** What a stream sink's config says (`kinesisStream`). */
interface StreamConfig {
  readonly stream: string;
  readonly codec: string;
}

/** Readers leave out what has it: a tombstone (W4). */
const deletedAttribute = "~deleted";

/** A table or bucket for every sink that writes to one. @throws StreamError `invalid` where nobody could say what a reader sees */
export function makeTargets(plan: Plan, { tables, objects, log }: Omit<Targets, "files">, seen: Seen): void {
  for (const [name, { kind, config }] of plan.sinks) {
    if (kind === "dynamo-table" || kind === "dynamo-counters") {
      const { table, key } = config as unknown as TableConfig;
      tables.createTable(table, key);
    } else if (kind === "kinesis-stream") log.control.createStream((config as unknown as StreamConfig).stream, 1);
    else if (kind === "s3-files") objects.createBucket((config as unknown as ObjectsConfig).bucket);
    else if (kind !== "file" && seen[name] === undefined) {
      throw new StreamError(
        "invalid",
        `runPipeline(): sink "${name}" is of kind "${kind}", whose rows it cannot find; give { seen: { "${name}": () => rows } }`,
      );
    }
  }
}

/** Where sinks write. */
export interface Targets {
  readonly tables: MemoryTables;
  readonly files: MemoryFiles;
  readonly objects: MemoryObjects;
  readonly log: MemoryLog;
}

/** What a reader sees in each sink. */
export async function seenRows(
  plan: Plan,
  targets: Targets,
  seen: Seen,
): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const rows: Record<string, readonly unknown[]> = {};
  for (const [name, { kind, config }] of plan.sinks) {
    const told = seen[name];
    if (told !== undefined) rows[name] = told();
    else if (kind === "file") rows[name] = await fileRows(targets.files, config as unknown as FileConfig);
    else if (kind === "s3-files") rows[name] = await objectRows(targets.objects, config as unknown as ObjectsConfig);
    else if (kind === "kinesis-stream") rows[name] = streamRows(targets.log, config as unknown as StreamConfig);
    else rows[name] = tableRows(targets.tables, config as unknown as TableConfig);
  }
  return rows;
}

function tableRows(tables: MemoryTables, { table, key }: TableConfig): readonly TableItem[] {
  return tables
    .items(table)
    .filter((item) => !Object.hasOwn(item, deletedAttribute) && !Object.hasOwn(item, markAttribute))
    .toSorted(byKey(key));
}

/** Of all shards, oldest first, each as a reader takes it that leaves out repeats (C6). */
function streamRows({ control }: MemoryLog, { stream, codec }: StreamConfig): readonly unknown[] {
  const states = new Map<string, DedupeState>();
  const rows: unknown[] = [];
  for (const { shardId, parents } of control.shards(stream)) {
    let state = inheritDedupe(parents.map((parent) => states.get(parent) ?? emptyDedupe));
    for (const { data } of control.records(stream, shardId)) {
      const next = dedupe(state, data);
      state = next.state;
      if (next.fresh) rows.push(rowIn(next.payload, codec));
    }
    states.set(shardId, state);
  }
  return rows;
}

function rowIn(payload: Uint8Array, codec: string): unknown {
  if (codec !== "json") return codec === "text" ? Buffer.from(payload).toString("utf8") : payload;
  return JSON.parse(Buffer.from(payload).toString("utf8"));
}

/** Of all files in the order of their names, that of the checkpoints. */
async function fileRows({ files }: MemoryFiles, { folder, codec }: FileConfig): Promise<readonly unknown[]> {
  const rows: unknown[] = [];
  for (const name of await files.list(folder)) {
    const text = Buffer.from((await files.read(posix.join(folder, name))) ?? []).toString("utf8");
    const lines = text.split("\n").filter((line) => line !== "");
    rows.push(...lines.map((line): unknown => (codec === "json" ? JSON.parse(line) : line)));
  }
  return rows;
}

function byKey(key: KeySchema): (a: TableItem, b: TableItem) => number {
  return (a, b) => {
    for (const { name, type } of key) {
      const order = compare(a[name], b[name], type);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function compare(a: unknown, b: unknown, type: AttributeType): number {
  if (type === "number") return Number(a) - Number(b);
  return type === "bytes" ? Buffer.compare(a as Uint8Array, b as Uint8Array) : byteOrder(String(a), String(b));
}
