import { type Duration, parseDuration } from "../model/duration.js";
import type { Key } from "../model/keys.js";
import {
  checkFunction,
  checkMembers,
  checkName,
  checkWhole,
  frozenJson,
  isPlainObject,
  kindOf,
  quoted,
  refuse,
} from "./checks.js";
import type { GraphBuilder } from "./graph-builder.js";
import { parallelism } from "./options.js";
import type { NodeId, StateDeclaration, UserFunction } from "./plan.js";
import type { HeldSink, Sink } from "./sink.js";
import type { Source, SourceConfig } from "./source.js";
import type { StateSpec } from "./state-spec.js";
import type { AsyncOptions, Flow, KeyedStream, Operator, Output, StateSpecs, Stream } from "./stream.js";

const kinds: readonly unknown[] = ["value", "list", "map"] satisfies StateDeclaration["kind"][];
const versionMax = 1_000_000;

/** Which pipeline an output was made for. Not on the output itself: what users see of it is nothing. */
const builders = new WeakMap<object, GraphBuilder>();

/** Whether the value is an output that was made by that builder. */
export const isOutputOf = (graph: GraphBuilder, value: object): boolean => builders.get(value) === graph;

/** The beginning of all streams of a pipeline. */
export function flowOf(graph: GraphBuilder): Flow {
  return Object.freeze({
    from<const N extends string, T>(name: N, source: Source<T>): Stream<T, { [P in N]: T }> {
      graph.assertOpen(".from()");
      const claimed = graph.claim("source", name);
      const where = `${graph.where}, source ${quoted(claimed)}`;
      checkSource(where, source);
      const config = frozenJson(`${where}: config`, source.config) as unknown as SourceConfig;
      const id = graph.add({ kind: "source", name: claimed, source: Object.freeze({ kind: source.kind, config }) });
      graph.sources.set(claimed, source);
      return streamOf(graph, id);
    },
  });
}

function streamOf<T, Ins>(graph: GraphBuilder, input: NodeId): Stream<T, Ins> {
  const step = (kind: "map" | "filter" | "flatMap" | "keyBy", change: UserFunction): NodeId => {
    graph.assertOpen(`.${kind}()`);
    checkFunction(`${graph.where}, .${kind}() after ${graph.describe(input)}`, change, "plain");
    const id = graph.add({ kind, input });
    graph.functions.set(id, change);
    return id;
  };
  return Object.freeze({
    map: <O>(change: (value: T) => O): Stream<O, Ins> => streamOf(graph, step("map", change)),
    filter: <O extends T>(keep: (value: T) => boolean): Stream<O, Ins> => streamOf(graph, step("filter", keep)),
    flatMap: <O>(change: (value: T) => readonly O[]): Stream<O, Ins> => streamOf(graph, step("flatMap", change)),
    keyBy: <const K extends Key>(key: (value: T) => K): KeyedStream<K, T, Ins> =>
      keyedStreamOf(graph, step("keyBy", key)),
    mapAsync: <O>(
      name: string,
      options: AsyncOptions,
      call: (value: T, signal: AbortSignal) => Promise<O>,
    ): Stream<O, Ins> => streamOf(graph, addCall(graph, input, name, options, call)),
    to: <const N extends string>(name: N, sink: Sink<T>): Output<Ins, { [P in N]: T }> =>
      addSink(graph, input, name, sink),
  });
}

const concurrencyMax = 10_000;
/** A cut waits for the calls under way (B2): they must end within the time that a checkpoint has. */
const callMillisMax = 15 * 60_000;

function addCall(graph: GraphBuilder, input: NodeId, name: unknown, options: unknown, call: unknown): NodeId {
  graph.assertOpen(".mapAsync()");
  const claimed = graph.claim("operator", name);
  const where = `${graph.where}, operator ${quoted(claimed)}`;
  checkMembers(where, options, ["concurrency", "ordered", "timeout"]);
  const { concurrency, ordered = true, timeout } = options as Partial<Record<keyof AsyncOptions, unknown>>;
  if (typeof ordered !== "boolean") refuse(`${where}: ordered`, `must be true or false, not ${kindOf(ordered)}`);
  if (typeof timeout !== "string")
    refuse(`${where}: timeout`, `must be a duration such as "5s", not ${kindOf(timeout)}`);
  const millis = parseDuration(timeout as Duration, `${where}: timeout`);
  if (millis > callMillisMax) refuse(`${where}: timeout`, "is longer than a function of Lambda lives (15 minutes)");
  if (typeof call !== "function") refuse(where, `the call must be a function, not ${kindOf(call)}`);
  const id = graph.add({
    kind: "mapAsync",
    name: claimed,
    input,
    concurrency: checkWhole(`${where}: concurrency`, concurrency, { least: 1, most: concurrencyMax }),
    ordered: ordered as boolean,
    timeout: millis,
  });
  graph.functions.set(id, call as UserFunction);
  return id;
}

function keyedStreamOf<K extends Key, T, Ins>(graph: GraphBuilder, input: NodeId): KeyedStream<K, T, Ins> {
  return Object.freeze({
    process<const S extends StateSpecs, O>(name: string, operator: Operator<K, T, S, O>): Stream<O, Ins> {
      graph.assertOpen(".process()");
      const claimed = graph.claim("operator", name);
      const where = `${graph.where}, operator ${quoted(claimed)}`;
      checkMembers(where, operator, ["version", "parallelism", "state", "onRecord"]);
      checkFunction(`${where}: onRecord`, operator.onRecord, "plain or generator");
      parallelism(`${where}: parallelism`, operator.parallelism);
      const version = checkWhole(`${where}: version`, operator.version ?? 1, { least: 1, most: versionMax });
      const state = stateDeclarations(where, operator.state);
      const id = graph.add({ kind: "process", name: claimed, version, input, state });
      graph.functions.set(id, operator.onRecord.bind(operator));
      return streamOf(graph, id);
    },
    reduce(name: string, merge: (left: T, right: T) => T): Stream<T, Ins> {
      graph.assertOpen(".reduce()");
      const claimed = graph.claim("operator", name);
      checkFunction(`${graph.where}, operator ${quoted(claimed)}: the merge function`, merge, "plain");
      const id = graph.add({ kind: "reduce", name: claimed, version: 1, input });
      graph.functions.set(id, merge);
      return streamOf(graph, id);
    },
  });
}

function addSink<T, Ins, N extends string>(
  graph: GraphBuilder,
  input: NodeId,
  name: N,
  sink: Sink<T>,
): Output<Ins, { [P in N]: T }> {
  graph.assertOpen(".to()");
  const claimed = graph.claim("sink", name);
  const where = `${graph.where}, sink ${quoted(claimed)}`;
  checkSink(where, sink);
  checkEager(graph, input, where, sink);
  const config = frozenJson(`${where}: config`, sink.config);
  graph.add({ kind: "sink", name: claimed, input, sink: Object.freeze({ kind: sink.kind, config }) });
  graph.sinks.set(claimed, sink);
  const output: Output<Ins, { [P in N]: T }> = Object.freeze({});
  builders.set(output, graph);
  return output;
}

/** The declarations as part of the graph: initial values are copied, so that what their owner does to them later reaches no key. */
function stateDeclarations(where: string, state: unknown): Readonly<Record<string, StateDeclaration>> {
  // `{ __proto__: value(0) }` in a program makes no member of that name but an object with another prototype.
  const prototype: unknown = typeof state === "object" && state !== null ? Object.getPrototypeOf(state) : null;
  if (isPlainObject(prototype) && "declaration" in prototype) {
    return refuse(`${where}: state`, "a state cannot be called __proto__; choose another name");
  }
  if (!isPlainObject(state)) {
    return refuse(`${where}: state`, `must be an object of value(), list() and map(), or {}, not ${kindOf(state)}`);
  }
  const declared = Object.entries(state).map(([name, spec]) => {
    const called = checkName(where, "a state's name", name);
    return [called, stateDeclaration(`${where}, state ${quoted(called)}`, spec)] as const;
  });
  return Object.freeze(Object.fromEntries(declared));
}

function stateDeclaration(where: string, spec: unknown): StateDeclaration {
  const declaration = (spec as Partial<StateSpec<unknown>> | null | undefined)?.declaration;
  if (declaration === undefined || !kinds.includes(declaration.kind)) {
    return refuse(where, `is ${kindOf(spec)}; declare it with value(initial), list() or map()`);
  }
  const { kind, initial } = declaration;
  return Object.freeze(
    initial === undefined ? { kind } : { kind, initial: frozenJson(`${where}: initial value`, initial) },
  );
}

function checkSource(where: string, source: unknown): void {
  const given = source as Partial<Source<unknown>> | null | undefined;
  if (typeof given?.kind === "string" && typeof given.codec?.decode === "function" && isPlainObject(given.config))
    return;
  refuse(where, `is given ${kindOf(source)}, which is no source; write .from(name, kinesisSource({ … }))`);
}

/** @throws StreamError `invalid` where it is no sink */
export function checkSink(where: string, sink: unknown): void {
  const given = sink as Partial<HeldSink<never>> | null | undefined;
  if (typeof given?.kind !== "string" || typeof given.open !== "function") {
    refuse(where, `is given ${kindOf(sink)}, which is no sink; write .to(name, dynamoTable({ … }))`);
  }
  if (!deliveries.includes(given.delivery)) {
    refuse(where, `has the delivery ${kindOf(given.delivery)}; it must be ${deliveries.map(quoted).join(", ")}`);
  }
  if ((given.delivery as string) !== "two-phase" && typeof given.keyOf !== "function") {
    refuse(where, "has no key, so that a row written twice could not be told from two rows; give the sink its key");
  }
}

const deliveries: readonly unknown[] & readonly string[] = ["held", "eager", "two-phase"];

/** W3: a key that is written before a crash, and not after it, would stay. */
function checkEager(graph: GraphBuilder, input: NodeId, where: string, sink: Sink<never>): void {
  const before = graph.nodes[input];
  if (sink.delivery !== "eager" || before?.kind === "process" || before?.kind === "reduce") return;
  refuse(
    where,
    `writes at once (delivery: "eager"), which is exact only right behind an operator with state, by its key; it follows ${graph.describe(input)}. Leave out the delivery (rows are held), or put the sink behind .process() or .reduce() (W3)`,
  );
}
