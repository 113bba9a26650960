import { checkName, frozenJson, isPlainObject, kindOf, quoted, refuse } from "./checks.js";
import type { GraphBuilder } from "./graph-builder.js";
import { hasState, type NodeId, type StateDeclaration } from "./plan.js";
import type { HeldSink, Sink } from "./sink.js";
import type { Source } from "./source.js";
import type { StateSpec } from "./state-spec.js";

// What programs without types give to builders: sources, sinks and states that may be none.

const kinds: readonly unknown[] = ["value", "list", "map"] satisfies StateDeclaration["kind"][];
const deliveries: readonly unknown[] & readonly string[] = ["held", "eager", "two-phase", "log"];
const keyed: readonly unknown[] = ["held", "eager"];

/** The declarations as part of the graph: initial values are copied, so that what their owner does to them later reaches no key. */
export function stateDeclarations(where: string, state: unknown): Readonly<Record<string, StateDeclaration>> {
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

/** @throws StreamError `invalid` where it is no source */
export function checkSource(where: string, source: unknown): void {
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
  if (keyed.includes(given.delivery) && typeof given.keyOf !== "function") {
    refuse(where, "has no key, so that a row written twice could not be told from two rows; give the sink its key");
  }
}

/** W3: a key that is written before a crash, and not after it, would stay. */
export function checkEager(graph: GraphBuilder, input: NodeId, where: string, sink: Sink<never>): void {
  const before = graph.nodes[input];
  if (sink.delivery !== "eager" || (before !== undefined && hasState(before))) return;
  refuse(
    where,
    `writes at once (delivery: "eager"), which is exact only right behind an operator with state, by its key; it follows ${graph.describe(input)}. Leave out the delivery (rows are held), or put the sink behind .process() or .reduce() (W3)`,
  );
}
