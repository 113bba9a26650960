import { hasState, inputsOf, type NodeId, type Plan, type PlanNode, parallelismOf, type StatefulNode } from "./plan.js";

// A plan is cut at keyBy, where records may have to go to another task. The producer evaluates the key, so a keyBy belongs to the
// stages of its input; the operator behind it begins a stage of its own, unless that has one task as its producers have.
// Edges lead from a lower depth to a higher one, so that stages never wait for each other in a circle.

/** Steps that run together in each of `tasks` tasks. */
export interface Stage {
  readonly index: number;
  readonly name: string;
  /** As planned; the stage of the sources runs no more than there are shards (K2). */
  readonly tasks: number;
  /** Ascending. A step without state behind a union may be in several stages, an operator with state is in one. */
  readonly nodes: readonly NodeId[];
  /** Names, in the order of the graph, as those of operators and sinks are. */
  readonly sources: readonly string[];
  /** Those with state. */
  readonly operators: readonly string[];
  /** Without the dead-letter sink, which is no step of the graph: every stage may write there. */
  readonly sinks: readonly string[];
}

/** The way of records from stages to an operator of another one. */
export interface Edge {
  /** The operator's name (E4). */
  readonly name: string;
  readonly operator: NodeId;
  /** The steps that give its records and their keys. Of a connect the left one and the right one, in that order. */
  readonly keyBys: readonly NodeId[];
  /** Indices of stages, ascending: those that have one of the {@link keyBys}. All are lower than the consumer's. */
  readonly producers: readonly number[];
  readonly consumer: number;
}

export interface Stages {
  readonly stages: readonly Stage[];
  /** In the order of the graph. */
  readonly edges: readonly Edge[];
}

/** A stage before it has an index: all steps of one depth with so many tasks. */
interface Draft {
  /** Edges on the longest way from a source. */
  readonly depth: number;
  readonly tasks: number;
  readonly nodes: PlanNode[];
}

/**
 * Cuts a plan into stages that exchange records by key. With a parallelism of 1 everywhere it is one stage with all steps.
 * Pure: the same graph with the same parallelism is cut the same way.
 *
 * @param spared operators that need no exchange, for their records already are where their keys' tasks are: see `sparable`
 */
export function cutStages(plan: Plan, spared: readonly string[] = []): Stages {
  const { drafts, crossings } = draft(plan, spared);
  // Drafts come in the order of their first steps, and the sort is stable.
  const order = [...drafts].sort((a, b) => a.depth - b.depth);
  const indexOf = (of: Draft): number => order.indexOf(of);
  return {
    stages: order.map((one, index) => stageOf(one, index, order.length)),
    edges: crossings.map(({ operator, from, to }) => ({
      name: operator.name,
      operator: operator.id,
      keyBys: inputsOf(operator),
      producers: from.map(indexOf).sort((a, b) => a - b),
      consumer: indexOf(to),
    })),
  };
}

interface Drafted {
  readonly drafts: readonly Draft[];
  readonly crossings: readonly {
    readonly operator: StatefulNode;
    readonly from: readonly Draft[];
    readonly to: Draft;
  }[];
}

/** Inputs have lower ids: where a step's inputs run is known when its turn comes. */
function draft({ graph, settings }: Plan, spared: readonly string[]): Drafted {
  const drafts: Draft[] = [];
  const crossings: Drafted["crossings"][number][] = [];
  const homes = new Map<NodeId, readonly Draft[]>();
  const draftAt = (depth: number, tasks: number): Draft => {
    const known = drafts.find((one) => one.depth === depth && one.tasks === tasks);
    if (known !== undefined) return known;
    const made: Draft = { depth, tasks, nodes: [] };
    drafts.push(made);
    return made;
  };
  const homeOf = (node: PlanNode): readonly Draft[] => {
    if (node.kind === "source") return [draftAt(0, settings.parallelism)];
    const from = [...new Set(inputsOf(node).flatMap((input) => homes.get(input) ?? []))];
    if (!hasState(node)) return from;
    const tasks = parallelismOf(settings, node.name);
    const isFused = tasks === 1 && from[0]?.tasks === 1;
    if (from.length === 1 && (isFused || spared.includes(node.name))) return from;
    const to = draftAt(Math.max(...from.map(({ depth }) => depth)) + 1, tasks);
    crossings.push({ operator: node, from, to });
    return [to];
  };
  for (const node of graph.nodes) {
    const home = homeOf(node);
    homes.set(node.id, home);
    for (const one of home) one.nodes.push(node);
  }
  return { drafts, crossings };
}

function stageOf({ tasks, nodes }: Draft, index: number, stages: number): Stage {
  const operators = nodes.filter(hasState).map(({ name }) => name);
  return {
    index,
    name: stages === 1 ? "main" : index === 0 ? "sources" : joined(operators),
    tasks,
    nodes: nodes.map(({ id }) => id),
    sources: nodes.flatMap((node) => (node.kind === "source" ? [node.name] : [])),
    operators,
    sinks: nodes.flatMap((node) => (node.kind === "sink" ? [node.name] : [])),
  };
}

const joinedLengthMax = 64;

/** Names joined by "+", the first one whole, and how many are left out. */
function joined(names: readonly string[]): string {
  const all = names.join("+");
  if (all.length <= joinedLengthMax || names.length === 1) return all;
  let shown = names.length - 1;
  const text = () => `${names.slice(0, shown).join("+")}+${names.length - shown} more`;
  while (shown > 1 && text().length > joinedLengthMax) shown--;
  return text();
}
