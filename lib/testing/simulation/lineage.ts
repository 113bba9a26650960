import { canonicalJson } from "../../model/canonical-json.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import type { ShardTable } from "../../model/shards.js";
import type { Plan } from "../../pipeline/plan.js";
import type { TableItem, TablePut } from "../../ports/tables.js";
import type { Process } from "../faults/process.js";
import { stateOf } from "./checkpoint-state.js";
import type { Cloud } from "./cloud.js";
import { inFlightOf } from "./in-flight.js";
import type { Input, Put } from "./input.js";
import {
  deadOnes,
  gone,
  goodOnes,
  includedIn,
  isReached,
  mainOf,
  newReach,
  noOrders,
  type Orders,
  type RowOptions,
  rowName,
  rowsOf,
  takenOf,
  tallyRow,
} from "./oracle.js";
import type { Stage } from "./stage.js";
import { checkState, rowsOfState } from "./state-checks.js";
import { type Arrivals, onlyFeed, sourceNames, tableKeys, tables } from "./tally-pipeline.js";

/** A checkpoint that the head was seen to move to. */
export interface Completed {
  readonly ref: CheckpointRef;
  readonly manifest: Manifest;
}

/** What a completed checkpoint says, computed once. */
interface Known extends Completed {
  readonly included: readonly Put[];
  readonly orders: Orders;
  /** By row: which of its contents it has. */
  readonly places: ReadonlyMap<string, number>;
}

export interface LineageParts {
  readonly stage: Stage;
  readonly cloud: Cloud;
  readonly input: Input;
  readonly plan: Plan;
  readonly rows: RowOptions;
}

/** The complete checkpoints, and what the tables may show because of them. */
export class Lineage {
  /** In the order of completion, those of lineages that a restore has left too. */
  readonly completed: Completed[] = [];
  readonly reach = newReach();
  readonly #parts: LineageParts;
  readonly #known = new Map<string, Known>();
  /** What the head says is complete. */
  #current: Known | null = null;
  /** A restore went back behind what was complete. */
  #hasLeft = false;
  /** A replay was left for a checkpoint that it did not come from: rows that it wrote, and nobody writes again, stay (W2). */
  #hasGoneAside = false;
  /** By row: every content that a completed checkpoint gives it, oldest first. */
  readonly #contents = new Map<string, string[]>();
  /** By row: which of its contents the table has. */
  readonly #shown = new Map<string, number>();
  /** Of rows that showed, at the last restore, what came after the checkpoint: what complete checkpoints have given them since. */
  readonly #again = new Map<string, Set<string>>();

  constructor(parts: LineageParts) {
    this.#parts = parts;
  }

  /** Shards of a table: of a generation record, or of a manifest. */
  enter(table: ShardTable | null): void {
    for (const source of sourceNames)
      for (const { shardId } of table?.[source]?.shards ?? []) this.reach[source].shards.add(shardId);
  }

  /** A generation goes on from this checkpoint, whatever was complete after it. */
  backTo(origin: CheckpointRef | null): void {
    if (origin?.sha256 !== this.#current?.ref.sha256) this.#hasLeft = true;
    const before = this.back(this.#current?.ref ?? null);
    if (origin !== null && !before.some(({ ref }) => ref.sha256 === origin.sha256)) this.#hasGoneAside = true;
    this.#current = origin === null ? null : (this.#known.get(origin.sha256) ?? null);
    for (const [row, shown] of this.#shown)
      if (shown > (this.#current?.places.get(row) ?? -1)) this.#again.set(row, this.#again.get(row) ?? new Set());
  }

  /** Newest first, those that a checkpoint goes back to. */
  back(from: CheckpointRef | null): readonly Completed[] {
    const found: Completed[] = [];
    for (let ref = from; ref !== null; ) {
      const known: Completed | undefined = this.#known.get(ref.sha256);
      if (known === undefined) break;
      found.push(known);
      ref = known.manifest.previous;
    }
    return found;
  }

  /** What a checkpoint says of state and rows goes by its positions, and by what is under way. */
  async add(completed: Completed): Promise<void> {
    const { stage, cloud, input, plan, rows: options } = this.#parts;
    const { ref, manifest } = completed;
    this.completed.push(completed);
    this.enter(manifest.shards);
    const included = includedIn(input, manifest, this.reach);
    const { numbers } = await inFlightOf(cloud, manifest);
    this.#checkUnderWay(ref, included, numbers);
    const taken = takenOf(included, numbers, options.shape);
    const state = await stateOf(cloud, plan, manifest, options.padding);
    const keys = new Set(input.puts.map((put) => put.key));
    const before = this.#current?.orders ?? noOrders;
    const judged = { stage, options, ref, state, taken, keys, before };
    const orders = checkState(judged);
    const places = new Map(this.#current?.places);
    const rows = options.counts === "once" ? rowsOf(taken, options, orders) : rowsOfState(judged);
    for (const [row, content] of rows) {
      places.set(row, this.#place(row, content));
      this.#again.get(row)?.add(content);
    }
    this.#current = { ...completed, included, orders, places };
    this.#known.set(ref.sha256, this.#current);
  }

  /** Where that content stands among those of the row: where it is already, or behind all of them. */
  #place(row: string, content: string): number {
    const contents = this.#contents.get(row) ?? [];
    this.#contents.set(row, contents);
    const before = this.#current?.places.get(row);
    if (before !== undefined && contents[before] === content) return before;
    return contents.push(content) - 1;
  }

  /** E3: what is under way was read, and is under way once. */
  #checkUnderWay(ref: CheckpointRef, included: readonly Put[], underWay: ReadonlyMap<string, readonly number[]>): void {
    const { stage, rows } = this.#parts;
    // At least once, an operator may have taken, and sent on, what its producer had sent after its cut.
    if (rows.counts === "at least once") return;
    const read = new Set(included.map(({ n }) => n));
    for (const [edge, numbers] of underWay) {
      if (new Set(numbers).size < numbers.length || !numbers.every((n) => read.has(n)))
        stage.violated(
          `E3: checkpoint ${ref.checkpointId} has ${numbers} under way to ${edge}, and has read ${[...read]}`,
        );
    }
  }

  #isEager(table: string): boolean {
    return table === tables.tallies && this.#parts.rows.variant.tallies === "eager";
  }

  /** R1, C1, C2: a row is sent only as some complete checkpoint has it. */
  checkPut(process: Process, put: TablePut): void {
    const row = nameOf(put);
    const content = contentOf(put.table, put.item);
    const mayBe = this.#isEager(put.table) ? this.#isPrefix(put, content) : this.#contentsOf(row).includes(content);
    if (mayBe) return;
    this.#parts.stage.violated(`C2: ${process.name} puts ${content} into ${row}, which no complete checkpoint holds`);
  }

  /** W3: what is written before the checkpoint is what some first records of the key give. */
  #isPrefix(put: TablePut, content: string): boolean {
    const key = String(put.item[tableKeys.tallies]);
    const all = mainOf(this.#parts.input.puts, this.#parts.rows.shape);
    const ofKey = goodOnes(all).filter((one) => one.key === key && isReached(this.reach, one));
    const count = typeof put.item.count === "number" ? put.item.count : null;
    const lengths = count === null ? ofKey.map((_, index) => index + 1) : [count];
    return lengths.some((length) => tallyRow(key, ofKey.slice(0, length), this.#parts.rows) === content);
  }

  /** W1: what a table shows of a key never goes back. */
  written(process: Process, put: TablePut): void {
    if (this.#isEager(put.table)) return;
    const row = nameOf(put);
    const content = contentOf(put.table, put.item);
    const contents = this.#contentsOf(row);
    const before = this.#shown.get(row) ?? -1;
    // A deletion looks like any other: it is the first one that it can be.
    const later = contents.indexOf(content, Math.max(before, 0));
    const now = later === -1 ? contents.lastIndexOf(content) : later;
    // After a restore the row may come to be what it was in the checkpoint that is gone on from, or before it.
    const isCurrent = contents[this.#current?.places.get(row) ?? -1] === content;
    if (now < before && !isCurrent && this.#again.get(row)?.has(content) !== true)
      this.#parts.stage.violated(`W1: ${process.name} takes ${row} back to ${canonicalJson(put.item)}`);
    this.#shown.set(row, now);
  }

  /** C3: when the pipeline rests, the tables show all that is complete; or what was complete in a lineage that a restore has left (W2). */
  checkAtRest(status: string): void {
    for (const [row, place] of this.#current?.places ?? []) {
      const [table = ""] = row.split("/");
      const contents = this.#contentsOf(row);
      const found = this.#shown.get(row) ?? -1;
      // What looks alike may be of a lineage that was left, and came later.
      const shown = this.#hasLeft && found !== -1 ? contents.lastIndexOf(contents[found] ?? "") : found;
      if (this.#isEager(table) || shown >= place || contents[shown] === contents[place]) continue;
      this.#parts.stage.violated(`C3: ${status}, but ${row} does not show ${contents[place]}`);
    }
  }

  /** What the last complete checkpoint reflects. */
  get included(): readonly Put[] {
    return this.#current?.included ?? [];
  }

  /** At the end: exactly the rows of these records, no more and no less. */
  checkResult(records: readonly Put[]): void {
    const { stage, cloud, rows: options } = this.#parts;
    const rows =
      options.counts === "once"
        ? rowsOf(takenOf(records, new Map(), options.shape), options, this.#current?.orders ?? noOrders)
        : new Map([...(this.#current?.places ?? [])].map(([row, at]) => [row, this.#contentsOf(row)[at] ?? gone]));
    const expected = new Map([...rows].filter(([, content]) => content !== gone));
    const found = new Map<string, string>();
    for (const name of Object.keys(tables) as (keyof typeof tables)[]) {
      for (const item of cloud.tables.items(tables[name])) {
        const content = contentOf(tables[name], item);
        if (content !== gone) found.set(rowName(tables[name], String(item[tableKeys[name]])), content);
      }
    }
    for (const name of new Set([...expected.keys(), ...found.keys()])) {
      if (found.get(name) === expected.get(name) || this.#isOfLeft(name, found.get(name), expected.get(name))) continue;
      stage.violated(`result: ${name} is ${found.get(name)}, must be ${expected.get(name)}`);
    }
  }

  /**
   * W2: a row that was not written again shows what it was in a lineage that was left. Where each lineage went back to one that it
   * came from, only the order of arrival may differ there.
   */
  #isOfLeft(row: string, found: string | undefined, must: string | undefined): boolean {
    if (found === undefined || must === undefined) return false;
    if (this.#hasGoneAside) return this.#contentsOf(row).includes(found);
    if (this.#parts.rows.counts === "at least once") return this.#hasLeft && this.#contentsOf(row).includes(found);
    if (row !== rowName(tables.arrivals, onlyFeed) && !row.startsWith(`${tables.chains}/`)) return false;
    const numbers = (row: string) => (JSON.parse(row) as Arrivals).numbers.toSorted((a, b) => a - b).join();
    return this.#hasLeft && this.#contentsOf(row).includes(found) && numbers(found) === numbers(must);
  }

  #contentsOf(row: string): readonly string[] {
    return this.#contents.get(row) ?? [];
  }
}

/** A row as the oracle has it. A deletion leaves a tombstone with the key (W4). */
function contentOf(table: string, item: TableItem): string {
  if (item["~deleted"] === true) return gone;
  return canonicalJson(table === tables.dead ? deadOnes(item) : item);
}

const nameOf = (put: TablePut): string => rowName(put.table, put.key.map((name) => String(put.item[name])).join("/"));
