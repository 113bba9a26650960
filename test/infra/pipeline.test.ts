// The example as a stack: what its template says.

import type { Template } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { beforeAll, describe, expect, it } from "vitest";
import { addExample, newStack, only, statementsOf, templateOf, textOf } from "./synthesis.js";

const timeout = 120_000;

let template: Template;
let report: ReturnType<AwsSolutionsChecks["validateScope"]>;
beforeAll(() => {
  const stack = newStack();
  addExample(stack);
  template = templateOf(stack);
  report = new AwsSolutionsChecks(stack.node.root).validateScope(stack.node.root);
}, timeout);

const variablesOf = (name: string) => {
  const { Environment } = only(template, "AWS::Lambda::Function", name) as {
    readonly Environment?: { readonly Variables: Readonly<Record<string, unknown>> };
  };
  return Object.fromEntries(Object.entries(Environment?.Variables ?? {}).map(([key, value]) => [key, textOf(value)]));
};

describe("the functions", () => {
  it.each([
    ["task", { Timeout: 900, MemorySize: 1024, ReservedConcurrentExecutions: 20 }],
    ["supervisor", { Timeout: 60, MemorySize: 512 }],
  ])("%s: Node 22 on arm64, by a name that the other knows, and allowed to invoke themselves", (role, sizes) => {
    const title = role === "task" ? "FlightsFunctionsTask" : "FlightsFunctionsSupervisor";
    expect(only(template, "AWS::Lambda::Function", title)).toMatchObject({
      Runtime: "nodejs22.x",
      Architectures: ["arm64"],
      FunctionName: `Test-flight-delays-${role}`,
      Handler: "index.handler",
      RecursiveLoop: "Allow",
      ...sizes,
    });
  });

  it("have the physical names of the environment", () => {
    const both = {
      TIDEMARK_TABLE: "<FlightsEnvironmentTable>",
      TIDEMARK_BUCKET: "<FlightsEnvironmentBucket>",
      TIDEMARK_TASK_FUNCTION: "Test-flight-delays-task",
      TIDEMARK_SUPERVISOR_FUNCTION: "Test-flight-delays-supervisor:live",
      TIDEMARK_METRICS: "tidemark",
    };
    const { TIDEMARK_BINDINGS = "", ...task } = variablesOf("FlightsFunctionsTask");
    expect(task).toEqual(both);
    expect(JSON.parse(TIDEMARK_BINDINGS)).toEqual({
      streams: { flights: "acme-flights" },
      tables: { airports: "acme-airports" },
      buckets: {},
      databases: {},
    });
    // W2: the supervisor's alone, so that a suffix more is no new version of the tasks.
    expect(variablesOf("FlightsFunctionsSupervisor")).toMatchObject({ ...both, TIDEMARK_REDIRECT_SUFFIXES: "[]" });
  });

  it("P4 the supervisor stands for the version of the tasks that is deployed with it, and is called by its alias", () => {
    const versions = template.findResources("AWS::Lambda::Version");
    const [task = ""] = Object.keys(versions).filter((id) => id.startsWith("FlightsFunctionsTask"));
    const { Environment } = only(template, "AWS::Lambda::Function", "FlightsFunctionsSupervisor") as {
      readonly Environment?: { readonly Variables: Readonly<Record<string, unknown>> };
    };
    expect(Environment?.Variables.TIDEMARK_TASK_VERSION).toEqual({ "Fn::GetAtt": [task, "Version"] });
    for (const version of Object.values(versions))
      expect(version).toMatchObject({ DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain" });
    expect(only(template, "AWS::Lambda::Alias")).toMatchObject({ Name: "live" });
  });

  it("R4 an invocation is not retried, waits a minute at most, and its failure calls the supervisor", () => {
    const configs = Object.entries(template.findResources("AWS::Lambda::EventInvokeConfig"));
    expect(configs).toHaveLength(2);
    for (const [, { Properties }] of configs)
      expect(Properties).toMatchObject({ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 });
    const [[, task] = []] = configs.filter(([id]) => id.startsWith("FlightsFunctionsTask"));
    const alias = only(template, "AWS::Lambda::Alias").id;
    expect(task?.Properties.DestinationConfig).toEqual({ OnFailure: { Destination: { Ref: alias } } });
    expect(JSON.stringify(task?.Properties.Qualifier)).toContain("FlightsFunctionsTaskCurrentVersion");
    // What runs goes on with its own version after a deployment.
    expect(task?.DeletionPolicy).toBe("Retain");
  });

  it("the supervisor is called every minute", () => {
    expect(only(template, "AWS::Events::Rule")).toMatchObject({
      ScheduleExpression: "rate(1 minute)",
      State: "ENABLED",
      Targets: [
        {
          Arn: { Ref: only(template, "AWS::Lambda::Alias").id },
          RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
        },
      ],
    });
  });
});

describe("table and bucket", () => {
  it("are kept, encrypted, and closed to the public", () => {
    for (const type of ["AWS::DynamoDB::Table", "AWS::S3::Bucket"])
      for (const resource of Object.values(template.findResources(type)))
        expect(resource).toMatchObject({ DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain" });
    expect(only(template, "AWS::DynamoDB::Table")).toMatchObject({
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      BillingMode: "PAY_PER_REQUEST",
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true },
    });
    const bucket = only(template, "AWS::S3::Bucket");
    expect(bucket).toMatchObject({
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
      },
    });
    expect(JSON.stringify(only(template, "AWS::S3::BucketPolicy"))).toContain(
      '{"Bool":{"aws:SecureTransport":"false"}}',
    );
  });

  it("G1 nothing in them expires: only uploads that were never finished are removed", () => {
    expect(only(template, "AWS::S3::Bucket").LifecycleConfiguration).toEqual({
      Rules: [{ Id: "aborted-uploads", Status: "Enabled", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }],
    });
    expect(only(template, "AWS::DynamoDB::Table").TimeToLiveSpecification).toBeUndefined();
  });
});

describe("permissions", () => {
  const onlyItsItems = 'if {"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["flight-delays"]}}';
  const function_ = "arn:<AWS::Partition>:lambda:eu-central-1:123456789012:function:Test-flight-delays";
  const reading =
    "Sources: Allow kinesis:DescribeStreamSummary kinesis:GetRecords kinesis:GetShardIterator kinesis:ListShards on arn:aws:kinesis:eu-central-1:123456789012:stream/acme-flights";

  it("of tasks: their stream, their sink, their part of the checkpoints, and the functions", () => {
    expect(statementsOf(template, "FlightsFunctionsTaskRole")).toEqual([
      "Logs: Allow logs:CreateLogStream logs:PutLogEvents on <FlightsFunctionsTaskLogs.Arn>",
      `Registers: Allow dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem on <FlightsEnvironmentTable.Arn> ${onlyItsItems}`,
      "Objects: Allow s3:GetObject s3:PutObject on <FlightsEnvironmentBucket.Arn>/flight-delays/*",
      "ObjectNames: Allow s3:ListBucket on <FlightsEnvironmentBucket.Arn>",
      reading,
      "Sinkairports: Allow dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem on arn:<AWS::Partition>:dynamodb:eu-central-1:123456789012:table/acme-airports",
      `Tasks: Allow lambda:InvokeFunction on ${function_}-task:*`,
      `Supervisor: Allow lambda:InvokeFunction on ${function_}-supervisor:live`,
    ]);
  });

  it("of the supervisor: no sink, and what collecting garbage needs", () => {
    expect(statementsOf(template, "FlightsFunctionsSupervisorRole")).toEqual([
      "Logs: Allow logs:CreateLogStream logs:PutLogEvents on <FlightsFunctionsSupervisorLogs.Arn>",
      `Registers: Allow dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem on <FlightsEnvironmentTable.Arn> ${onlyItsItems}`,
      "Objects: Allow s3:DeleteObject s3:GetObject s3:PutObject on <FlightsEnvironmentBucket.Arn>/flight-delays/*",
      "ObjectNames: Allow s3:ListBucket on <FlightsEnvironmentBucket.Arn>",
      reading,
      `Tasks: Allow lambda:InvokeFunction on ${function_}-task:*`,
    ]);
  });

  it("come from these two roles alone, without a managed policy", () => {
    const roles = Object.entries(template.findResources("AWS::IAM::Role"));
    expect(roles.map(([id]) => id.slice(0, -8)).sort()).toEqual([
      "FlightsFunctionsSupervisorRole",
      "FlightsFunctionsTaskRole",
    ]);
    for (const [, { Properties }] of roles) expect(Properties.ManagedPolicyArns).toBeUndefined();
  });
});

describe("outputs", () => {
  it("are what the command needs", () => {
    const told = Object.values(template.findOutputs("*")).map(({ Description, Value }) => [Description, textOf(Value)]);
    expect(Object.fromEntries(told)).toEqual({
      TIDEMARK_TABLE: "<FlightsEnvironmentTable>",
      TIDEMARK_BUCKET: "<FlightsEnvironmentBucket>",
      TIDEMARK_SUPERVISOR_FUNCTION: "Test-flight-delays-supervisor:live",
      TIDEMARK_BINDINGS: variablesOf("FlightsFunctionsTask").TIDEMARK_BINDINGS,
    });
  });
});

describe("cdk-nag", () => {
  it("AwsSolutions finds nothing that is not acknowledged with a reason", () => {
    expect(report.violations.map(({ ruleName }) => ruleName)).toEqual([]);
    expect(report.success).toBe(true);
  });
});
