import { canonicalJson } from "../model/canonical-json.js";
import { sha256 } from "../model/sha256.js";
import { flowOf, isOutputOf } from "./build-stream.js";
import { checkSink } from "./check-parts.js";
import { checkFunction, checkName, frozenJson, isPlainObject, kindOf, quoted, refuse } from "./checks.js";
import { deadLetterSink } from "./dead-letter.js";
import { GraphBuilder } from "./graph-builder.js";
import { type PipelineOptions, planSettings } from "./options.js";
import { inputsOf, type Plan, type PlanGraph, type PlanSettings } from "./plan.js";
import type { Flow, Output } from "./stream.js";

/** Registered, not unique: a user's bundle and the command line may each have a copy of this library, and one must know the other's values. */
const pipelineBrand = Symbol.for("tidemark.pipeline");

/** A pipeline as a value: what is deployed, run and shown. `Ins` and `Outs` are records by name, of what its sources give and its sinks take. */
export interface Pipeline<out Ins, out Outs> {
  readonly name: string;
  /** SHA-256 of the graph: two pipelines with one fingerprint have the same steps, names and state. */
  readonly fingerprint: string;
  readonly plan: Plan;
  readonly "~ins"?: Ins;
  readonly "~outs"?: Outs;
}

type Intersect<U> = (U extends unknown ? (u: U) => void : never) extends (u: infer I) => void ? I : never;
type OutputIns<R> = R extends Output<infer I, unknown> ? I : never;
type OutputOuts<R> = R extends Output<unknown, infer O> ? O : never;
/** What a build callback may return. */
// biome-ignore lint/suspicious/noConfusingVoidType: it is the return type of a callback, which may return nothing
export type Built = Output<unknown, unknown> | readonly Output<unknown, unknown>[] | void;
export type InsOf<R> = R extends readonly unknown[]
  ? Intersect<{ [P in keyof R]: OutputIns<R[P]> }[number]>
  : R extends Output<unknown, unknown>
    ? OutputIns<R>
    : Record<string, unknown>;
export type OutsOf<R> = R extends readonly unknown[]
  ? Intersect<{ [P in keyof R]: OutputOuts<R[P]> }[number]>
  : R extends Output<unknown, unknown>
    ? OutputOuts<R>
    : Record<string, unknown>;

/**
 * Makes a pipeline. Pure: nothing is read, opened or started; the same program gives the same fingerprint.
 *
 * @param name letters, digits, "-", "_" and ".", at most 64: the pipeline's address in an environment. Stable.
 * @param build describes the streams, synchronously. Returns its output or outputs, so that the pipeline's type knows them by name.
 * @throws StreamError `invalid`, for every mistake that can be seen before a record is read
 * @example
 * export default pipeline("flight-delays", { checkpoint: { interval: "10s" } }, (flow) =>
 *   flow
 *     .from("flights", kinesisSource({ stream: "flights", codec: json(Flight) }))
 *     .keyBy((flight) => flight.origin)
 *     .process("count", {
 *       state: { flights: value(0) },
 *       onRecord(flight, { key, state }) {
 *         state.flights.update((n) => n + 1);
 *         return { airport: key, flights: state.flights.get() };
 *       },
 *     })
 *     .to("airports", dynamoTable({ table: "airports", key: ["airport"] })));
 */
export function pipeline<const R extends Built>(
  name: string,
  options: PipelineOptions,
  build: (flow: Flow) => R,
): Pipeline<InsOf<R>, OutsOf<R>> {
  const where = `pipeline ${quoted(checkName("pipeline()", "the pipeline's name", name))}`;
  if (!isPlainObject(options)) {
    refuse(
      where,
      `the second argument is ${kindOf(options)}; write pipeline(name, options, build), with {} for the defaults`,
    );
  }
  const settings = planSettings(where, options);
  checkFunction(`${where}: the build callback`, build, "plain");
  const graph = new GraphBuilder(where);
  try {
    addDeadLetters(graph, settings, options);
    checkOutputs(graph, build(flowOf(graph)));
  } finally {
    graph.close();
  }
  checkEnds(graph);
  checkCalls(graph, settings);
  const plan: Plan = planOf(name, graph, settings);
  return Object.freeze({ [pipelineBrand]: true, name, fingerprint: plan.fingerprint, plan });
}

/** Whether the value is a pipeline, also one that another copy of this library made. */
export function isPipeline(value: unknown): value is Pipeline<unknown, unknown> {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[pipelineBrand] === true;
}

function planOf(name: string, built: GraphBuilder, settings: PlanSettings): Plan {
  const deadLetters = built.sinks.get(deadLetterSink);
  const graph: PlanGraph = Object.freeze({
    format: 1,
    name,
    nodes: Object.freeze([...built.nodes]),
    ...(deadLetters === undefined
      ? {}
      : { deadLetters: Object.freeze({ kind: deadLetters.kind, config: deadLetters.config }) }),
  });
  return Object.freeze({
    graph,
    fingerprint: sha256(canonicalJson(graph)),
    settings: Object.freeze({
      ...settings,
      operatorParallelism: Object.freeze(Object.fromEntries(built.operatorParallelism)),
    }),
    functions: built.functions,
    migrations: built.migrations,
    sources: built.sources,
    sinks: built.sinks,
  });
}

/** `onBadRecord: "quarantine"`: a sink beside those of the graph. */
function addDeadLetters(graph: GraphBuilder, settings: PlanSettings, options: PipelineOptions): void {
  const { deadLetters } = options;
  if (settings.onBadRecord === "fail") {
    if (deadLetters === undefined) return;
    refuse(graph.where, 'has a sink for dead letters, but fails at a bad record; add onBadRecord: "quarantine"');
  }
  const where = `${graph.where}, deadLetters`;
  if (deadLetters === undefined)
    refuse(
      where,
      'onBadRecord: "quarantine" needs a sink for the records that are put aside: deadLetters: dynamoTable({ table: "dead-letters", key: ["id"] })',
    );
  checkSink(where, deadLetters);
  if (deadLetters?.delivery === "eager") refuse(where, "cannot be eager: a record must be put aside exactly once");
  const name = graph.claim("sink", deadLetterSink);
  frozenJson(`${where}: config`, deadLetters?.config);
  if (deadLetters !== undefined) graph.sinks.set(name, deadLetters);
}

function checkOutputs(graph: GraphBuilder, returned: unknown): void {
  if (returned === undefined) return;
  for (const output of Array.isArray(returned) ? returned : [returned]) {
    if (typeof output === "object" && output !== null && isOutputOf(graph, output)) continue;
    const what = typeof output?.then === "function" ? "a promise" : kindOf(output);
    refuse(graph.where, `the build callback returns ${what}; return what .to() returns, an array of that, or nothing`);
  }
}

/** B2, B5: a checkpoint waits for the calls under way; one that may take longer than the checkpoint's time would have it given up. */
function checkCalls(graph: GraphBuilder, settings: PlanSettings): void {
  const slow = graph.nodes.find((node) => node.kind === "mapAsync" && node.timeout > settings.timeout);
  if (slow?.kind !== "mapAsync") return;
  refuse(
    `${graph.where}, ${graph.describe(slow.id)}: timeout`,
    `${slow.timeout} ms is longer than checkpoint.timeout (${settings.timeout} ms), and a checkpoint waits for the calls under way; shorten it, or lengthen checkpoint.timeout`,
  );
}

/** Every step leads to a sink: one that does not would be read, computed and forgotten. */
function checkEnds(graph: GraphBuilder): void {
  const consumed = new Set(graph.nodes.flatMap(inputsOf));
  const loose = graph.nodes.find((node) => node.kind !== "sink" && !consumed.has(node.id));
  if (loose !== undefined) {
    refuse(graph.where, `${graph.describe(loose.id)} ends nowhere; end its stream with .to(name, sink), or remove it`);
  }
  if (!graph.nodes.some((node) => node.kind === "sink")) {
    refuse(graph.where, "has no sink; begin with flow.from(name, source) and end a stream with .to(name, sink)");
  }
}
