import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type * as sns from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { measure, type Watched } from "./metrics.js";

export interface AlarmOptions {
  /** Is told when an alarm goes off, and when it is over. */
  readonly topic?: sns.ITopic;
  /** Checkpoint intervals without a checkpoint while there is something to checkpoint: 10, and never less than three minutes. */
  readonly checkpointIntervals?: number;
  /** How far behind the end of its streams the pipeline may be: 6 hours, a quarter of the retention that a stream has by default. */
  readonly lag?: Duration;
  /** Restarts within an hour: 3. */
  readonly restarts?: number;
}

/** The supervisor measures once a minute: a shorter time would be a matter of chance. */
const checkpointAgeMin = Duration.minutes(3);

/** One for each of what docs/OPERATIONS.md says what to do about. Their ids are the headings there. */
export class PipelineAlarms extends Construct {
  readonly all: readonly cloudwatch.Alarm[];

  constructor(scope: Construct, id: string, props: Watched & { readonly options: AlarmOptions }) {
    super(scope, id);
    const { options } = props;
    this.all = [
      this.#noCheckpoint(props, options.checkpointIntervals ?? 10),
      this.#lag(props, options.lag ?? Duration.hours(6)),
      this.#restarts(props, options.restarts ?? 3),
      this.#failed(props),
      this.#silent(props),
      this.#throttled(props),
    ];
    const { topic } = options;
    if (topic === undefined) return;
    for (const alarm of this.all) {
      alarm.addAlarmAction(new SnsAction(topic));
      alarm.addOkAction(new SnsAction(topic));
    }
  }

  #noCheckpoint(watched: Watched, intervals: number): cloudwatch.Alarm {
    const age = Math.max(intervals * watched.facts.checkpointInterval, checkpointAgeMin.toMilliseconds());
    return this.#alarm("NoCheckpoint", watched, {
      metric: measure(watched, "lastCheckpointAge", "Maximum"),
      threshold: age,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 3,
      about: `there is something to checkpoint, and the last complete checkpoint is older than ${age} ms`,
    });
  }

  #lag(watched: Watched, lag: Duration): cloudwatch.Alarm {
    return this.#alarm("LagNearRetention", watched, {
      metric: measure(watched, "millisBehindLatest", "Maximum"),
      threshold: lag.toMilliseconds(),
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 5,
      about: `a task reads more than ${lag.toHumanString()} behind the end of its stream; records that the stream drops before they are read are lost`,
    });
  }

  #restarts(watched: Watched, restarts: number): cloudwatch.Alarm {
    return this.#alarm("Restarts", watched, {
      metric: measure(watched, "numRestarts", "Maximum"),
      threshold: restarts,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 1,
      about: `${restarts} failures or more within the last hour, each of which went back to the last checkpoint`,
    });
  }

  #failed(watched: Watched): cloudwatch.Alarm {
    return this.#alarm("Failed", watched, {
      metric: measure(watched, "failed", "Maximum"),
      threshold: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 1,
      about: "the pipeline has given up, and nothing runs until a person starts it",
    });
  }

  #silent(watched: Watched): cloudwatch.Alarm {
    return this.#alarm("SupervisorSilent", watched, {
      metric: measure(watched, "failed", "SampleCount", Duration.minutes(5)),
      threshold: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      evaluationPeriods: 2,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
      about: "the supervisor has not ended a call well for ten minutes: nobody would notice a failure, or restart",
    });
  }

  #throttled(watched: Watched): cloudwatch.Alarm {
    return this.#alarm("Throttled", watched, {
      metric: watched.functions.task.metricThrottles({ period: Duration.minutes(1), statistic: "Sum" }),
      threshold: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 3,
      about: "sessions cannot start, since the concurrency that is reserved, or that of the account, is used up",
    });
  }

  #alarm(
    id: string,
    { facts }: Watched,
    { about, ...props }: cloudwatch.AlarmProps & { readonly about: string },
  ): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      alarmDescription: `Pipeline ${facts.name}: ${about}. docs/OPERATIONS.md: ${id}`,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      ...props,
    });
  }
}
