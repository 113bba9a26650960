// A pipeline with all that may be handed in: an environment of its own, keys, a network, permissions of the user's, few alarms.
import { Duration, RemovalPolicy, type Stack } from "aws-cdk-lib";
import type { Template } from "aws-cdk-lib/assertions";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import * as kms from "aws-cdk-lib/aws-kms";
import * as logs from "aws-cdk-lib/aws-logs";
import * as s3 from "aws-cdk-lib/aws-s3";
import * as sns from "aws-cdk-lib/aws-sns";
import { AwsSolutionsChecks } from "cdk-nag";
import { TidemarkEnvironment, TidemarkPipeline } from "tidemark/cdk";
import { beforeAll, describe, expect, it } from "vitest";
import { newStack, only, ordersFile, statementsOf, templateOf, textOf } from "./synthesis.js";

const timeout = 120_000;

let template: Template;
let findings: readonly string[];

function addOrders(stack: Stack): void {
  const encryptionKey = new kms.Key(stack, "Key", { enableKeyRotation: true });
  const streamKey = new kms.Key(stack, "StreamKey", { enableKeyRotation: true });
  const environment = new TidemarkEnvironment(stack, "Streams", {
    encryptionKey,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const table = (id: string, name: string) =>
    new dynamodb.Table(stack, id, {
      partitionKey: { name, type: dynamodb.AttributeType.STRING },
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    });
  new TidemarkPipeline(stack, "Orders", {
    entry: ordersFile,
    environment,
    streams: { orders: new kinesis.Stream(stack, "OrdersStream", { encryptionKey: streamKey }) },
    tables: { customers: table("Customers", "customer"), "dead-letters": table("DeadLetters", "id") },
    buckets: { lake: s3.Bucket.fromBucketName(stack, "Lake", "acme-lake") },
    grants: {
      "acme-queue": (task) =>
        task.grantPrincipal.addToPrincipalPolicy(
          new iam.PolicyStatement({ sid: "Queue", actions: ["sqs:SendMessage"], resources: ["arn:aws:sqs:::orders"] }),
        ),
    },
    environmentVariables: { ORDERS_INTERVAL: "long" },
    vpc: ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
      vpcId: "vpc-0a1b2c3d4e5f60718",
      availabilityZones: ["eu-central-1a"],
      privateSubnetIds: ["subnet-0a1b2c3d4e5f60718"],
    }),
    taskMemorySize: 1769,
    taskTimeout: Duration.minutes(10),
    reservedConcurrency: "unreserved",
    logRetention: logs.RetentionDays.THREE_DAYS,
    removalPolicy: RemovalPolicy.DESTROY,
    alarms: {
      topic: sns.Topic.fromTopicArn(stack, "Topic", "arn:aws:sns:eu-central-1:123456789012:pages"),
      checkpointIntervals: 3,
      lag: Duration.hours(1),
      restarts: 2,
    },
    dashboard: "none",
  });
}

beforeAll(() => {
  const stack = newStack();
  addOrders(stack);
  template = templateOf(stack);
  // Streams and sink tables are the user's, and so is what is found there.
  findings = ["Orders", "Streams"].flatMap((id) => {
    const { violations } = new AwsSolutionsChecks(stack).validateScope(stack.node.findChild(id));
    return violations.map(({ ruleName }) => ruleName);
  });
}, timeout);

describe("permissions", () => {
  it("of tasks: every sink, that of dead letters and the user's own among them", () => {
    const statements = statementsOf(template, "OrdersFunctionsTaskRole");
    for (const statement of [
      "Sinkcustomers: Allow dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem on <Customers.Arn>",
      "Sinkdeadletters: Allow dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem on <DeadLetters.Arn>",
      "Sinklake: Allow s3:GetLifecycleConfiguration s3:ListBucket on arn:<AWS::Partition>:s3:::acme-lake",
      "Sinklakeprefix: Allow s3:GetObject s3:PutObject on arn:<AWS::Partition>:s3:::acme-lake/orders/*",
      "Sinklakestaging: Allow s3:DeleteObject s3:GetObject s3:PutObject on arn:<AWS::Partition>:s3:::acme-lake/orders/_tidemark/*",
      "Queue: Allow sqs:SendMessage on arn:aws:sqs:::orders",
      "-: Allow kms:Decrypt on <StreamKey.Arn>",
      "Objects: Allow s3:GetObject s3:PutObject on <StreamsBucket.Arn>/acme.orders/*",
    ])
      expect(statements).toContain(statement);
    expect(statements.filter((line) => line.includes("on <Key.Arn>"))).toHaveLength(1);
  });

  it("of the supervisor: no sink, and the keys that it needs", () => {
    const statements = statementsOf(template, "OrdersFunctionsSupervisorRole");
    expect(statements.filter((line) => /^(Sink|Queue)/.test(line))).toEqual([]);
    expect(statements).toContain("-: Allow kms:Decrypt on <StreamKey.Arn>");
    expect(statements.filter((line) => line.includes("on <Key.Arn>"))).toHaveLength(1);
  });

  it("are acknowledged one by one for cdk-nag", () => {
    expect(findings).toEqual([]);
  });
});

describe("options", () => {
  it("reach the functions", () => {
    const task = only(template, "AWS::Lambda::Function", "OrdersFunctionsTask");
    expect(task).toMatchObject({
      Timeout: 600,
      MemorySize: 1769,
      VpcConfig: { SubnetIds: ["subnet-0a1b2c3d4e5f60718"] },
      Environment: { Variables: { ORDERS_INTERVAL: "long" } },
    });
    expect(task.ReservedConcurrentExecutions).toBeUndefined();
    expect(only(template, "AWS::Logs::LogGroup", "OrdersFunctionsTaskLogs")).toMatchObject({ RetentionInDays: 3 });
  });

  it("a name that no function may have is replaced, and told apart by a hash", () => {
    const { FunctionName } = only(template, "AWS::Lambda::Function", "OrdersFunctionsTask");
    expect(FunctionName).toMatch(/^Test-acme-orders-[0-9a-f]{8}-task$/);
    const { Environment } = only(template, "AWS::Lambda::Function", "OrdersFunctionsSupervisor") as {
      readonly Environment?: { readonly Variables: Readonly<Record<string, unknown>> };
    };
    expect(textOf(Environment?.Variables.TIDEMARK_TASK_FUNCTION)).toBe(FunctionName);
  });

  it("table, bucket and logs go with the stack where that is said", () => {
    for (const [type, begins] of [
      ["AWS::DynamoDB::Table", "Streams"],
      ["AWS::S3::Bucket", "Streams"],
      ["AWS::Logs::LogGroup", "Orders"],
    ] as const)
      for (const [id, resource] of Object.entries(template.findResources(type)))
        if (id.startsWith(begins)) expect(resource).toMatchObject({ DeletionPolicy: "Delete" });
    expect(only(template, "AWS::S3::Bucket")).toMatchObject({
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms" } }],
      },
    });
  });

  it("alarms have thresholds of the pipeline's own interval, which its file has read from a variable, and tell the topic", () => {
    const alarm = (id: string) => only(template, "AWS::CloudWatch::Alarm", `OrdersAlarms${id}`);
    expect(alarm("NoCheckpoint")).toMatchObject({ Threshold: 900_000, MetricName: "lastCheckpointAge" });
    expect(alarm("LagNearRetention")).toMatchObject({ Threshold: 3_600_000 });
    expect(alarm("Restarts")).toMatchObject({ Threshold: 2 });
    const topic = ["arn:aws:sns:eu-central-1:123456789012:pages"];
    for (const { Properties } of Object.values(template.findResources("AWS::CloudWatch::Alarm")))
      expect(Properties).toMatchObject({ AlarmActions: topic, OKActions: topic });
    template.resourceCountIs("AWS::CloudWatch::Dashboard", 0);
  });
});
