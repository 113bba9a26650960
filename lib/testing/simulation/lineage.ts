import { canonicalJson } from "../../model/canonical-json.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import type { Plan } from "../../pipeline/plan.js";
import type { TablePut } from "../../ports/tables.js";
import { stateOf } from "./checkpoint-state.js";
import type { Cloud } from "./cloud.js";
import type { Input, Put } from "./input.js";
import { includedIn, rowName, rowsOf, tallyOf } from "./oracle.js";
import type { Process, Stage } from "./process.js";
import { tableKeys, tables } from "./tally-pipeline.js";

/** A checkpoint that the head was seen to move to. */
export interface Completed {
  readonly ref: CheckpointRef;
  readonly manifest: Manifest;
}

export interface LineageParts {
  readonly stage: Stage;
  readonly cloud: Cloud;
  readonly input: Input;
  readonly plan: Plan;
  readonly padding: number;
}

/** The complete checkpoints, and what the tables may show because of them. */
export class Lineage {
  readonly completed: Completed[] = [];
  /** P0: where the source begins, as the first generation resolved it. */
  start = 0;
  readonly #parts: LineageParts;
  #arrivals: readonly number[] = [];
  /** By row: every content that a completed checkpoint gives it, oldest first. */
  readonly #contents = new Map<string, string[]>();
  /** By row: which of its contents the table has. */
  readonly #shown = new Map<string, number>();

  constructor(parts: LineageParts) {
    this.#parts = parts;
  }

  /** The state of a checkpoint reflects exactly the records before its positions, and goes on from the one before. */
  async add(completed: Completed): Promise<void> {
    const { stage, cloud, input, plan, padding } = this.#parts;
    const { ref, manifest } = completed;
    this.completed.push(completed);
    const included = includedIn(input, manifest, this.start);
    const state = await stateOf(cloud, plan, manifest, padding);
    for (const key of new Set(input.puts.map((put) => put.key))) {
      const ofKey = included.filter((put) => put.key === key);
      const [found, must] = [canonicalJson(state.tallyOf(key)), canonicalJson(tallyOf(key, ofKey, padding))];
      if (found !== must)
        stage.violated(`state of checkpoint ${ref.checkpointId}: ${key} is ${found}, must be ${must}`);
    }
    this.#checkArrivals(ref, state.arrivals, included);
    for (const [row, content] of rowsOf(included, padding, state.arrivals)) {
      const contents = this.#contents.get(row) ?? [];
      if (contents.at(-1) !== content) contents.push(content);
      this.#contents.set(row, contents);
    }
  }

  #checkArrivals(ref: CheckpointRef, arrivals: readonly number[], included: readonly Put[]): void {
    const { stage } = this.#parts;
    const all = [...arrivals].sort((a, b) => a - b).join();
    if (all !== included.map(({ n }) => n).join())
      stage.violated(`state of checkpoint ${ref.checkpointId}: it took ${arrivals}, its positions say otherwise`);
    if (arrivals.slice(0, this.#arrivals.length).join() !== this.#arrivals.join())
      stage.violated(`R7: checkpoint ${ref.checkpointId} took ${arrivals}, the one before it ${this.#arrivals}`);
    this.#arrivals = arrivals;
  }

  /** R1, C1, C2: a row is sent only as some complete checkpoint has it. */
  checkPut(process: Process, put: TablePut): void {
    const row = nameOf(put);
    const content = canonicalJson(put.item);
    if (this.#contentsOf(row).includes(content)) return;
    this.#parts.stage.violated(`C2: ${process.name} puts ${content} into ${row}, which no complete checkpoint holds`);
  }

  /** W1: what a table shows of a key never goes back. */
  written(process: Process, put: TablePut): void {
    const row = nameOf(put);
    const now = this.#contentsOf(row).indexOf(canonicalJson(put.item));
    if (now < (this.#shown.get(row) ?? -1))
      this.#parts.stage.violated(`W1: ${process.name} takes ${row} back to ${canonicalJson(put.item)}`);
    this.#shown.set(row, now);
  }

  /** C3: when the pipeline rests, the tables show all that is complete. */
  checkAtRest(status: string): void {
    for (const [row, contents] of this.#contents) {
      if (this.#shown.get(row) === contents.length - 1) continue;
      this.#parts.stage.violated(`C3: ${status}, but ${row} does not show ${contents.at(-1)}`);
    }
  }

  /** What the last complete checkpoint reflects. */
  get included(): readonly Put[] {
    const last = this.completed.at(-1);
    return last === undefined ? [] : includedIn(this.#parts.input, last.manifest, this.start);
  }

  /** At the end: exactly the rows of these records, no more and no less. */
  checkResult(records: readonly Put[]): void {
    const { stage, cloud, padding } = this.#parts;
    const expected = rowsOf(records, padding, this.#arrivals);
    const found = new Map<string, string>();
    for (const name of Object.keys(tables) as (keyof typeof tables)[]) {
      for (const item of cloud.tables.items(tables[name]))
        found.set(rowName(tables[name], String(item[tableKeys[name]])), canonicalJson(item));
    }
    for (const name of new Set([...expected.keys(), ...found.keys()])) {
      if (found.get(name) === expected.get(name)) continue;
      stage.violated(`result: ${name} is ${found.get(name)}, must be ${expected.get(name)}`);
    }
  }

  #contentsOf(row: string): readonly string[] {
    return this.#contents.get(row) ?? [];
  }
}

const nameOf = (put: TablePut): string => rowName(put.table, put.key.map((name) => String(put.item[name])).join("/"));
