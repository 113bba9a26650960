import { keyGroupAt, keyGroupsOf, ownerOf } from "../model/key-ranges.js";
import type { ShardEntry, ShardTable } from "../model/shards.js";
import { hasState, inputsOf, type NodeId, type Plan, type PlanNode, parallelismOf } from "./plan.js";

// K1, K2: key groups are slices of the hash space of the shards. So a record that was put with its key as partition key lies in a
// shard of its key's range, and where each shard lies within the range of one task, the task that reads it owns its key.

/** An operator whose records may lie where their keys' tasks read. */
export interface Sparable {
  readonly operator: string;
  readonly source: string;
  readonly keyBy: NodeId;
}

/**
 * The operators right behind the `keyBy` of a source whose `partitionedBy` is the very function that gives the key. Only filters may
 * lie between: what changes the value changes what the function would say of it.
 */
export function sparable({ graph, sources, functions, settings }: Plan): readonly Sparable[] {
  return graph.nodes.filter(hasState).flatMap((node): Sparable[] => {
    const [keyBy] = inputsOf(node);
    if (keyBy === undefined || node.kind === "connect") return [];
    const source = sourceBefore(graph.nodes, keyBy);
    const partitionedBy = source === null ? undefined : sources.get(source)?.partitionedBy;
    const isSame = partitionedBy !== undefined && partitionedBy === functions.get(keyBy);
    if (source === null || !isSame || parallelismOf(settings, node.name) !== settings.parallelism) return [];
    return [{ operator: node.name, source, keyBy }];
  });
}

function sourceBefore(nodes: readonly PlanNode[], keyBy: NodeId): string | null {
  for (let node = nodes[keyBy]; node !== undefined; node = nodes[inputsOf(node)[0] ?? -1]) {
    if (node.kind === "source") return node.name;
    if (node.id !== keyBy && node.kind !== "filter") return null;
  }
  return null;
}

/** Whether all keys of the shard are of the task that reads it. */
export function liesWithinOne({ hashKeys: [first, last] }: Pick<ShardEntry, "hashKeys">, tasks: number): boolean {
  const [, end] = keyGroupsOf(ownerOf(keyGroupAt(first), tasks), tasks);
  return keyGroupAt(last) <= end;
}

/** Those of whose source every shard that is left to read lies within one of so many tasks. */
export const sparedBy = (plan: Plan, shards: ShardTable, tasks: number): readonly string[] =>
  sparable(plan)
    .filter(({ source }) => openShards(shards, source).every((entry) => liesWithinOne(entry, tasks)))
    .map(({ operator }) => operator);

/** Of a generation with these stages: operators run in the tasks that read, although there are several (a generation of one has no edges anyway). */
export function sparedIn(
  plan: Plan,
  stages: readonly { readonly tasks: number; readonly operators: readonly string[] }[],
) {
  const [first] = stages;
  return sparable(plan).filter(({ operator }) => first?.operators.includes(operator));
}

/** A shard has come in that is of two tasks, for two were merged: what no task reads needs a generation with an exchange. */
export function needsExchange(
  plan: Plan,
  stages: readonly { readonly tasks: number; readonly operators: readonly string[] }[],
  shards: ShardTable,
): boolean {
  const tasks = stages[0]?.tasks ?? 1;
  return sparedIn(plan, stages).some(({ source }) =>
    openShards(shards, source).some((entry) => !liesWithinOne(entry, tasks)),
  );
}

export const openShards = (shards: ShardTable, source: string): readonly ShardEntry[] =>
  (shards[source]?.shards ?? []).filter(({ at }) => at.kind === "open");
