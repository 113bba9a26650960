import { checkName, quoted, refuse } from "./checks.js";
import type { Migrations } from "./migrations.js";
import { hasState, inputsOf, type NodeId, type PlanNode, type UserFunction } from "./plan.js";
import type { Sink } from "./sink.js";
import type { Source } from "./source.js";

/** A node before it has its id. */
export type NodeWithoutId = PlanNode extends infer N ? (N extends PlanNode ? Omit<N, "id"> : never) : never;

const nodesMax = 1_000;

/** The nodes that a build callback makes: grows until the callback ends, and refuses everything afterwards. */
export class GraphBuilder {
  readonly functions = new Map<NodeId, UserFunction>();
  readonly sources = new Map<string, Source<unknown>>();
  readonly sinks = new Map<string, Sink<never>>();
  /** By name, of operators that say it: no part of the graph, for it may change from deployment to deployment. */
  readonly operatorParallelism = new Map<string, number>();
  /** By operator: functions, so that they are no part of the graph either. */
  readonly migrations = new Map<string, Migrations>();
  readonly #nodes: PlanNode[] = [];
  readonly #operators = new Set<string>();
  #closed = false;

  constructor(readonly where: string) {}

  get nodes(): readonly PlanNode[] {
    return this.#nodes;
  }

  close(): void {
    this.#closed = true;
  }

  /** To be called first by everything that users call. */
  assertOpen(call: string): void {
    if (this.#closed) {
      refuse(
        this.where,
        `${call} was called after the pipeline was built; call it inside the build callback, which must not be async`,
      );
    }
  }

  add(node: NodeWithoutId): NodeId {
    if (this.#nodes.length === nodesMax) refuse(this.where, `has more than ${nodesMax} steps; split it`);
    const id = this.#nodes.length;
    this.#nodes.push(Object.freeze({ id, ...node } as PlanNode));
    return id;
  }

  /** A name that no other source, operator or sink has: each kind has names of its own, for each is an address of its own. */
  claim(kind: "source" | "operator" | "sink", name: unknown): string {
    const claimed = checkName(this.where, `the ${kind}'s name`, name);
    const taken = kind === "operator" ? this.#operators : kind === "source" ? this.sources : this.sinks;
    if (taken.has(claimed))
      refuse(this.where, `two ${kind}s are called ${quoted(claimed)}; give each a name of its own`);
    if (kind === "operator") this.#operators.add(claimed);
    return claimed;
  }

  /** A node in words, such as `the .map() after source "flights"`. */
  describe(id: NodeId): string {
    const node = this.#nodes[id];
    if (node === undefined) return `step ${id}`;
    if (node.kind === "source" || node.kind === "sink") return `${node.kind} ${quoted(node.name)}`;
    if (hasState(node) || node.kind === "mapAsync") return `operator ${quoted(node.name)}`;
    const [before] = inputsOf(node);
    return `the .${node.kind}() after ${before === undefined ? "nothing" : this.describe(before)}`;
  }
}
