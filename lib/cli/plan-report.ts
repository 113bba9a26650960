import { sparable } from "../pipeline/partitioned.js";
import { hasState, inputsOf, type NodeId, type Plan, type PlanNode, type StatefulNode } from "../pipeline/plan.js";
import { filePath } from "../pipeline/source.js";
import { cutStages, type Edge, type Stage, type Stages } from "../pipeline/stages.js";

/** What `tidemark plan` says: facts of the plan alone, nothing of what runs. */
export interface PlanReport {
  readonly pipeline: string;
  readonly fingerprint: string;
  readonly parallelism: number;
  readonly mode: string;
  readonly alignment: string;
  /** Of all stages together. */
  readonly tasks: number;
  readonly stages: readonly StageReport[];
  readonly edges: readonly EdgeReport[];
  /** The kind of the sink for records that are put aside. */
  readonly deadLetters: string | null;
  readonly notes: readonly string[];
}

export interface StageReport {
  readonly index: number;
  readonly name: string;
  readonly tasks: number;
  readonly sources: readonly SourceReport[];
  readonly operators: readonly OperatorReport[];
  readonly calls: readonly CallReport[];
  readonly sinks: readonly SinkReport[];
}

interface SourceReport {
  readonly name: string;
  readonly kind: string;
  /** The logical name of the stream, or of the file. */
  readonly from: string;
}

interface OperatorReport {
  readonly name: string;
  readonly kind: StatefulNode["kind"];
  readonly version: number;
  /** The kind of each state, by its name. */
  readonly state: Readonly<Record<string, string>>;
}

interface CallReport {
  readonly name: string;
  readonly concurrency: number;
  readonly ordered: boolean;
  readonly timeoutMillis: number;
}

interface SinkReport {
  readonly name: string;
  readonly kind: string;
  readonly delivery: string;
}

export interface EdgeReport {
  /** The operator that it feeds. */
  readonly name: string;
  /** Indices of stages. */
  readonly from: readonly number[];
  readonly to: number;
  /** One from each task to each task. */
  readonly channels: number;
}

export function planReport(plan: Plan): PlanReport {
  const { graph, settings } = plan;
  const cut = cutStages(plan);
  const tasks = tasksOf(cut.stages);
  return {
    pipeline: graph.name,
    fingerprint: plan.fingerprint,
    parallelism: settings.parallelism,
    mode: settings.mode,
    alignment: settings.alignment,
    tasks,
    stages: cut.stages.map((stage) => stageReport(plan, stage)),
    edges: cut.edges.map((edge) => edgeReport(cut, edge)),
    deadLetters: graph.deadLetters?.kind ?? null,
    notes: [...manyTasks(tasks), ...partitions(plan), ...lastWriters(plan, cut)],
  };
}

/** K2: what the source says of its producer, and what comes of it. */
function partitions(plan: Plan): readonly string[] {
  const { parallelism } = plan.settings;
  if (parallelism === 1) return [];
  const spared = sparable(plan);
  return [...plan.sources].flatMap(([source, { partitionedBy }]) => {
    if (partitionedBy === undefined) return [];
    const operators = spared.filter((one) => one.source === source).map(({ operator }) => `"${operator}"`);
    return operators.length === 0
      ? [
          `source "${source}" says partitionedBy, which spares no exchange: no operator of parallelism ${parallelism} is keyed by that very function right behind it, or behind filters alone (K2)`,
        ]
      : [
          `${operators.join(", ")} may run in the tasks that read "${source}", without an exchange: whenever each open shard lies within the key groups of one task, such as ${parallelism} shards of equal size (K2)`,
        ];
  });
}

const tasksOf = (stages: readonly Stage[]): number => stages.reduce((sum, { tasks }) => sum + tasks, 0);

function stageReport(plan: Plan, { index, name, tasks, nodes }: Stage): StageReport {
  const here = nodes.flatMap((id) => plan.graph.nodes[id] ?? []);
  return {
    index,
    name,
    tasks,
    sources: here.flatMap((node) => (node.kind === "source" ? [sourceReport(node)] : [])),
    operators: here.filter(hasState).map(operatorReport),
    calls: here.flatMap((node) => (node.kind === "mapAsync" ? [callReport(node)] : [])),
    sinks: here.flatMap((node) => (node.kind === "sink" ? [sinkReport(plan, node)] : [])),
  };
}

function sourceReport({ name, source }: Extract<PlanNode, { readonly kind: "source" }>): SourceReport {
  const { stream } = source.config;
  return { name, kind: source.kind, from: filePath(stream) ?? stream };
}

const operatorReport = (node: StatefulNode): OperatorReport => ({
  name: node.name,
  kind: node.kind,
  version: node.version,
  state:
    node.kind === "reduce"
      ? { value: "value" }
      : Object.fromEntries(Object.entries(node.state).map(([name, { kind }]) => [name, kind])),
});

const callReport = (node: Extract<PlanNode, { readonly kind: "mapAsync" }>): CallReport => ({
  name: node.name,
  concurrency: node.concurrency,
  ordered: node.ordered,
  timeoutMillis: node.timeout,
});

const sinkReport = (plan: Plan, { name, sink }: Extract<PlanNode, { readonly kind: "sink" }>): SinkReport => ({
  name,
  kind: sink.kind,
  delivery: plan.sinks.get(name)?.delivery ?? "",
});

const edgeReport = ({ stages }: Stages, { name, producers, consumer }: Edge): EdgeReport => ({
  name,
  from: producers,
  to: consumer,
  channels: tasksOf(producers.flatMap((index) => stages[index] ?? [])) * (stages[consumer]?.tasks ?? 0),
});

const testedTasks = 64;

const manyTasks = (tasks: number): readonly string[] =>
  tasks <= testedTasks ? [] : [`${tasks} tasks: a pipeline is tested to ${testedTasks} in all its stages together`];

/** W3: which keys a sink's rows have is known when they are made; whether an operator brings those of one key together, by the plan. */
function lastWriters(plan: Plan, { stages }: Stages): readonly string[] {
  return plan.graph.nodes.flatMap((node) => {
    if (node.kind !== "sink" || plan.sinks.get(node.name)?.delivery !== "held") return [];
    const tasks = tasksOf(stages.filter(({ nodes }) => nodes.includes(node.id)));
    if (tasks === 1 || followsState(plan, node.id)) return [];
    return [
      `sink "${node.name}" holds rows by key, is written by ${tasks} tasks, and follows no operator with state: where several of them write the same key in one checkpoint, the last writer is arbitrary. Put it behind an operator with the same key (W3)`,
    ];
  });
}

/** Steps that take one input and have no state leave rows in the task that made them. */
function followsState(plan: Plan, id: NodeId): boolean {
  const node = plan.graph.nodes[id];
  if (node === undefined || node.kind === "source" || node.kind === "union") return false;
  return hasState(node) || inputsOf(node).some((input) => followsState(plan, input));
}
