import type { Ack, Manifest } from "../model/checkpoints.js";
import type { Head, Progress } from "../model/head.js";
import { type Millis, millis } from "../model/ids.js";

// N2: how long nothing has come. A session knows only its own time, which may be shorter than the pipeline is to be idle before it
// sleeps; so the complete checkpoints carry it on, over hand-overs and restarts.

const recordsOf = (acks: readonly Ack[]): number => acks.reduce((sum, ack) => sum + ack.figures.recordsIn, 0);

/** What the head says of it after a checkpoint with these acks. */
export function idleAfter(before: Millis | null, previous: Manifest | null, acks: readonly Ack[]): Millis | null {
  if (!acks.every((ack) => ack.idle)) return null;
  const cameNothing = previous !== null && recordsOf(previous.tasks) === recordsOf(acks);
  return cameNothing && before !== null ? before : millis(Math.min(...acks.map((ack) => ack.figures.cutAt)));
}

/** Since when the whole pipeline is idle, by all that its tasks and its last checkpoint say; null where it is not. */
export function idleSince(head: Head, completed: Manifest | null, progress: readonly Progress[]): Millis | null {
  const since = progress.map((task) => task.idleSince);
  if (since.length === 0 || !since.every((time) => time !== null)) return null;
  const own = millis(Math.max(...since));
  const records = progress.reduce((sum, task) => sum + task.records, 0);
  const cameNothing = completed !== null && head.idleSince !== null && recordsOf(completed.tasks) === records;
  return cameNothing && head.idleSince !== null ? millis(Math.min(own, head.idleSince)) : own;
}
