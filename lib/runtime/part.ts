import type { KeyGroups } from "../model/checkpoints.js";
import { type Key, keyGroupCount } from "../model/keys.js";
import type { NodeId, Plan } from "../pipeline/plan.js";
import type { RecordView } from "./record-view.js";

/** What takes records for another task: the producer's side of an edge. */
export interface EdgeTaker {
  /** @param input which side of a `connect` it is; 0 where there is one side */
  add(key: Key, input: 0 | 1, value: unknown, record: RecordView): void;
  /** What comes now may be taken back, until the next `mark`. */
  mark(): void;
  rollback(): void;
  /** What is open should go first, or what waits should be gone: no more should come. */
  readonly isHeld: boolean;
}

/** The part of the plan that a task runs. */
export interface Part {
  readonly nodes: ReadonlySet<NodeId>;
  /** By the operator that each feeds. */
  readonly edges: ReadonlyMap<string, EdgeTaker>;
  /** Where no edge follows a `keyBy` because the source is partitioned by it (K2): its keys must be of these key groups. */
  readonly owned: { readonly keyBys: ReadonlySet<NodeId>; readonly keyGroups: KeyGroups };
}

/** All of it, in one task. */
export const wholePlan = (plan: Plan): Part => ({
  nodes: new Set(plan.graph.nodes.map((node) => node.id)),
  edges: new Map(),
  owned: { keyBys: new Set(), keyGroups: [0, keyGroupCount - 1] },
});
