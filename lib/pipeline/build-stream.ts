import { type Duration, parseDuration } from "../model/duration.js";
import type { Key } from "../model/keys.js";
import { checkEager, checkSink, checkSource, stateDeclarations } from "./check-parts.js";
import { checkFunction, checkMembers, checkWhole, frozenJson, kindOf, quoted, refuse } from "./checks.js";
import type { GraphBuilder } from "./graph-builder.js";
import { migrationsOf, ofValue } from "./migrations.js";
import { parallelism } from "./options.js";
import type { NodeId, UserFunction } from "./plan.js";
import type { Sink } from "./sink.js";
import type { Source, SourceConfig } from "./source.js";
import type {
  AsyncOptions,
  ConnectedOperator,
  ConnectedStreams,
  Flow,
  KeyedStream,
  Operator,
  Output,
  ReduceOptions,
  RowOf,
  StateSpecs,
  Stream,
} from "./stream.js";

const versionMax = 1_000_000;

/** Which pipeline an output was made for. Not on the output itself: what users see of it is nothing. */
const builders = new WeakMap<object, GraphBuilder>();

/** Where a stream, keyed or not, stands in which graph. Not on the stream itself, for the same reason. */
const places = new WeakMap<object, { readonly graph: GraphBuilder; readonly id: NodeId; readonly kind: StreamKind }>();
type StreamKind = "stream" | "keyed stream";

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
  const stream: Stream<T, Ins> = Object.freeze({
    map: <O>(change: (value: T) => O): Stream<O, Ins> => streamOf(graph, step("map", change)),
    filter: <O extends T>(keep: (value: T) => boolean): Stream<O, Ins> => streamOf(graph, step("filter", keep)),
    flatMap: <O>(change: (value: T) => readonly O[]): Stream<O, Ins> => streamOf(graph, step("flatMap", change)),
    keyBy: <const K extends Key>(key: (value: T) => K): KeyedStream<K, T, Ins> =>
      keyedStreamOf(graph, step("keyBy", key)),
    union: <const S extends readonly Stream<unknown, unknown>[]>(...others: S) =>
      streamOf(graph, addUnion(graph, input, others)) as never,
    mapAsync: <O>(
      name: string,
      options: AsyncOptions,
      call: (value: T, signal: AbortSignal) => Promise<O>,
    ): Stream<O, Ins> => streamOf(graph, addCall(graph, input, name, options, call)),
    to: <const N extends string>(name: N, sink: Sink<T>): Output<Ins, { [P in N]: T }> =>
      addSink(graph, input, name, sink),
  });
  places.set(stream, { graph, id: input, kind: "stream" });
  return stream;
}

function addUnion(graph: GraphBuilder, input: NodeId, others: readonly unknown[]): NodeId {
  graph.assertOpen(".union()");
  const where = `${graph.where}, .union() after ${graph.describe(input)}`;
  if (others.length === 0) refuse(where, "is given no stream; write .union(other)");
  const inputs = [input, ...others.map((other) => placeOf(graph, where, other, "stream"))];
  return graph.add({ kind: "union", inputs: Object.freeze(inputs) });
}

/** The step that another stream, given to a builder, stands behind. */
function placeOf(graph: GraphBuilder, where: string, other: unknown, wanted: StreamKind): NodeId {
  const place = typeof other === "object" && other !== null ? places.get(other) : undefined;
  if (place === undefined) return refuse(where, `is given ${kindOf(other)}, which is no ${wanted} of a pipeline`);
  if (place.graph !== graph) {
    const theirs = `${place.graph.describe(place.id)} of ${place.graph.where}`;
    return refuse(where, `is given the stream behind ${theirs}; streams of two pipelines cannot be put together`);
  }
  if (place.kind === wanted) return place.id;
  const instead =
    wanted === "stream" ? "unite the streams first, and call .keyBy() on what comes out" : "call .keyBy() on it first";
  return refuse(where, `is given a ${place.kind}, not a ${wanted}; ${instead}`);
}

const concurrencyMax = 10_000;
/** A cut waits for the calls under way (B2): they must end within the time that a checkpoint has. */
const callMillisMax = 15 * 60_000;

function addCall(graph: GraphBuilder, input: NodeId, name: unknown, options: unknown, call: unknown): NodeId {
  graph.assertOpen(".mapAsync()");
  const { claimed, where } = claimOperator(graph, name);
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
  const stream: KeyedStream<K, T, Ins> = Object.freeze({
    process<const S extends StateSpecs, O>(name: string, operator: Operator<K, T, S, O>): Stream<O, Ins> {
      graph.assertOpen(".process()");
      const { claimed, where } = claimOperator(graph, name);
      checkMembers(where, operator, ["version", "migrate", "parallelism", "state", "onRecord"]);
      checkFunction(`${where}: onRecord`, operator.onRecord, "plain or generator");
      const id = graph.add({ kind: "process", name: claimed, input, ...stateOf(graph, claimed, where, operator) });
      graph.functions.set(id, operator.onRecord.bind(operator));
      return streamOf(graph, id);
    },
    reduce(name: string, merge: (left: T, right: T) => T, options: ReduceOptions = {}): Stream<T, Ins> {
      graph.assertOpen(".reduce()");
      const { claimed, where } = claimOperator(graph, name);
      checkFunction(`${where}: the merge function`, merge, "plain");
      checkMembers(`${where}: options`, options, ["version", "migrate", "parallelism"]);
      const version = setVersion(graph, claimed, where, options);
      const steps = graph.migrations.get(claimed);
      if (steps !== undefined) graph.migrations.set(claimed, ofValue(steps));
      setParallelism(graph, claimed, where, options.parallelism);
      const id = graph.add({ kind: "reduce", name: claimed, version, input });
      graph.functions.set(id, merge);
      return streamOf(graph, id);
    },
    connect<U, Others>(other: KeyedStream<K, U, Others>): ConnectedStreams<K, T, U, Ins & Others> {
      graph.assertOpen(".connect()");
      const where = `${graph.where}, .connect() after ${graph.describe(input)}`;
      return connectedOf(graph, { left: input, right: placeOf(graph, where, other, "keyed stream") });
    },
  });
  places.set(stream, { graph, id: input, kind: "keyed stream" });
  return stream;
}

function connectedOf<K extends Key, L, R, Ins>(
  graph: GraphBuilder,
  sides: { readonly left: NodeId; readonly right: NodeId },
): ConnectedStreams<K, L, R, Ins> {
  return Object.freeze({
    process<const S extends StateSpecs, A, B>(
      name: string,
      operator: ConnectedOperator<K, L, R, S, A, B>,
    ): Stream<RowOf<A> | RowOf<B>, Ins> {
      graph.assertOpen(".process()");
      const { claimed, where } = claimOperator(graph, name);
      checkMembers(where, operator, ["version", "migrate", "parallelism", "state", "onLeft", "onRight"]);
      checkFunction(`${where}: onLeft`, operator.onLeft, "plain or generator");
      checkFunction(`${where}: onRight`, operator.onRight, "plain or generator");
      const id = graph.add({ kind: "connect", name: claimed, ...sides, ...stateOf(graph, claimed, where, operator) });
      const onLeft: UserFunction = operator.onLeft.bind(operator);
      const onRight: UserFunction = operator.onRight.bind(operator);
      graph.functions.set(id, (value, context, side: 0 | 1) => (side === 0 ? onLeft : onRight)(value, context));
      return streamOf(graph, id);
    },
  });
}

function claimOperator(graph: GraphBuilder, name: unknown): { readonly claimed: string; readonly where: string } {
  const claimed = graph.claim("operator", name);
  return { claimed, where: `${graph.where}, operator ${quoted(claimed)}` };
}

/** What operators with declared state have alike; their parallelism is noted beside the graph. */
function stateOf(
  graph: GraphBuilder,
  claimed: string,
  where: string,
  operator: Versioned & { readonly parallelism?: number; readonly state: StateSpecs },
) {
  setParallelism(graph, claimed, where, operator.parallelism);
  return {
    version: setVersion(graph, claimed, where, operator),
    state: stateDeclarations(where, operator.state),
  };
}

interface Versioned {
  readonly version?: number;
  readonly migrate?: unknown;
}

/** The version; how older state comes to it is noted beside the graph. */
function setVersion(graph: GraphBuilder, claimed: string, where: string, operator: Versioned): number {
  const version = checkWhole(`${where}: version`, operator.version ?? 1, { least: 1, most: versionMax });
  const steps = migrationsOf(where, version, operator.migrate);
  if (steps.size > 0) graph.migrations.set(claimed, steps);
  return version;
}

function setParallelism(graph: GraphBuilder, claimed: string, where: string, given: unknown): void {
  if (given !== undefined) graph.operatorParallelism.set(claimed, parallelism(`${where}: parallelism`, given));
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
