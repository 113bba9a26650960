import { canonicalJson } from "../../model/canonical-json.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import type { ShardTable } from "../../model/shards.js";
import type { Plan } from "../../pipeline/plan.js";
import type { TablePut } from "../../ports/tables.js";
import type { Process } from "../faults/process.js";
import { stateOf } from "./checkpoint-state.js";
import type { Cloud } from "./cloud.js";
import { inFlightOf } from "./in-flight.js";
import type { Input, Put } from "./input.js";
import {
  gone,
  goodOnes,
  includedIn,
  isReached,
  mainOf,
  newReach,
  noOrders,
  type Orders,
  type RowOptions,
  type Rows,
  rowName,
  rowsOf,
  takenOf,
  tallyRow,
} from "./oracle.js";
import { contentOf, madeBy, type Places, ShownRows } from "./shown-rows.js";
import type { Stage } from "./stage.js";
import { checkState, type Judged, rowsOfState } from "./state-checks.js";
import { sourceNames } from "./tally-pipeline.js";
import { type Output, targetOf, targetTable, targetTables } from "./targets.js";

/** A checkpoint that the head was seen to move to. */
export interface Completed {
  readonly ref: CheckpointRef;
  readonly manifest: Manifest;
}

/** What a completed checkpoint says, computed once. */
interface Known extends Completed {
  readonly included: readonly Put[];
  readonly orders: Orders;
  /** By row of the pipeline: how often it was written, in a way. */
  readonly stamps: ReadonlyMap<string, string>;
  /** By row of a target: which of its contents it has. */
  readonly places: Places;
}

export interface LineageParts {
  readonly stage: Stage;
  readonly cloud: Cloud;
  readonly input: Input;
  readonly plan: Plan;
  readonly options: RowOptions;
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
  /**
   * A replay was left for a checkpoint that it did not come from, or for other targets: rows that it wrote, and nobody writes again,
   * stay (W2).
   */
  #hasGoneAside = false;
  readonly #rows = new ShownRows();
  /** By row that is written before the checkpoint: the newest generation that has. */
  readonly #writers = new Map<string, number>();

  constructor(parts: LineageParts) {
    this.#parts = parts;
  }

  /** Shards of a table: of a generation record, or of a manifest. */
  enter(table: ShardTable | null): void {
    for (const source of sourceNames)
      for (const { shardId } of table?.[source]?.shards ?? []) this.reach[source].shards.add(shardId);
  }

  /** A generation goes on from this checkpoint, whatever was complete after it; its sinks may write elsewhere than those before. */
  backTo(origin: CheckpointRef | null, targets: "the same" | "others"): void {
    const before = this.back(this.#current?.ref ?? null);
    const isAside = origin !== null && !before.some(({ ref }) => ref.sha256 === origin.sha256);
    if (isAside || targets === "others") this.#hasGoneAside = true;
    this.#current = origin === null ? null : (this.#known.get(origin.sha256) ?? null);
    this.#rows.backTo(this.#places);
  }

  get #places(): Places {
    return this.#current?.places ?? new Map();
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
  async add(completed: Completed, output: Output): Promise<void> {
    const { options } = this.#parts;
    this.completed.push(completed);
    this.enter(completed.manifest.shards);
    const { included, judged } = await this.#judge(completed, this.#orders);
    const orders = checkState(judged);
    const rows = options.counts === "once" ? rowsOf(judged.taken, options, orders) : rowsOfState(judged);
    this.#current = { ...completed, included, orders, ...this.#written(rows, output) };
    this.#known.set(completed.ref.sha256, this.#current);
    this.#rows.given(this.#current.places);
  }

  /** One that lies elsewhere has all that its positions say, too. @throws where something of it is gone */
  async checkCopy(copy: Completed): Promise<void> {
    checkState((await this.#judge(copy, noOrders)).judged);
  }

  async #judge({ ref, manifest }: Completed, before: Orders): Promise<{ included: readonly Put[]; judged: Judged }> {
    const { stage, cloud, input, plan, options } = this.#parts;
    const included = includedIn(input, manifest, this.reach);
    const { numbers } = await inFlightOf(cloud, manifest);
    this.#checkUnderWay(ref, included, numbers);
    const taken = takenOf(included, numbers, options.shape);
    const state = await stateOf(cloud, plan, manifest, options.padding);
    const keys = new Set(input.puts.map((put) => put.key));
    return { included, judged: { stage, options, ref, state, taken, keys, before } };
  }

  /** A row that is not as in the checkpoint before was written since, by the code of this generation, to where it writes. */
  #written(rows: Rows, { version, modes }: Output): Pick<Known, "stamps" | "places"> {
    const stamps = new Map(this.#current?.stamps);
    const places = new Map(this.#places);
    for (const [row, { table, key, content, stamp }] of rows) {
      if (stamps.get(row) === stamp) continue;
      stamps.set(row, stamp);
      const target = targetOf(table, modes);
      if (target === null) continue;
      const isMade = content !== gone && table !== "dead";
      const name = rowName(target, key);
      places.set(name, this.#rows.give(name, isMade ? madeBy(content, version) : content));
    }
    return { stamps, places };
  }

  /** E3: what is under way was read, and is under way once. */
  #checkUnderWay(ref: CheckpointRef, included: readonly Put[], underWay: ReadonlyMap<string, readonly number[]>): void {
    const { stage, options } = this.#parts;
    // At least once, an operator may have taken, and sent on, what its producer had sent after its cut.
    if (options.counts === "at least once") return;
    const read = new Set(included.map(({ n }) => n));
    for (const [edge, numbers] of underWay) {
      if (new Set(numbers).size < numbers.length || !numbers.every((n) => read.has(n)))
        stage.violated(
          `E3: checkpoint ${ref.checkpointId} has ${numbers} under way to ${edge}, and has read ${[...read]}`,
        );
    }
  }

  #isEager(table: string): boolean {
    return targetTable(table).of === "tallies" && this.#parts.options.variant.tallies === "eager";
  }

  /** R1, C1, C2: a row is sent only as some complete checkpoint has it. W2: and only to where its generation writes. */
  checkPut(process: Process, put: TablePut, output: Output): void {
    const row = nameOf(put);
    const content = contentOf(put.table, put.item);
    if (this.#isEager(put.table)) {
      if (targetOf("tallies", output.modes) !== put.table)
        this.#parts.stage.violated(`W2: ${process.name} puts ${row}, where its generation does not write`);
      const isMine = content === gone || content.endsWith(madeBy("", output.version));
      if (isMine && this.#isPrefix(row, content)) return;
    } else if (this.#rows.of(row).includes(content)) return;
    this.#parts.stage.violated(`C2: ${process.name} puts ${content} into ${row}, which no complete checkpoint holds`);
  }

  /** W3: what is written before the checkpoint is what some first records of the key give, in whichever code. */
  #isPrefix(row: string, content: string): boolean {
    const key = row.slice(row.indexOf("/") + 1);
    const all = mainOf(this.#parts.input.puts, this.#parts.options.shape);
    const ofKey = goodOnes(all).filter((one) => one.key === key && isReached(this.reach, one));
    return ofKey.some((_, index) => {
      const first = tallyRow(key, ofKey.slice(0, index + 1), this.#parts.options);
      return first === content || content.startsWith(madeBy(first, ""));
    });
  }

  /** W1: what a table shows of a key never goes back. */
  written(process: Process, put: TablePut, generation: number): void {
    const row = nameOf(put);
    if (this.#isEager(put.table)) {
      if (generation < (this.#writers.get(row) ?? 0))
        this.#parts.stage.violated(`W1: ${process.name} writes ${row}, which a later generation has written`);
      this.#writers.set(row, generation);
      return;
    }
    if (this.#rows.written(row, contentOf(put.table, put.item), this.#places) === "back")
      this.#parts.stage.violated(`W1: ${process.name} takes ${row} back to ${canonicalJson(put.item)}`);
  }

  /** C3: when the pipeline rests, the tables show all that is complete; or what was complete in a lineage that a restore has left (W2). */
  checkAtRest(status: string): void {
    for (const [row, place] of this.#places) {
      const [table = ""] = row.split("/");
      const shown = this.#rows.shown(row);
      if (this.#isEager(table) || (shown !== undefined && this.#rows.mayShow(row, shown, place))) continue;
      this.#parts.stage.violated(`C3: ${status}, but ${row} does not show ${this.#rows.of(row)[place]}`);
    }
  }

  /** What the last complete checkpoint reflects. */
  get included(): readonly Put[] {
    return this.#current?.included ?? [];
  }

  /** What that one reflects. */
  includedIn(ref: CheckpointRef | null): readonly Put[] {
    return ref === null ? [] : (this.#known.get(ref.sha256)?.included ?? []);
  }

  /** At the end: exactly the rows of these records, no more and no less. */
  checkResult(records: readonly Put[]): void {
    const { stage, cloud, options } = this.#parts;
    if (options.counts === "once")
      this.#checkAll(rowsOf(takenOf(records, new Map(), options.shape), options, this.#orders));
    const found = new Map<string, string>();
    for (const { name, key } of targetTables)
      for (const item of cloud.tables.items(name)) found.set(rowName(name, String(item[key])), contentOf(name, item));
    for (const row of new Set([...this.#places.keys(), ...found.keys()])) {
      const place = this.#places.get(row);
      const shown = found.get(row) ?? gone;
      if (this.#mayEndAs(row, shown, place)) continue;
      stage.violated(`result: ${row} is ${shown}, must be ${place === undefined ? gone : this.#rows.of(row)[place]}`);
    }
  }

  get #orders(): Orders {
    return this.#current?.orders ?? noOrders;
  }

  /** The last complete checkpoint has written each row as often as it must be. */
  #checkAll(rows: Rows): void {
    const stamps = this.#current?.stamps ?? new Map<string, string>();
    for (const [row, { stamp }] of rows)
      if (stamps.get(row) !== stamp)
        this.#parts.stage.violated(`result: the last checkpoint has ${row} as ${stamps.get(row)}, must be ${stamp}`);
    if (stamps.size > rows.size) this.#parts.stage.violated(`result: ${stamps.size} rows, must be ${rows.size}`);
  }

  /** What a lineage that was left has shown before its checkpoints, and nobody writes again, stays as well (W2). */
  #mayEndAs(row: string, found: string, place: number | undefined): boolean {
    const [table = ""] = row.split("/");
    if (this.#isEager(table)) {
      const last = place === undefined ? gone : this.#rows.of(row)[place];
      return found === last || (this.#hasGoneAside && this.#isPrefix(row, found));
    }
    return this.#rows.mayShow(row, found, place);
  }
}

const nameOf = (put: TablePut): string => rowName(put.table, put.key.map((name) => String(put.item[name])).join("/"));
