import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import type * as ec2 from "aws-cdk-lib/aws-ec2";
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { environmentVariables, suffixesVariable } from "#lib/compose.js";
import { acknowledge, acknowledgeWildcards } from "./acknowledge.js";
import { bindingNames } from "./bindings.js";
import { bundleFunction, type FunctionRole } from "./bundle.js";
import { aliasName } from "./function-names.js";
import { type GrantContext, grantAll } from "./grants.js";

/** Of both functions. The SDK that is bundled with them is tested with it. */
export const functionRuntime = lambda.Runtime.NODEJS_22_X;

/** An invocation that waits longer than that was replaced long ago; a retry would find the lease taken. */
const eventAgeMax = Duration.seconds(60);

/** The namespace of the metrics of both functions. */
export const metricNamespace = "tidemark";

export interface FunctionOptions {
  readonly memorySize: number;
  readonly timeout: Duration;
  readonly reservedConcurrency: number | null;
}

export interface FunctionsProps {
  /** Absolute path of the file that exports the pipeline. */
  readonly entry: string;
  readonly external: readonly string[];
  readonly bundleBytesMax?: number;
  readonly context: GrantContext;
  readonly variables: Readonly<Record<string, string>>;
  readonly logRetention: logs.RetentionDays;
  readonly removalPolicy: RemovalPolicy;
  readonly task: FunctionOptions;
  readonly supervisor: FunctionOptions;
  readonly network: {
    readonly vpc?: ec2.IVpc;
    readonly vpcSubnets?: ec2.SubnetSelection;
    readonly securityGroups?: ec2.ISecurityGroup[];
  };
  readonly layers: lambda.ILayerVersion[];
}

/** The two functions of a pipeline, their versions, and what calls them. */
export class PipelineFunctions extends Construct {
  readonly task: lambda.Function;
  readonly supervisor: lambda.Function;
  /** By which everybody calls the supervisor. */
  readonly live: lambda.Alias;
  readonly bundleBytes: Readonly<Record<FunctionRole, number>>;
  readonly #props: FunctionsProps;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    this.#props = props;
    const task = this.#make("task", {});
    const taskVersion = this.#publish(task.made);
    // P4: the supervisor stands for the version of the tasks that was deployed with it. Its own number may be another.
    const supervisor = this.#make("supervisor", {
      TIDEMARK_TASK_VERSION: taskVersion.version,
      // W2: `tidemark replay` reads it. Not the tasks' own: their version, by which deploys are told, must not change for it.
      [suffixesVariable]: JSON.stringify(props.context.redirectSuffixes),
    });
    [this.task, this.supervisor] = [task.made, supervisor.made];
    this.bundleBytes = { task: task.bytes, supervisor: supervisor.bytes };
    this.live = new lambda.Alias(this, "Live", {
      aliasName,
      version: this.#publish(this.supervisor) as lambda.IVersion,
    });
    this.#callOnFailure(taskVersion);
    this.#callEveryMinute();
  }

  #make(role: FunctionRole, own: Readonly<Record<string, string>>) {
    const { context, variables, network, layers, logRetention, removalPolicy, ...props } = this.#props;
    const { memorySize, timeout, reservedConcurrency } = props[role];
    const logGroup = new logs.LogGroup(this, `${titles[role]}Logs`, { retention: logRetention, removalPolicy });
    const { folder, bytes } = bundleFunction({
      entry: props.entry,
      role,
      name: context.facts.name,
      external: props.external,
      ...(props.bundleBytesMax === undefined ? {} : { bytesMax: props.bundleBytesMax }),
    });
    const made = new lambda.Function(this, titles[role], {
      functionName: context.names[role],
      description: `${titles[role]} of the pipeline ${context.facts.name}`,
      runtime: functionRuntime,
      architecture: lambda.Architecture.ARM_64,
      handler: "index.handler",
      code: lambda.Code.fromAsset(folder),
      role: this.#makeRole(role, logGroup),
      environment: { ...variables, ...this.#variables(), TIDEMARK_METRICS: metricNamespace, ...own },
      memorySize,
      timeout,
      logGroup,
      layers,
      ...network,
      // A session invokes the next one. The service would take that for a loop that nobody meant, and stop it.
      recursiveLoop: lambda.RecursiveLoop.ALLOW,
      ...(reservedConcurrency === null ? {} : { reservedConcurrentExecutions: reservedConcurrency }),
    });
    acknowledge(made, {
      "AwsSolutions-L1": `The library is tested with ${functionRuntime.name}; a later runtime comes with a later release.`,
    });
    return { made, bytes };
  }

  #makeRole(role: FunctionRole, logGroup: logs.LogGroup): iam.Role {
    const made = new iam.Role(this, `${titles[role]}Role`, {
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com"),
      description: `${titles[role]} of the pipeline ${this.#props.context.facts.name}`,
    });
    const logging = {
      sid: "Logs",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [logGroup.logGroupArn],
    };
    made.addToPolicy(new iam.PolicyStatement(logging));
    grantAll(this, made, role, this.#props.context);
    if (this.#props.network.vpc !== undefined) allowNetwork(made);
    return made;
  }

  #variables(): Readonly<Record<string, string>> {
    const { environment, names, bindings } = this.#props.context;
    const { TIDEMARK_BINDINGS: _, ...rest } = environmentVariables({
      table: environment.table.tableName,
      bucket: environment.bucket.bucketName,
      functions: { task: names.task, supervisor: names.supervisorAlias },
      bindings: {},
    });
    // Names may be known at deployment only, and are put into the JSON then.
    return { ...rest, TIDEMARK_BINDINGS: Stack.of(this).toJsonString(bindingNames(this, bindings)) };
  }

  /** Versions stay: what runs goes on with its own until its last checkpoint. */
  #publish(made: lambda.Function): lambda.Version {
    const version = made.currentVersion;
    version.applyRemovalPolicy(RemovalPolicy.RETAIN);
    return version;
  }

  /** Of the version, since that is what is invoked; it stays with the version. */
  #callOnFailure(version: lambda.Version): void {
    const config = new lambda.CfnEventInvokeConfig(version, "EventInvokeConfig", {
      functionName: this.task.functionName,
      qualifier: version.version,
      maximumRetryAttempts: 0,
      maximumEventAgeInSeconds: eventAgeMax.toSeconds(),
      destinationConfig: { onFailure: { destination: this.live.functionArn } },
    });
    config.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.live.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: eventAgeMax });
  }

  #callEveryMinute(): void {
    new events.Rule(this, "Schedule", {
      description: `Restarts that wait, and lost invocations, of the pipeline ${this.#props.context.facts.name}`,
      schedule: events.Schedule.rate(Duration.minutes(1)),
      targets: [
        new targets.LambdaFunction(this.live as lambda.IFunction, { retryAttempts: 0, maxEventAge: eventAgeMax }),
      ],
    });
  }
}

const titles: Readonly<Record<FunctionRole, string>> = { task: "Task", supervisor: "Supervisor" };

/** Network interfaces are the account's: they have no names that a statement could give. */
function allowNetwork(role: iam.Role): void {
  const statement = new iam.PolicyStatement({
    sid: "NetworkInterfaces",
    actions: [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ],
    resources: ["*"],
  });
  role.addToPolicy(statement);
  acknowledgeWildcards(
    role,
    statement,
    "Lambda makes the network interfaces of a function in a VPC: they have no names yet.",
  );
}
