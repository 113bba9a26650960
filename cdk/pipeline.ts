import { resolve } from "node:path";
import { CfnOutput, Duration, RemovalPolicy, Stack, Token } from "aws-cdk-lib";
import type * as ec2 from "aws-cdk-lib/aws-ec2";
import type * as iam from "aws-cdk-lib/aws-iam";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { asStreamError, StreamError } from "#lib/model/errors.js";
import { checkSuffix } from "#lib/pipeline/sink-modes.js";
import { type AlarmOptions, PipelineAlarms } from "./alarms.js";
import { bindingNames, checkBindings, type TidemarkBindings } from "./bindings.js";
import { PipelineDashboard } from "./dashboard.js";
import { TidemarkEnvironment } from "./environment.js";
import { type FunctionNames, functionNames } from "./function-names.js";
import { type FunctionOptions, PipelineFunctions } from "./functions.js";
import { checkConcurrency, checkedVariables, checkTimeout, concurrencyFor, taskCount } from "./limits.js";
import type { PlanFacts } from "./plan-facts.js";
import { readPlan } from "./read-plan.js";

/** What sinks of a kind of the user's own need: the tasks' permissions. It is called once, when the functions are there. */
export type SinkGrant = (task: iam.IGrantable) => void;

export interface TidemarkPipelineProps extends TidemarkBindings {
  /** The file whose default export is the pipeline; relative to the working directory. */
  readonly entry: string;
  /** Where its checkpoints are; one of its own where it is not given. */
  readonly environment?: TidemarkEnvironment;
  /**
   * Suffixes of redirects that the pipeline may be replayed into: with `["fixed"]` its functions may write to the table `airports-fixed`
   * beside `airports`, and so for each sink. A change of them alone stops nothing that runs.
   */
  readonly redirectSuffixes?: readonly string[];
  /** Permissions by kind of sink, for kinds that are not of the library. */
  readonly grants?: Readonly<Record<string, SinkGrant>>;
  /** Variables of the functions, which the pipeline's file may read. Those that begin with `TIDEMARK_` are the construct's. */
  readonly environmentVariables?: Readonly<Record<string, string>>;
  /** Megabytes: 1024. More memory is more processor: at 1769 a function has a whole one. */
  readonly taskMemorySize?: number;
  /** How long a session lives at most: 15 minutes, the most there is. */
  readonly taskTimeout?: Duration;
  /** Megabytes: 512. */
  readonly supervisorMemorySize?: number;
  /** 60 seconds. */
  readonly supervisorTimeout?: Duration;
  /** Sessions that run at a time at most: twice the tasks and 4 more, since a session and its successor may overlap. `"unreserved"`: the account's. */
  readonly reservedConcurrency?: number | "unreserved";
  readonly vpc?: ec2.IVpc;
  readonly vpcSubnets?: ec2.SubnetSelection;
  readonly securityGroups?: readonly ec2.ISecurityGroup[];
  readonly layers?: readonly lambda.ILayerVersion[];
  /** Packages that are not bundled, since a layer has them. */
  readonly external?: readonly string[];
  /** One month. */
  readonly logRetention?: logs.RetentionDays;
  /** What becomes of logs, and of the pipeline's own environment, when the stack goes: they are kept where it is not given. */
  readonly removalPolicy?: RemovalPolicy;
  /** `"none"`: no alarms. */
  readonly alarms?: AlarmOptions | "none";
  /** `"none"`: no dashboard. */
  readonly dashboard?: "none";
}

/**
 * A pipeline on AWS: the functions that run it, the table and bucket of its checkpoints, its schedule, permissions, alarms and
 * dashboard, all derived from the pipeline's file. Streams and sink tables are the user's, and handed in by logical name.
 *
 * Once deployed, its supervisor starts it within a minute. A later deployment takes effect by itself, too: what runs stops at a
 * checkpoint, and the new code goes on from it (P4).
 *
 * @throws StreamError `invalid` for what can be known at synthesis: see docs/deploy.md
 * @example
 * new TidemarkPipeline(this, "Flights", { entry: "flights.ts", streams: { flights }, tables: { airports } });
 */
export class TidemarkPipeline extends Construct {
  /** The pipeline's name, as its file has it. */
  readonly pipelineName: string;
  readonly environment: TidemarkEnvironment;
  readonly taskFunction: lambda.IFunction;
  readonly supervisorFunction: lambda.IFunction;
  /** None where the construct was told so. */
  readonly alarms: PipelineAlarms | null;

  constructor(scope: Construct, id: string, props: TidemarkPipelineProps) {
    super(scope, id);
    const entry = resolve(props.entry);
    const variables = checkedVariables(this, props.environmentVariables ?? {});
    const facts = readPlan(entry, concrete(variables));
    const { streams = {}, tables = {}, buckets = {}, databases = {}, grants = {} } = props;
    const bindings: TidemarkBindings = { streams, tables, buckets, databases };
    checkBindings(this, facts, bindings, new Set(Object.keys(grants)));
    const options = functionOptions(this, facts, props);
    this.pipelineName = facts.name;
    this.environment = props.environment ?? new TidemarkEnvironment(this, "Environment", removal(props));
    this.environment.claim(facts.name, this);
    const names = functionNames(this, facts.name);
    const functions = new PipelineFunctions(this, "Functions", {
      entry,
      external: props.external ?? [],
      context: { facts, bindings, environment: this.environment, names, redirectSuffixes: suffixesOf(this, props) },
      variables,
      logRetention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
      network: networkOf(props),
      layers: [...(props.layers ?? [])],
      ...options,
    });
    this.taskFunction = functions.task;
    this.supervisorFunction = functions.supervisor;
    for (const kind of new Set(facts.sinks.map((sink) => sink.kind))) grants[kind]?.(functions.task);
    this.alarms = this.#watch(facts, functions, props);
    this.#tell(names, bindings);
  }

  /** What the command needs to work on what was deployed. */
  #tell(names: FunctionNames, bindings: TidemarkBindings): void {
    const { table, bucket } = this.environment;
    new CfnOutput(this, "CheckpointTable", { value: table.tableName, description: "TIDEMARK_TABLE" });
    new CfnOutput(this, "CheckpointBucket", { value: bucket.bucketName, description: "TIDEMARK_BUCKET" });
    const value = names.supervisorAlias;
    new CfnOutput(this, "Supervisor", { value, description: "TIDEMARK_SUPERVISOR_FUNCTION" });
    const physical = Stack.of(this).toJsonString(bindingNames(this, bindings));
    new CfnOutput(this, "Bindings", { value: physical, description: "TIDEMARK_BINDINGS" });
  }

  #watch(facts: PlanFacts, functions: PipelineFunctions, props: TidemarkPipelineProps): PipelineAlarms | null {
    const watched = { facts, functions, environment: this.environment };
    if (props.dashboard !== "none") new PipelineDashboard(this, "Dashboard", watched);
    return props.alarms === "none"
      ? null
      : new PipelineAlarms(this, "Alarms", { ...watched, options: props.alarms ?? {} });
  }
}

/** @throws StreamError `invalid`: one is none, or is there twice */
function suffixesOf(scope: Construct, { redirectSuffixes = [] }: TidemarkPipelineProps): readonly string[] {
  const where = `${scope.node.path}: redirectSuffixes`;
  const twice = redirectSuffixes.find((suffix, index) => redirectSuffixes.indexOf(suffix) !== index);
  if (twice !== undefined) throw new StreamError("invalid", `${where} has "${twice}" twice`);
  try {
    return redirectSuffixes.map(checkSuffix);
  } catch (error) {
    throw new StreamError("invalid", `${where}: ${asStreamError(error).message}`, { cause: error });
  }
}

const removal = ({ removalPolicy }: TidemarkPipelineProps) => (removalPolicy === undefined ? {} : { removalPolicy });

const networkOf = ({ vpc, vpcSubnets, securityGroups }: TidemarkPipelineProps) => ({
  ...(vpc === undefined ? {} : { vpc }),
  ...(vpcSubnets === undefined ? {} : { vpcSubnets }),
  ...(securityGroups === undefined ? {} : { securityGroups: [...securityGroups] }),
});

/** What is known at synthesis: a name of a resource that is yet to be made is not. */
const concrete = (variables: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).filter(([, value]) => !Token.isUnresolved(value)));

function functionOptions(
  scope: Construct,
  facts: PlanFacts,
  props: TidemarkPipelineProps,
): { readonly task: FunctionOptions; readonly supervisor: FunctionOptions } {
  const timeout = props.taskTimeout ?? Duration.minutes(15);
  const reservedConcurrency =
    props.reservedConcurrency === "unreserved" ? null : (props.reservedConcurrency ?? concurrencyFor(taskCount(facts)));
  checkTimeout(scope, facts, timeout);
  if (reservedConcurrency !== null) checkConcurrency(scope, facts, reservedConcurrency);
  return {
    task: { memorySize: props.taskMemorySize ?? 1_024, timeout, reservedConcurrency },
    supervisor: {
      memorySize: props.supervisorMemorySize ?? 512,
      timeout: props.supervisorTimeout ?? Duration.seconds(60),
      reservedConcurrency: null,
    },
  };
}
