/**
 * Every metric that functions tell, with its unit in CloudWatch. Names are Flink's where it has one:
 * https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/metrics/. docs/OPERATIONS.md says what each one means.
 */
export const metricUnits = {
  lastCheckpointAge: "Milliseconds",
  millisBehindLatest: "Milliseconds",
  numRecordsIn: "Count",
  numRecordsOut: "Count",
  uncommittedCheckpoints: "Count",
  numRestarts: "Count",
  failed: "Count",
  numberOfCompletedCheckpoints: "Count",
  numberOfFailedCheckpoints: "Count",
  lastCheckpointDuration: "Milliseconds",
  lastCheckpointSize: "Bytes",
  lastCheckpointFullSize: "Bytes",
  numRecordsInErrors: "Count",
  requests: "Count",
  dollars: "None",
} as const;

export type MetricName = keyof typeof metricUnits;
/** What is known of them. One that is not known is left out. */
export type Metrics = { readonly [N in MetricName]?: number };

/** Where CloudWatch puts them. */
export interface MetricPlace {
  readonly namespace: string;
  readonly environment: string;
  readonly pipeline: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/**
 * Members of a line for the log, from which CloudWatch makes metrics. What else the line has is kept in the log alone.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function embeddedMetrics(metrics: Metrics, place: MetricPlace): Readonly<Record<string, unknown>> {
  const { namespace, at, ...dimensions } = place;
  const Metrics = Object.keys(metrics).map((Name) => ({ Name, Unit: metricUnits[Name as MetricName] }));
  const directive = { Namespace: namespace, Dimensions: [Object.keys(dimensions)], Metrics };
  return { _aws: { Timestamp: at, CloudWatchMetrics: [directive] }, ...dimensions, ...metrics };
}
