import { createReadStream } from "node:fs";
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ackFor, tablesOf } from "../checkpoint/written-state.js";
import type { Ack } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { GenerationRecord } from "../model/head.js";
import { type Key, keyGroupCount } from "../model/keys.js";
import type { StoredShape } from "../model/snapshots.js";
import { isPlainObject } from "../pipeline/checks.js";
import type { Plan } from "../pipeline/plan.js";
import type { EncodedSlice } from "../state/entry-encoder.js";
import { snapshotBytesMax } from "../state/snapshot-format.js";
import { encodeSnapshot, type FinishedSnapshot, finishSnapshot, tooLarge } from "../state/snapshot-writer.js";
import { writeEntry } from "../state/state-entry.js";
import { valueOfStateJson } from "../state/state-json.js";
import type { StateTable } from "../state/table.js";
import { counted } from "./lines-out.js";
import { progressLine } from "./progress-line.js";
import { givenKey } from "./state-key.js";

/** State in JSON lines, and whose it is to be. */
export interface StateLines {
  readonly path: string;
  readonly plan: Plan;
  readonly acks: readonly Ack[];
  readonly stages: GenerationRecord["stages"];
}

/** Snapshot files of the lines, checked and encoded, on this machine's disk. */
export interface PreparedState {
  readonly keys: number;
  /** Of each ack, in their order; null: it has no keys. In memory is one at a time. */
  readonly files: readonly (() => Promise<FinishedSnapshot | null>)[];
}

/** Lines that are held in memory as state at a time, in bytes: as state they take some four times as much. */
const partBytes = 4 * 1024 * 1024;
const readBytes = 256 * 1024;
/** Each part of the lines gathers so many characters before they are written. */
const gatheredMax = 64 * 1024;

/**
 * Makes snapshot files of the lines in a folder that is removed at the end. However large the file is, in memory are a part of the lines
 * and the snapshot of one task: the lines are sorted into a file for each task and range of key groups first, and these are read one
 * after the other.
 *
 * @throws StreamError `invalid`, naming file and line: it is no such line, its operator or state is not known, its key was there before
 */
export async function withStateLines<T>(lines: StateLines, act: (state: PreparedState) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-state-"));
  const progress = progressLine();
  try {
    const sorter = new Sorter(folder);
    const keys = await sortLines(lines, sorter, (count) => progress.show(() => `read ${counted(count)}`));
    const files: PreparedState["files"][number][] = [];
    const bad: BadLine[] = [];
    let encoded = 0;
    for (const index of lines.acks.keys()) {
      const show = (count: number) => progress.show(() => `encoded ${counted(encoded + count)} of ${counted(keys)}`);
      const made = await encodeParts(lines, sorter.partsOf(index), { bad, show });
      encoded += made.keys;
      files.push(await onDisk(made, join(folder, `snapshot-${index}`)));
    }
    const first = bad.toSorted((a, b) => a.line - b.line)[0];
    if (first !== undefined) throw refused(lines.path, first);
    progress.end();
    return await act({ keys, files });
  } finally {
    progress.end();
    await rm(folder, { recursive: true, force: true });
  }
}

interface BadLine {
  readonly line: number;
  readonly cause: unknown;
}

function refused(path: string, { line, cause }: BadLine): StreamError {
  const { kind, message } = asStreamError(cause);
  return new StreamError(kind === "bug" ? "invalid" : kind, `${path}, line ${line}: ${message}`, { cause });
}

/** Lines by the ack that gets them and by ranges of key groups, in files; in each in the order in which they came. */
class Sorter {
  readonly #gathered = new Map<string, { readonly path: string; readonly ack: number; text: string }>();

  constructor(readonly folder: string) {}

  async add({ ack, range }: { readonly ack: number; readonly range: number }, line: string): Promise<void> {
    const name = `lines-${ack}-${String(range).padStart(3, "0")}`;
    const part = this.#gathered.get(name) ?? { path: join(this.folder, name), ack, text: "" };
    this.#gathered.set(name, part);
    part.text += `${line}\n`;
    if (part.text.length >= gatheredMax) await this.#write(part);
  }

  async flush(): Promise<void> {
    for (const part of this.#gathered.values()) await this.#write(part);
  }

  /** Ranges of key groups ascending. */
  partsOf(ack: number): readonly string[] {
    return [...this.#gathered.values()]
      .filter((part) => part.ack === ack)
      .map(({ path }) => path)
      .sort();
  }

  async #write(part: { readonly path: string; text: string }): Promise<void> {
    await appendFile(part.path, part.text);
    part.text = "";
  }
}

/** Returns how many keys there are. */
async function sortLines(
  { path, plan, acks, stages }: StateLines,
  sorter: Sorter,
  show: (keys: number) => void,
): Promise<number> {
  const tables = tablesOf(plan);
  const ranges = Math.min(keyGroupCount, Math.ceil((await stat(path)).size / partBytes));
  let [line, keys] = [0, 0];
  for await (const texts of linesOf(path)) {
    for (const text of texts) {
      line += 1;
      if (text.trim() === "") continue;
      try {
        const { operator, keyGroup } = entryIn(text);
        tableOf(tables, operator);
        const ack = acks.indexOf(ackFor(acks, stages, { operator, keyGroup }));
        await sorter.add({ ack, range: Math.floor((keyGroup * ranges) / keyGroupCount) }, `${line} ${text}`);
      } catch (cause) {
        throw refused(path, { line, cause });
      }
      keys += 1;
    }
    show(keys);
  }
  await sorter.flush();
  return keys;
}

/** Blocks of lines. Not by readline, which ends a line at U+2028 too: JSON may have that in a string. */
async function* linesOf(path: string): AsyncGenerator<readonly string[], void, void> {
  let rest = "";
  for await (const chunk of createReadStream(path, { encoding: "utf8", highWaterMark: readBytes })) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    yield lines;
  }
  yield [rest];
}

interface Entry {
  readonly operator: string;
  readonly key: Key;
  readonly keyGroup: number;
  readonly state: Readonly<Record<string, unknown>>;
}

function entryIn(text: string): Entry {
  const read: unknown = JSON.parse(text);
  const { operator, key, state } = isPlainObject(read) ? read : {};
  if (typeof operator !== "string" || key === undefined || !isPlainObject(state))
    throw new StreamError("invalid", 'must be {"operator":…,"key":…,"state":{…}}, as "tidemark state" prints it');
  const given = givenKey(valueOfStateJson(key));
  return { operator, key: given.key, keyGroup: given.keyGroup, state };
}

function tableOf(tables: readonly StateTable[], operator: string): StateTable {
  const table = tables.find((one) => one.operator === operator);
  if (table !== undefined) return table;
  const names = tables.map((one) => `"${one.operator}"`).join(", ");
  throw new StreamError("invalid", `the pipeline has no operator "${operator}" with state; it has ${names || "none"}`);
}

interface Encoded {
  readonly keys: number;
  readonly slices: readonly EncodedSlice[];
  readonly operators: Readonly<Record<string, StoredShape>>;
}

interface Encoding {
  /** Where lines go that are none: all parts are looked at, for the first of the file is named. */
  readonly bad: BadLine[];
  readonly show: (keys: number) => void;
}

async function encodeParts({ plan }: StateLines, parts: readonly string[], { bad, show }: Encoding): Promise<Encoded> {
  const slices: EncodedSlice[] = [];
  const operators: Record<string, StoredShape> = {};
  let [keys, bytes] = [0, 0];
  for (const path of parts) {
    const tables = tablesOf(plan);
    const failed = await fill(tables, path);
    if (failed !== null) bad.push(failed);
    keys += tables.reduce((sum, table) => sum + table.keys, 0);
    show(keys);
    if (bad.length > 0) continue;
    const encoded = encodeSnapshot(tables, { kind: "base" });
    slices.push(...encoded.slices);
    for (const [operator, shape] of Object.entries(encoded.operators)) {
      operators[operator] = merged(operators[operator], shape);
      bytes += sizeOf(encoded.slices, operator);
      if (bytes > snapshotBytesMax) throw tooLarge(operator, snapshotBytesMax);
    }
  }
  // Sorting keeps the order of those that are equal: by operator, then by key group.
  return { keys, slices: slices.sort((a, b) => order(a.operator, b.operator)), operators };
}

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const sizeOf = (slices: readonly EncodedSlice[], operator: string): number =>
  slices.reduce((sum, slice) => sum + (slice.operator === operator ? slice.bytes.length : 0), 0);

const merged = (before: StoredShape | undefined, { keys, states }: StoredShape): StoredShape => ({
  keys: [...new Set([...(before?.keys ?? []), ...keys])].sort(),
  states,
});

/** Fills the tables with a part of the lines; returns the first that is none. */
async function fill(tables: readonly StateTable[], path: string): Promise<BadLine | null> {
  for await (const texts of linesOf(path)) {
    for (const text of texts) {
      if (text === "") continue;
      const end = text.indexOf(" ");
      try {
        enter(tables, entryIn(text.slice(end + 1)));
      } catch (cause) {
        return { line: Number(text.slice(0, end)), cause };
      }
    }
  }
  return null;
}

function enter(tables: readonly StateTable[], { operator, key, state }: Entry): void {
  const table = tableOf(tables, operator);
  const before = table.keys;
  writeEntry(table, key, state);
  if (table.keys === before + 1) return;
  throw new StreamError(
    "invalid",
    "its key was there before, or its state is empty: a line for each key that has state",
  );
}

async function onDisk({ slices, operators }: Encoded, path: string): Promise<PreparedState["files"][number]> {
  if (slices.length === 0) return async () => null;
  const { bytes, ...index } = await finishSnapshot({ kind: "base", slices, operators });
  await writeFile(path, bytes);
  return async () => ({ ...index, bytes: await readFile(path) });
}
