import type { Facts } from "../checkpoint/facts.js";
import { tasksOf } from "../checkpoint/fold.js";
import type { MetricName } from "./metrics.js";

/**
 * What a run of the supervisor knows of its pipeline, for alarms and dashboards. A measure that cannot be known is left out: a
 * pipeline that stands still has no age of a checkpoint.
 */
export interface Measures extends Partial<Record<MetricName, number>> {
  /** Milliseconds since the last complete checkpoint was triggered, while there is something to checkpoint; else 0. */
  readonly lastCheckpointAge?: number;
  /** Milliseconds, of the task that is farthest behind the end of its stream. */
  readonly millisBehindLatest?: number;
  /** Records that sources have read, over all generations. */
  readonly numRecordsIn?: number;
  /** Rows that sinks were given, over all generations, as of the last complete checkpoint. */
  readonly numRecordsOut?: number;
  /** Complete checkpoints whose output a task has not yet written: the most of any. */
  readonly uncommittedCheckpoints?: number;
  /** Failures within the last hour, of which the head keeps ten. */
  readonly numRestarts: number;
  /** 1 where the pipeline has given up. */
  readonly failed: number;
}

const hourMillis = 3_600_000;

export function measuresOf(facts: Facts): Measures {
  const head = facts.head?.value ?? null;
  const failures = head?.failures.filter(({ at }) => at > facts.now - hourMillis) ?? [];
  return {
    ...ageOf(facts),
    ...readingOf(facts),
    ...writingOf(facts),
    numRestarts: failures.length,
    failed: head?.status === "failed" ? 1 : 0,
  };
}

/** B1: a checkpoint is made where something changed, so that without a change none is late. */
function ageOf({ head, now, completed, progress }: Facts): Pick<Measures, "lastCheckpointAge"> {
  if (head === null || head.value.endedAt !== null || head.value.status === "suspended") return {};
  const isDue = head.value.pending !== null || [...progress.values()].some(({ changed }) => changed);
  return { lastCheckpointAge: isDue ? Math.max(0, now - (completed?.triggeredAt ?? head.value.openedAt)) : 0 };
}

function readingOf({ record, progress }: Facts): Pick<Measures, "millisBehindLatest" | "numRecordsIn"> {
  const [sources] = record?.stages ?? [];
  const reading = sources === undefined ? [] : tasksOf({ stages: [sources] });
  const told = reading.flatMap((task) => progress.get(task) ?? []);
  if (told.length === 0) return {};
  return {
    millisBehindLatest: Math.max(...told.map(({ behindMillis }) => behindMillis)),
    numRecordsIn: told.reduce((sum, { records }) => sum + records, 0),
  };
}

function writingOf({ completed, progress }: Facts): Pick<Measures, "numRecordsOut" | "uncommittedCheckpoints"> {
  const told = [...progress.values()];
  return {
    ...(completed === null
      ? {}
      : { numRecordsOut: completed.tasks.reduce((sum, { figures }) => sum + figures.recordsOut, 0) }),
    ...(told.length === 0 ? {} : { uncommittedCheckpoints: Math.max(...told.map(({ uncommitted }) => uncommitted)) }),
  };
}
