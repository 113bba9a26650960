import type { InheritedSnapshot } from "../checkpoint/inherit.js";
import { StreamError } from "../model/errors.js";
import type { TaskId } from "../model/ids.js";
import { intersection } from "../model/key-ranges.js";

/** Of a function's memory: the rest is the runtime's, and that of records and output under way. */
const stateShareMax = 0.75;

/**
 * State lies in memory as a whole. Without this a task with too little would be killed at every restore, and nobody would be told why.
 *
 * @param memoryBytes of the function; null: nobody says
 * @throws StreamError `invalid`: what the task takes over is more than the function can hold, counted without what a snapshot's deltas add
 */
export function checkMemory(task: TaskId, snapshots: readonly InheritedSnapshot[], memoryBytes: number | null): void {
  if (memoryBytes === null) return;
  const bytes = snapshots.reduce((sum, snapshot) => sum + baseBytes(snapshot), 0);
  if (bytes <= memoryBytes * stateShareMax) return;
  const wanted = Math.ceil(bytes / stateShareMax / mebibyte);
  throw new StreamError(
    "invalid",
    `task ${task}: the state that it takes over has ${Math.ceil(bytes / mebibyte)} MB in its snapshot, its function ${Math.floor(memoryBytes / mebibyte)} MB of memory; give the function more than ${wanted} MB (taskMemorySize), or the pipeline more tasks (parallelism)`,
  );
}

const mebibyte = 1024 * 1024;

const baseBytes = ({ ref, keyGroups }: InheritedSnapshot): number =>
  (ref.base?.slices ?? [])
    .filter((slice) => intersection(slice.keyGroups, keyGroups) !== null)
    .reduce((sum, { length }) => sum + length, 0);
