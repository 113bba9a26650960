import type { Progress } from "../../model/head.js";
import { millis, type TaskId } from "../../model/ids.js";

/** How far all tasks of a generation are, together. */
export type Standing = Pick<Progress, "generation" | "records" | "behindMillis" | "idleSince">;

/** Null until each task has told: the sum of some would look like a step back. */
export function standingOf(tasks: readonly TaskId[], progress: ReadonlyMap<TaskId, Progress>): Standing | null {
  const told = tasks.flatMap((task) => progress.get(task) ?? []);
  const [first] = told;
  if (first === undefined || told.length < tasks.length) return null;
  const idle = told.flatMap(({ idleSince }) => idleSince ?? []);
  return {
    generation: first.generation,
    // Each record is counted once, by the task that has read it.
    records: told.reduce((sum, { records }) => sum + records, 0),
    behindMillis: Math.max(...told.map(({ behindMillis }) => behindMillis)),
    idleSince: idle.length === told.length ? millis(Math.max(...idle)) : null,
  };
}
