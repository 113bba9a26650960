import { StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { deadLetterSink } from "../pipeline/dead-letter.js";
import { hasState, type Plan, type PlanNode, statesOf } from "../pipeline/plan.js";
import { createStateTable, type StateTable } from "../state/table.js";
import type { Called } from "./calls.js";
import {
  type Compiled,
  type CompiledStage,
  compilePlan,
  type StartCall,
  type Step,
  type Whereabouts,
} from "./compile.js";
import { keptOutputs, type RowTaker } from "./outputs.js";
import { type EdgeTaker, type Part, wholePlan } from "./part.js";
import { deadLetter, describeThrown, isRecordsFault, kindOfFailure } from "./quarantine.js";
import type { RecordView } from "./record-view.js";

/** What a task is put together with. */
export interface TaskSurroundings<O extends RowTaker> {
  readonly part: Part;
  readonly outputs: ReadonlyMap<string, O>;
  readonly startCall: StartCall;
  /** Told when a call has its answer: then {@link Task.advance} has something to do. */
  readonly wake: () => void;
}

const nowhere: RecordView = {
  source: "",
  shard: "",
  sequenceNumber: "",
  subSequenceNumber: null,
  arrivedAt: null,
  data: new Uint8Array(),
};

/**
 * The operators of a task: element in, output out. All but the calls of `mapAsync` is synchronous. It knows neither ports nor
 * protocol; a session feeds it and cuts it at record boundaries.
 */
export class Task<O extends RowTaker = RowTaker> {
  readonly tables: readonly StateTable[];
  readonly outputs: ReadonlyMap<string, O>;
  recordsIn = 0;
  /** Records put aside (`onBadRecord`). */
  quarantined = 0;
  readonly #here: Whereabouts = { record: nowhere, node: null };
  readonly #compiled: Compiled;
  readonly #deadLetters: RowTaker | null;
  readonly #edges: readonly EdgeTaker[];
  /** What takes back the half-made changes of a record that is put aside. */
  readonly #undoable: readonly (RowTaker | EdgeTaker)[];

  constructor(plan: Plan, surroundings: TaskSurroundings<O>) {
    const { part } = surroundings;
    this.outputs = surroundings.outputs;
    this.tables = plan.graph.nodes
      .filter(hasState)
      .filter((node) => part.nodes.has(node.id))
      .map((node) => createStateTable(node.name, node.version, statesOf(node), plan.migrations.get(node.name)));
    this.#deadLetters = this.outputs.get(deadLetterSink) ?? null;
    const outputs = [...this.outputs].flatMap(([name, output]) => (name === deadLetterSink ? [] : [output]));
    this.#edges = [...part.edges.values()];
    this.#undoable = [...outputs, ...this.#edges];
    const { startCall, wake } = surroundings;
    const keepsData = this.#deadLetters === null ? "without data" : "with data";
    const parts = {
      part,
      here: this.#here,
      tables: this.tables,
      outputs: this.outputs,
      startCall,
      wake,
      keepsData,
    } as const;
    this.#compiled = compilePlan(plan, parts);
  }

  /** Rows given to the sinks so far: totals for the figures. */
  get recordsOut(): number {
    let sum = 0;
    for (const output of this.outputs.values()) sum += output.rows;
    return sum;
  }

  /** Elements whose calls have no answer yet, or that wait for their turn: a cut waits for them (B2). */
  get inFlight(): number {
    let sum = 0;
    for (const { stage } of this.#compiled.stages) sum += stage.inFlight;
    return sum;
  }

  /** As many calls are under way as may be: no record should be taken. */
  get isFull(): boolean {
    return this.#compiled.stages.some(({ stage }) => stage.isFull);
  }

  /**
   * Takes one decoded record through all operators.
   *
   * @throws StreamError `invalid`: a user function threw, and `onBadRecord` is "fail"; names the operator and the record's position, never its body
   */
  take(value: unknown, record: RecordView): void {
    this.#enter(this.#compiled.entries.get(record.source), value, undefined, record);
    this.recordsIn++;
  }

  /**
   * Takes one record that came by an edge into its operator. It was counted where it was read.
   *
   * @param input which side of a `connect`; 0 where there is one. @throws StreamError as {@link take} does
   */
  takeFrom(edge: string, input: 0 | 1, key: Key, value: unknown, record: RecordView): void {
    const step = this.#compiled.operators.get(edge)?.[input];
    if (step === undefined) throw new StreamError("bug", `no operator takes input ${input} of edge "${edge}" here`);
    this.#enter(step, value, key, record);
  }

  #enter(step: Step | undefined, value: unknown, key: Key | undefined, record: RecordView): void {
    this.#here.record = record;
    if (this.#deadLetters !== null) this.#attempt(this.#deadLetters, () => step?.(value, key));
    else {
      try {
        step?.(value, key);
      } catch (error) {
        throw operatorError(this.#here.node, record, error);
      }
    }
    for (const { stage } of this.#compiled.stages) stage.call();
  }

  /** A record that does not decode. @throws StreamError the same, where `onBadRecord` is "fail" */
  refuse(error: StreamError, record: RecordView): void {
    if (this.#deadLetters === null || !isRecordsFault(error)) throw error;
    this.#putAside(this.#deadLetters, record, "decode", error.message);
    this.recordsIn++;
  }

  /**
   * Takes the elements that have their answers on, as long as the edges have room (E5): the rest goes on when frames have been put.
   *
   * @throws StreamError as {@link take} does, also where a call failed
   */
  advance(): void {
    for (const compiled of this.#compiled.stages) {
      const { stage } = compiled;
      while (!this.#edges.some(isHeld)) {
        const ready = stage.ready();
        if (ready === null) break;
        this.#passOn(compiled, ready);
      }
    }
    for (const { stage } of this.#compiled.stages) stage.call();
  }

  #passOn(
    { node, next }: CompiledStage,
    { place, called }: { readonly place: RecordView; readonly called: Called },
  ): void {
    this.#here.record = place;
    this.#here.node = node;
    const goOn = () => {
      if (called.kind === "failed") throw called.error;
      next(called.value);
    };
    if (this.#deadLetters !== null) {
      this.#attempt(this.#deadLetters, goOn);
      return;
    }
    try {
      goOn();
    } catch (error) {
      throw operatorError(this.#here.node, place, error);
    }
  }

  /** An element is taken whole or put aside whole: what it changed before it failed is taken back. */
  #attempt(deadLetters: RowTaker, run: () => void): void {
    for (const table of this.tables) table.begin();
    for (const output of this.#undoable) output.mark();
    for (const { stage } of this.#compiled.stages) stage.mark();
    try {
      run();
    } catch (error) {
      if (!isRecordsFault(error)) throw operatorError(this.#here.node, this.#here.record, error);
      for (const table of this.tables) table.rollback();
      for (const output of this.#undoable) output.rollback();
      for (const { stage } of this.#compiled.stages) stage.rollback();
      this.#putAside(deadLetters, this.#here.record, label(this.#here.node), describeThrown(error));
    }
  }

  #putAside(deadLetters: RowTaker, record: RecordView, step: string, cause: string): void {
    try {
      deadLetters.add(deadLetter(record, step, cause));
    } catch (refusal) {
      const why = `the dead-letter sink refuses the record of ${placeOf(record)} (put aside because of ${step}: ${cause}): ${describeThrown(refusal)}`;
      throw new StreamError("invalid", why, { cause: refusal });
    }
    this.quarantined++;
  }
}

const isHeld = (edge: EdgeTaker): boolean => edge.isHeld;

const label = (node: PlanNode | null): string =>
  node === null
    ? "the pipeline"
    : "name" in node
      ? `${node.kind === "sink" ? "sink" : "operator"} "${node.name}"`
      : `${node.kind} (step ${node.id} of the plan)`;

const placeOf = ({ source, shard, sequenceNumber }: RecordView): string =>
  `source "${source}", shard ${shard}, sequence number ${sequenceNumber}`;

function operatorError(node: PlanNode | null, record: RecordView, cause: unknown): StreamError {
  const what = `${label(node)} failed at the record of ${placeOf(record)}: ${describeThrown(cause)}`;
  return new StreamError(kindOfFailure(cause), what, { cause });
}

/** A task without an outside: it keeps its rows, and starts no call. For one that is only restored, or looked at. */
export function detachedTask(plan: Plan) {
  const startCall: StartCall = () => {
    throw new StreamError("bug", "a task without a session starts no call");
  };
  return new Task(plan, { part: wholePlan(plan), outputs: keptOutputs(plan), startCall, wake: () => undefined });
}
