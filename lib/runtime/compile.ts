import { StreamError } from "../model/errors.js";
import { type Key, keyGroupOfKey } from "../model/keys.js";
import { hasState, inputsOf, type NodeId, type Plan, type PlanNode, type UserFunction } from "../pipeline/plan.js";
import type { Position } from "../pipeline/stream.js";
import type { StateTable } from "../state/table.js";
import { AsyncStage } from "./async-stage.js";
import type { Called } from "./calls.js";
import type { RowTaker } from "./outputs.js";
import type { Part } from "./part.js";
import { everyRecords, kept } from "./quarantine.js";
import type { RecordView } from "./record-view.js";

/** One step of the compiled plan. Behind `keyBy`, and right behind an operator with state, it gets the key too. */
export type Step = (value: unknown, key?: Key) => void;

/** Where the task is: for the context of operators, and for the message where one throws. */
export interface Whereabouts {
  record: RecordView;
  node: PlanNode | null;
}

/** Starts a call of a `mapAsync`; see {@link Calls.start}. */
export type StartCall = (call: (signal: AbortSignal) => Promise<unknown>, timeoutMillis: number) => Promise<Called>;

export interface CompileParts {
  readonly part: Part;
  readonly here: Whereabouts;
  readonly tables: readonly StateTable[];
  readonly outputs: ReadonlyMap<string, RowTaker>;
  readonly startCall: StartCall;
  /** Told when a call has its answer. */
  readonly wake: () => void;
  /** Elements that wait for an answer keep their record's bytes, to be put aside where it fails. */
  readonly keepsData: "with data" | "without data";
}

/** A `mapAsync` with its elements, and what follows it. */
export interface CompiledStage {
  readonly node: PlanNode;
  readonly stage: AsyncStage<RecordView>;
  readonly next: Step;
}

export interface Compiled {
  /** By source name. */
  readonly entries: ReadonlyMap<string, Step>;
  /** Where records of an edge enter: by operator, a step for each of its inputs. */
  readonly operators: ReadonlyMap<string, readonly Step[]>;
  /** In the order of the graph. */
  readonly stages: readonly CompiledStage[];
}

/** A part of the plan as closures, each calling those that follow it. What follows in another part is reached by its edge. */
export function compilePlan(plan: Plan, parts: CompileParts): Compiled {
  const { nodes } = plan.graph;
  const consumers = new Map<NodeId, Step[]>(nodes.map((node) => [node.id, []]));
  const entries = new Map<string, Step>();
  const operators = new Map<string, readonly Step[]>();
  const stages: CompiledStage[] = [];
  // Inputs have lower ids: from the last node on, the consumers of each are compiled before it.
  for (const node of [...nodes].reverse()) {
    const next = fanOut(consumers.get(node.id) ?? []);
    const isMine = parts.part.nodes.has(node.id);
    if (isMine && node.kind === "source") entries.set(node.name, next);
    const steps = isMine ? stepsOf(plan, node, next, parts, stages) : edgeSteps(node, parts);
    if (isMine && hasState(node)) operators.set(node.name, steps);
    // The last side first, for each is put before the others: one that feeds both sides gives to the left one first.
    for (const [side, input] of [...inputsOf(node).entries()].reverse()) {
      const step = steps[side];
      if (step !== undefined) consumers.get(input)?.unshift(step);
    }
  }
  return { entries, operators, stages };
}

/** A step for each input of the node. */
function stepsOf(
  plan: Plan,
  node: PlanNode,
  next: Step,
  parts: CompileParts,
  stages: CompiledStage[],
): readonly Step[] {
  switch (node.kind) {
    case "source":
      return [];
    case "union":
      return node.inputs.map(() => next);
    case "connect": {
      const call = plan.functions.get(node.id) ?? missing(node);
      return [keyedStep(node, call, next, parts, 0), keyedStep(node, call, next, parts, 1)];
    }
    default:
      return [stepOf(plan, node, next, parts, stages)];
  }
}

/** For an operator of another part: its records leave by the edge, if this part has one to it. */
function edgeSteps(node: PlanNode, { part, here }: CompileParts): readonly Step[] {
  const edge = hasState(node) ? part.edges.get(node.name) : undefined;
  if (edge === undefined) return [];
  const step =
    (side: 0 | 1): Step =>
    (value, key) => {
      here.node = node;
      edge.add(key as Key, side, value, here.record);
    };
  return [step(0), step(1)];
}

function stepOf(
  plan: Plan,
  node: Exclude<PlanNode, { readonly kind: "source" | "union" | "connect" }>,
  next: Step,
  parts: CompileParts,
  stages: CompiledStage[],
): Step {
  const { here } = parts;
  if (node.kind === "sink") return sinkStep(node, parts);
  const call = plan.functions.get(node.id) ?? missing(node);
  switch (node.kind) {
    case "map":
      return (value) => {
        here.node = node;
        next(atOnce(call(value)));
      };
    case "filter":
      return (value) => {
        here.node = node;
        if (atOnce(call(value))) next(value);
      };
    case "flatMap":
      return (value) => {
        here.node = node;
        each(here, atOnce(call(value)) as readonly unknown[], next);
      };
    case "keyBy":
      return parts.part.owned.keyBys.has(node.id)
        ? ownKeyStep(node, call, next, parts)
        : (value) => {
            here.node = node;
            next(value, atOnce(call(value)) as Key);
          };
    case "mapAsync":
      return asyncStep(node, call, next, parts, stages);
    case "process":
      return keyedStep(node, call, next, parts, 0);
    case "reduce":
      return reduceStep(node, call, next, parts);
  }
}

/** K1: what the producer is said to do is believed of no record. */
function ownKeyStep(node: PlanNode, keyOf: UserFunction, next: Step, { here, part }: CompileParts): Step {
  const [first, last] = part.owned.keyGroups;
  return (value) => {
    here.node = node;
    const key = atOnce(keyOf(value)) as Key;
    const group = keyGroupOfKey(key);
    if (group < first || group > last) throw everyRecords(otherPartition(here.record.shard));
    next(value, key);
  };
}

function otherPartition(shard: string): StreamError {
  return new StreamError(
    "invalid",
    `its key belongs to another shard than ${shard}, in which it lies: the producer does not put records with that key as their partition key. Leave partitionedBy out of the source`,
  );
}

/** @param side of a `connect`, whose function is told; that of a `process` takes no notice of it */
function keyedStep(
  node: Extract<PlanNode, { readonly kind: "process" | "connect" }>,
  onRecord: UserFunction,
  next: Step,
  { here, tables }: CompileParts,
  side: 0 | 1,
): Step {
  const table = tableOf(tables, node.name);
  const context = {
    key: undefined as Key | undefined,
    state: table.accessors,
    // The view is reused for the next record; what somebody keeps, in state or in a row, must stay what it was.
    get position(): Position {
      const { source, shard, sequenceNumber, subSequenceNumber } = here.record;
      return { source, shard, sequenceNumber, subSequenceNumber };
    },
  };
  return (value, key) => {
    here.node = node;
    table.enter(key as Key);
    context.key = key;
    const emitted = atOnce(onRecord(value, context, side));
    if (Array.isArray(emitted) || isGenerator(emitted)) each(here, emitted, next, key);
    else if (emitted !== undefined) next(emitted, key);
  };
}

/** What onRecord may return or yield: rows. A generator goes on with the user's code after each of them. */
function each(here: Whereabouts, rows: Iterable<unknown>, next: Step, key?: Key): void {
  const { node } = here;
  for (const row of rows) {
    next(atOnce(row), key);
    here.node = node;
  }
}

function reduceStep(
  node: Extract<PlanNode, { readonly kind: "reduce" }>,
  merge: UserFunction,
  next: Step,
  { here, tables }: CompileParts,
): Step {
  const table = tableOf(tables, node.name);
  const state = table.accessors.value as { get(): unknown; set(value: unknown): void };
  return (value, key) => {
    here.node = node;
    table.enter(key as Key);
    const before = state.get();
    const merged = before === undefined ? value : atOnce(merge(before, value));
    state.set(merged);
    next(merged, key);
  };
}

function sinkStep(node: Extract<PlanNode, { readonly kind: "sink" }>, { here, outputs }: CompileParts): Step {
  const output = outputs.get(node.name);
  if (output === undefined) return missing(node);
  return (row, key) => {
    here.node = node;
    output.add(row, key);
  };
}

function asyncStep(
  node: Extract<PlanNode, { readonly kind: "mapAsync" }>,
  call: UserFunction,
  next: Step,
  { here, startCall, wake, keepsData }: CompileParts,
  stages: CompiledStage[],
): Step {
  const stage = new AsyncStage<RecordView>({
    concurrency: node.concurrency,
    ordered: node.ordered,
    start: (value) => startCall(async (signal) => call(value, signal), node.timeout),
    wake,
    place: () => kept(here.record, keepsData),
  });
  // Compiled from the last node on: what comes first in the graph is advanced first.
  stages.unshift({ node, stage, next });
  return (value) => {
    here.node = node;
    stage.take(value);
  };
}

function tableOf(tables: readonly StateTable[], operator: string): StateTable {
  const table = tables.find((candidate) => candidate.operator === operator);
  if (table === undefined) throw new StreamError("bug", `operator ${operator} has no state table`);
  return table;
}

function fanOut(steps: readonly Step[]): Step {
  const [only] = steps;
  if (steps.length === 1 && only !== undefined) return only;
  return (value, key) => {
    for (const step of steps) step(value, key);
  };
}

/** A promise would be stored, or taken for true, before anybody knows its value. */
function atOnce<T>(result: T): T {
  if (typeof result !== "object" || result === null || !("then" in result) || typeof result.then !== "function")
    return result;
  // What it does later is of no interest, and must not end the process before the failure is told.
  Promise.resolve(result).catch(() => undefined);
  throw everyRecords(
    new StreamError(
      "invalid",
      "it gave a promise, but operators are synchronous: their state could not be cut while they wait. Return the value itself, or make the call in mapAsync()",
    ),
  );
}

function isGenerator(value: unknown): value is Generator<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "next" in value &&
    typeof value.next === "function" &&
    Symbol.iterator in value
  );
}

function missing(node: PlanNode): never {
  throw new StreamError("bug", `node ${node.id} (${node.kind}) of the plan has no function`);
}
