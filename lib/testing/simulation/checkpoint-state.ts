import { loadBodyRange } from "../../checkpoint/bodies.js";
import type { Manifest } from "../../model/checkpoints.js";
import type { Plan } from "../../pipeline/plan.js";
import type { ListState, MapState, ValueState } from "../../pipeline/state-spec.js";
import { detachedTask } from "../../runtime/task.js";
import { restoreInto } from "../../state/snapshot-reader.js";
import type { Cloud } from "./cloud.js";
import { onlyFeed, paddingOf, type Tally } from "./tally-pipeline.js";

/** The state that a checkpoint holds, as the next restore would find it. */
export interface CheckpointState {
  readonly arrivals: readonly number[];
  tallyOf(key: string): Tally;
}

export async function stateOf(cloud: Cloud, plan: Plan, manifest: Manifest, padding: number): Promise<CheckpointState> {
  const task = detachedTask(plan);
  for (const ack of manifest.tasks) {
    await restoreInto(task.tables, ack.snapshot, ack.keyGroups, (stored, range) =>
      loadBodyRange(cloud.blobs.blobs, stored, range),
    );
  }
  const enter = (operator: string, key: string): unknown => {
    const table = task.tables.find((candidate) => candidate.operator === operator);
    table?.enter(key);
    return table?.accessors;
  };
  return {
    arrivals: [...(enter("arrive", onlyFeed) as { readonly numbers: ListState<number> }).numbers.get()],
    tallyOf(key) {
      const { count, numbers, lastByRest } = enter("tally", key) as {
        readonly count: ValueState<number>;
        readonly numbers: ListState<number>;
        readonly lastByRest: MapState<number, number>;
      };
      return {
        key,
        count: count.get(),
        numbers: [...numbers.get()],
        lastByRest: [...lastByRest.entries()],
        padding: paddingOf(padding),
      };
    },
  };
}
