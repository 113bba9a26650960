import { inputsOf, type NodeId, type Plan, type PlanNode } from "../pipeline/plan.js";
import { cutStages, type Edge, type Stages } from "../pipeline/stages.js";

// Names of a pipeline are letters, digits, "-", "_" and ".": they need no escapes inside of quotes.

/** The plan as a flowchart of Mermaid: a box for each stage, an arrow for each step, a thick one where records go to another task. */
export function planMermaid(plan: Plan): string {
  const cut = cutStages(plan);
  const boxes = cut.stages.flatMap(({ index, name, tasks, nodes }) => [
    `  subgraph stage${index}["${name} × ${tasks}"]`,
    ...stepsOf(plan, nodes).map((node) => `    ${idOf(index, node.id)}${shapeOf(node)}`),
    "  end",
  ]);
  return `${["flowchart LR", ...boxes, ...stepsWithin(plan, cut), ...cut.edges.flatMap((edge) => arrows(cut, edge))].join("\n")}\n`;
}

/** A step that runs in several stages is drawn in each of them. */
const idOf = (stage: number, node: NodeId): string => `s${stage}n${node}`;

const stepsOf = (plan: Plan, ids: readonly NodeId[]): readonly PlanNode[] =>
  ids.flatMap((id) => plan.graph.nodes[id] ?? []);

function shapeOf(node: PlanNode): string {
  switch (node.kind) {
    case "source":
      return `(["${node.name}"])`;
    case "sink":
      return `[("${node.name}")]`;
    case "process":
    case "reduce":
    case "connect":
    case "mapAsync":
      return `["${node.name}<br/>${node.kind}"]`;
    default:
      return `("${node.kind}")`;
  }
}

/** An operator that has an edge is reached by it alone. */
function stepsWithin(plan: Plan, { stages, edges }: Stages): readonly string[] {
  const reached = new Set(edges.map(({ operator }) => operator));
  return stages.flatMap(({ index, nodes }) =>
    stepsOf(plan, nodes)
      .filter(({ id }) => !reached.has(id))
      .flatMap((node) =>
        inputsOf(node)
          .filter((input) => nodes.includes(input))
          .map((input) => `  ${idOf(index, input)} --> ${idOf(index, node.id)}`),
      ),
  );
}

const arrows = ({ stages }: Stages, { keyBys, producers, consumer, operator }: Edge): readonly string[] =>
  producers
    .flatMap((index) => stages[index] ?? [])
    .flatMap(({ index, nodes, tasks }) =>
      keyBys
        .filter((keyBy) => nodes.includes(keyBy))
        .map((keyBy) => {
          const label = `${tasks} × ${stages[consumer]?.tasks ?? 0}`;
          return `  ${idOf(index, keyBy)} == "${label}" ==> ${idOf(consumer, operator)}`;
        }),
    );
