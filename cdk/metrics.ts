import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import type { MetricName } from "#lib/runtime/metrics.js";
import type { TidemarkEnvironment } from "./environment.js";
import { metricNamespace, type PipelineFunctions } from "./functions.js";
import type { PlanFacts } from "./plan-facts.js";

/** What alarms and dashboard look at. */
export interface Watched {
  readonly facts: PlanFacts;
  readonly functions: PipelineFunctions;
  readonly environment: TidemarkEnvironment;
}

/** A metric that the functions tell: the supervisor once a minute, sessions at each checkpoint. */
export const measure = (
  { facts, environment }: Watched,
  metricName: MetricName,
  statistic: "Maximum" | "SampleCount" | "Sum",
  period = Duration.minutes(1),
): cloudwatch.Metric =>
  new cloudwatch.Metric({
    namespace: metricNamespace,
    metricName,
    dimensionsMap: { environment: environment.table.tableName, pipeline: facts.name },
    statistic,
    period,
  });
