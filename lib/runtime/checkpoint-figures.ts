import type { CheckpointEvent } from "../checkpoint/checkpoint-events.js";
import type { Ack, Manifest } from "../model/checkpoints.js";
import type { SnapshotRef } from "../model/snapshots.js";
import type { Metrics } from "./metrics.js";
import type { SessionLog } from "./session-parts.js";

/** In a line of the log, which may have 256 KB. The slowest ones tell why a checkpoint takes long. */
const tasksToldMax = 100;

/** A line of the history of checkpoints: the log keeps it longer than the bucket keeps the checkpoint. */
export function checkpointFigures(event: CheckpointEvent): Parameters<SessionLog>[0] {
  const { at, pending } = event;
  const { checkpointId: checkpoint, reason, alignment, savepoint } = pending;
  const about = { event: "checkpoint", at, checkpoint, reason, alignment, savepoint: savepoint?.name ?? null };
  if (event.kind === "failed") {
    const metrics: Metrics = { numberOfFailedCheckpoints: 1 };
    return { ...about, status: event.kind, generation: event.generation, metrics };
  }
  const { manifest } = event;
  const tasks = manifest.tasks.map((ack) => taskFigures(ack, manifest)).sort((a, b) => b.ackMillis - a.ackMillis);
  return {
    ...about,
    status: event.kind,
    generation: manifest.generation,
    tasks: tasks.slice(0, tasksToldMax),
    metrics: completedMetrics(manifest),
  };
}

/** Durations from the trigger, in milliseconds; records of the lineage. */
function taskFigures({ task, figures }: Ack, { triggeredAt }: Manifest) {
  const { cutAt, ackedAt, bytes, recordsIn, recordsOut } = figures;
  const since = (time: number) => Math.max(0, time - triggeredAt);
  return { task, cutMillis: since(cutAt), ackMillis: since(ackedAt), bytes, recordsIn, recordsOut };
}

function completedMetrics({ tasks, triggeredAt }: Manifest): Metrics {
  return {
    numberOfCompletedCheckpoints: 1,
    lastCheckpointDuration: Math.max(0, ...tasks.map(({ figures }) => figures.ackedAt - triggeredAt)),
    lastCheckpointSize: sumOf(tasks, ({ figures }) => figures.bytes),
    lastCheckpointFullSize: sumOf(tasks, ({ snapshot }) => sizeOf(snapshot)),
  };
}

const sizeOf = ({ base, deltas }: SnapshotRef): number =>
  sumOf(base === null ? deltas : [base, ...deltas], ({ body }) => body.size);

function sumOf<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((sum, one) => sum + of(one), 0);
}
