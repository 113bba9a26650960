import type { Facts } from "../checkpoint/facts.js";
import { tasksOf } from "../checkpoint/fold.js";

/**
 * What a run of the supervisor knows of its pipeline, for alarms and dashboards. Names are Flink's where it has one. A measure that
 * cannot be known is left out: a pipeline that stands still has no age of a checkpoint.
 */
export interface Measures {
  /** Milliseconds since the last complete checkpoint was triggered, while there is something to checkpoint; else 0. */
  readonly lastCheckpointAge?: number;
  /** Milliseconds, of the task that is farthest behind the end of its stream. */
  readonly millisBehindLatest?: number;
  /** Records that sources have read, over all generations. */
  readonly numRecordsIn?: number;
  /** Failures within the last hour, of which the head keeps ten. */
  readonly numRestarts: number;
  /** 1 where the pipeline has given up. */
  readonly failed: number;
}

export type MeasureName = keyof Measures;

const hourMillis = 3_600_000;

export function measuresOf(facts: Facts): Measures {
  const head = facts.head?.value ?? null;
  const failures = head?.failures.filter(({ at }) => at > facts.now - hourMillis) ?? [];
  return {
    ...ageOf(facts),
    ...readingOf(facts),
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

/**
 * A line for the log, from which CloudWatch makes metrics.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function embeddedMetrics(
  measures: Measures,
  about: { readonly namespace: string; readonly environment: string; readonly pipeline: string; readonly at: number },
): Readonly<Record<string, unknown>> {
  const { namespace, at, ...dimensions } = about;
  const Metrics = Object.keys(measures).map((Name) => ({ Name, Unit: units[Name as MeasureName] }));
  const directive = { Namespace: namespace, Dimensions: [Object.keys(dimensions)], Metrics };
  return { _aws: { Timestamp: at, CloudWatchMetrics: [directive] }, ...dimensions, ...measures };
}

const units: Readonly<Record<MeasureName, string>> = {
  lastCheckpointAge: "Milliseconds",
  millisBehindLatest: "Milliseconds",
  numRecordsIn: "Count",
  numRestarts: "Count",
  failed: "Count",
};
