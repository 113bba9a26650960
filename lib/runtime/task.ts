import { StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { hasState, type NodeId, type Plan, type PlanNode, type UserFunction } from "../pipeline/plan.js";
import { createStateTable, type StateTable } from "../state/table.js";
import { SinkBuffer } from "./sink-buffer.js";

/** Where a record stood, for the context and for messages. */
export interface RecordPosition {
  readonly source: string;
  readonly shard: string;
  readonly sequenceNumber: string;
}

/** One step of the compiled plan. Behind `keyBy` it gets the key too. */
type Step = (value: unknown, key?: Key) => void;

/**
 * The operators of a task: synchronous, element in, output out. It knows neither ports nor protocol; a session feeds it and
 * cuts it at record boundaries.
 */
export class Task {
  readonly tables: readonly StateTable[];
  readonly sinks: ReadonlyMap<string, SinkBuffer>;
  recordsIn = 0;
  #position: RecordPosition = { source: "", shard: "", sequenceNumber: "" };
  /** The node whose user function runs, for the message when it throws. */
  #at: PlanNode | null = null;
  readonly #plan: Plan;
  readonly #entries: ReadonlyMap<string, Step>;
  readonly #tablesByName: ReadonlyMap<string, StateTable>;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.tables = plan.graph.nodes
      .filter(hasState)
      .map((node) =>
        createStateTable(node.name, node.version, node.kind === "process" ? node.state : { value: { kind: "value" } }),
      );
    this.#tablesByName = new Map(this.tables.map((table) => [table.operator, table]));
    let seq = 0;
    const nextSeq = () => ++seq;
    this.sinks = new Map([...plan.sinks].map(([name, sink]) => [name, new SinkBuffer(sink, nextSeq)]));
    this.#entries = this.#compile();
  }

  /** Writes taken from the sinks so far: totals for the figures. */
  get recordsOut(): number {
    let sum = 0;
    for (const sink of this.sinks.values()) sum += sink.rows;
    return sum;
  }

  /**
   * Takes one decoded record through all operators.
   *
   * @throws StreamError `invalid`: a user function threw; names the operator and the record's position, never its body
   */
  take(value: unknown, position: RecordPosition): void {
    this.#position = position;
    try {
      this.#entries.get(position.source)?.(value);
    } catch (error) {
      throw operatorError(this.#at, position, error);
    }
    this.recordsIn++;
  }

  #compile(): ReadonlyMap<string, Step> {
    const { nodes } = this.#plan.graph;
    const consumers = new Map<NodeId, Step[]>(nodes.map((node) => [node.id, []]));
    const entries = new Map<string, Step>();
    // Inputs have lower ids: from the last node on, the consumers of each are compiled before it.
    for (const node of [...nodes].reverse()) {
      const next = fanOut(consumers.get(node.id) ?? []);
      if (node.kind === "source") entries.set(node.name, next);
      else consumers.get(node.input)?.unshift(this.#step(node, next));
    }
    return entries;
  }

  #step(node: Exclude<PlanNode, { readonly kind: "source" }>, next: Step): Step {
    if (node.kind === "sink") return this.#sink(node);
    const call = this.#plan.functions.get(node.id) ?? missing(node);
    switch (node.kind) {
      case "map":
        return (value) => {
          this.#at = node;
          next(atOnce(call(value)));
        };
      case "filter":
        return (value) => {
          this.#at = node;
          if (atOnce(call(value))) next(value);
        };
      case "flatMap":
        return (value) => {
          this.#at = node;
          this.#each(node, atOnce(call(value)) as readonly unknown[], next);
        };
      case "keyBy":
        return (value) => {
          this.#at = node;
          next(value, atOnce(call(value)) as Key);
        };
      case "process":
        return this.#process(node, call, next);
      case "reduce":
        return this.#reduce(node, call, next);
    }
  }

  #process(node: Extract<PlanNode, { readonly kind: "process" }>, onRecord: UserFunction, next: Step): Step {
    const table = this.#table(node.name);
    const task = this;
    const context = {
      key: undefined as Key | undefined,
      state: table.accessors,
      get position() {
        return task.#position;
      },
    };
    return (value, key) => {
      this.#at = node;
      table.enter(key as Key);
      context.key = key;
      const emitted = atOnce(onRecord(value, context));
      if (Array.isArray(emitted) || isGenerator(emitted)) this.#each(node, emitted, next);
      else if (emitted !== undefined) next(emitted);
    };
  }

  /** What onRecord may return or yield: rows. A generator goes on with the user's code after each of them. */
  #each(node: PlanNode, rows: Iterable<unknown>, next: Step): void {
    for (const row of rows) {
      next(atOnce(row));
      this.#at = node;
    }
  }

  #reduce(node: Extract<PlanNode, { readonly kind: "reduce" }>, merge: UserFunction, next: Step): Step {
    const table = this.#table(node.name);
    const state = table.accessors.value as { get(): unknown; set(value: unknown): void };
    return (value, key) => {
      this.#at = node;
      table.enter(key as Key);
      const before = state.get();
      const merged = before === undefined ? value : atOnce(merge(before, value));
      state.set(merged);
      next(merged);
    };
  }

  #sink(node: Extract<PlanNode, { readonly kind: "sink" }>): Step {
    const buffer = this.sinks.get(node.name);
    if (buffer === undefined) return missing(node);
    return (row) => {
      this.#at = node;
      buffer.add(row);
    };
  }

  #table(operator: string): StateTable {
    const table = this.#tablesByName.get(operator);
    if (table === undefined) throw new StreamError("bug", `operator ${operator} has no state table`);
    return table;
  }
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
  throw new StreamError(
    "invalid",
    "it gave a promise, but operators are synchronous: their state could not be cut while they wait. Return the value itself",
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

const label = (node: PlanNode | null): string =>
  node === null
    ? "the pipeline"
    : "name" in node
      ? `${node.kind === "sink" ? "sink" : "operator"} "${node.name}"`
      : `${node.kind} (step ${node.id} of the plan)`;

function operatorError(node: PlanNode | null, position: RecordPosition, cause: unknown): StreamError {
  const where = `source "${position.source}", shard ${position.shard}, sequence number ${position.sequenceNumber}`;
  const kind = cause instanceof StreamError && cause.kind === "bug" ? "bug" : "invalid";
  return new StreamError(kind, `${label(node)} failed at the record of ${where}: ${describeThrown(cause)}`, { cause });
}

/** A SyntaxError of JSON.parse quotes what it parsed: bodies do not belong in messages. */
function describeThrown(cause: unknown): string {
  if (cause instanceof StreamError) return cause.message;
  if (cause instanceof SyntaxError) return "SyntaxError";
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : `it threw a ${typeof cause}`;
}
