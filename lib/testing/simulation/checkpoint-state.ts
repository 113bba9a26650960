import { loadBodyRange } from "../../checkpoint/bodies.js";
import type { Manifest } from "../../model/checkpoints.js";
import type { Key } from "../../model/keys.js";
import type { Plan } from "../../pipeline/plan.js";
import type { ListState, MapState, ValueState } from "../../pipeline/state-spec.js";
import { detachedTask } from "../../runtime/task.js";
import { restoreInto } from "../../state/snapshot-reader.js";
import type { Cloud } from "./cloud.js";
import { type GroupSum, onlyFeed, paddingOf, type Tally } from "./tally-pipeline.js";
import type { Chained, Pair } from "./wings.js";

/** The state that a checkpoint holds, as the next restore would find it. */
export interface CheckpointState {
  readonly arrivals: readonly number[];
  tallyOf(key: string): Tally;
  /** null: none of its records was taken. */
  groupOf(group: string): GroupSum | null;
  /** Of operators that are not there: nothing was taken. */
  chainOf(rest: number): Chained;
  pairOf(slot: string): Pair;
}

export async function stateOf(cloud: Cloud, plan: Plan, manifest: Manifest, padding: number): Promise<CheckpointState> {
  const task = detachedTask(plan);
  for (const ack of manifest.tasks) {
    await restoreInto(task.tables, ack.snapshot, ack.keyGroups, (stored, range) =>
      loadBodyRange(cloud.blobs.blobs, stored, range),
    );
  }
  const enter = <S>(operator: string, key: Key): S => {
    const table = task.tables.find((candidate) => candidate.operator === operator);
    table?.enter(key);
    return (table?.accessors ?? {}) as S;
  };
  return {
    arrivals: [...enter<{ readonly numbers: ListState<number> }>("arrive", onlyFeed).numbers.get()],
    tallyOf(key) {
      const { count, numbers, lastByRest } = enter<TallyState>("tally", key);
      return {
        key,
        count: count.get(),
        numbers: [...numbers.get()],
        lastByRest: [...lastByRest.entries()],
        padding: paddingOf(padding),
      };
    },
    groupOf: (group) => enter<{ readonly value: ValueState<GroupSum | undefined> }>("group", group).value.get() ?? null,
    chainOf(rest) {
      const { numbers, nths } = enter<Lists<"numbers" | "nths">>("second", rest);
      return { rest: String(rest), numbers: [...(numbers?.get() ?? [])], nths: [...(nths?.get() ?? [])] };
    },
    pairOf(slot) {
      const { left, right } = enter<Lists<"left" | "right">>("pair", slot);
      return { slot, left: [...(left?.get() ?? [])], right: [...(right?.get() ?? [])] };
    },
  };
}

interface TallyState {
  readonly count: ValueState<number>;
  readonly numbers: ListState<number>;
  readonly lastByRest: MapState<number, number>;
}

type Lists<N extends string> = { readonly [P in N]?: ListState<number> };
