import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { Construct } from "constructs";
import { measure, type Watched } from "./metrics.js";

const half = 12;

/** What one looks at first when a pipeline does not do what it should. */
export class PipelineDashboard extends Construct {
  constructor(scope: Construct, id: string, watched: Watched) {
    super(scope, id);
    const { task, supervisor } = watched.functions;
    const period = { period: Duration.minutes(1) };
    const graph = (title: string, ...left: cloudwatch.IMetric[]) =>
      new cloudwatch.GraphWidget({ title, left, width: half, leftYAxis: { min: 0 } });
    const records = measure(watched, "numRecordsIn", "Maximum");
    const rate = new cloudwatch.MathExpression({
      expression: "RATE(records)",
      usingMetrics: { records },
      label: "records a second",
      period: Duration.minutes(1),
    });
    new cloudwatch.Dashboard(this, "Dashboard", {
      widgets: [
        [graph("Records in", rate), graph("Behind the streams", measure(watched, "millisBehindLatest", "Maximum"))],
        [
          graph("Age of the last checkpoint", measure(watched, "lastCheckpointAge", "Maximum")),
          graph("Failures", measure(watched, "numRestarts", "Maximum"), measure(watched, "failed", "Maximum")),
        ],
        [
          graph("Sessions", task.metric("ConcurrentExecutions", { ...period, statistic: "Maximum" })),
          graph(
            "Functions",
            task.metricErrors(period),
            task.metricThrottles(period),
            supervisor.metricErrors(period),
            supervisor.metricDuration({ ...period, statistic: "Maximum" }),
          ),
        ],
      ],
    });
  }
}
