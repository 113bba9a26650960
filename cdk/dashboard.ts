import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { Construct } from "constructs";
import type { MetricName } from "#lib/runtime/metrics.js";
import { measure, type Watched } from "./metrics.js";

const half = 12;
const minute = Duration.minutes(1);
/** Of what is paid for: requests of a minute without records would be divided by none. */
const hour = Duration.hours(1);

/** What one looks at first when a pipeline does not do what it should. */
export class PipelineDashboard extends Construct {
  constructor(scope: Construct, id: string, watched: Watched) {
    super(scope, id);
    const highest = (name: MetricName) => measure(watched, name, "Maximum");
    const sum = (name: MetricName) => measure(watched, name, "Sum");
    const rate = (name: MetricName) =>
      new cloudwatch.MathExpression({
        expression: `RATE(${name})`,
        usingMetrics: { [name]: highest(name) },
        label: `${name} a second`,
        period: minute,
      });
    new cloudwatch.Dashboard(this, "Dashboard", {
      widgets: [
        [
          graph("Records", rate("numRecordsIn"), rate("numRecordsOut"), sum("numRecordsInErrors")),
          graph("Behind the streams", highest("millisBehindLatest")),
        ],
        [
          graph("Age of the last checkpoint", highest("lastCheckpointAge"), highest("lastCheckpointDuration")),
          graph("Size of checkpoints", highest("lastCheckpointSize"), highest("lastCheckpointFullSize")),
        ],
        [
          graph(
            "Checkpoints",
            sum("numberOfCompletedCheckpoints"),
            sum("numberOfFailedCheckpoints"),
            highest("uncommittedCheckpoints"),
          ),
          graph("Failures", highest("numRestarts"), highest("failed")),
        ],
        functionGraphs(watched),
        [
          graph("Requests for a million records", perMillion(watched, "requests")),
          graph("Dollars for a million records, at list prices", perMillion(watched, "dollars")),
        ],
      ],
    });
  }
}

const graph = (title: string, ...left: cloudwatch.IMetric[]) =>
  new cloudwatch.GraphWidget({ title, left, width: half, leftYAxis: { min: 0 } });

function functionGraphs({ functions: { task, supervisor } }: Watched): cloudwatch.GraphWidget[] {
  const period = { period: minute };
  return [
    graph("Sessions", task.metric("ConcurrentExecutions", { ...period, statistic: "Maximum" })),
    graph(
      "Functions",
      task.metricErrors(period),
      task.metricThrottles(period),
      supervisor.metricErrors(period),
      supervisor.metricDuration({ ...period, statistic: "Maximum" }),
    ),
  ];
}

/** Of all tasks and the supervisor, for what all sources have read in the same hour. */
const perMillion = (watched: Watched, name: "requests" | "dollars"): cloudwatch.MathExpression =>
  new cloudwatch.MathExpression({
    expression: "1000000 * used / DIFF(total)",
    usingMetrics: {
      used: measure(watched, name, "Sum", hour),
      total: measure(watched, "numRecordsIn", "Maximum", hour),
    },
    label: `${name} for a million records`,
    period: hour,
  });
