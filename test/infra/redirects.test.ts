// W2: what a pipeline may be replayed into, as its construct says it: each sink's own permissions, on its targets with these suffixes.
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import * as s3 from "aws-cdk-lib/aws-s3";
import { AwsSolutionsChecks } from "cdk-nag";
import { TidemarkPipeline } from "tidemark/cdk";
import { beforeAll, describe, expect, it } from "vitest";
import { newStack, only, referredStream, repository, statementsOf, templateOf } from "./synthesis.js";

const timeout = 120_000;

/** A stack with the pipeline: its statements of sinks, and what cdk-nag finds in it. */
function deployed(redirectSuffixes: readonly string[]) {
  const stack = newStack();
  const table = (id: string) =>
    new dynamodb.Table(stack, id, { partitionKey: { name: "customer", type: dynamodb.AttributeType.STRING } });
  const bucket = (id: string, name: string) => s3.Bucket.fromBucketName(stack, id, name);
  new TidemarkPipeline(stack, "Targets", {
    entry: `${repository}test/infra/pipelines/targets.ts`,
    streams: { orders: referredStream(stack, "orders"), alerts: new kinesis.Stream(stack, "Alerts") },
    tables: { customers: table("Customers"), totals: table("Totals") },
    buckets: { lake: bucket("Lake", "acme-lake"), own: bucket("Own", "acme-own") },
    redirectSuffixes,
  });
  const template = templateOf(stack);
  const { violations } = new AwsSolutionsChecks(stack).validateScope(stack.node.findChild("Targets"));
  const sinks = statementsOf(template, "TargetsFunctionsTaskRole").filter((line) => line.startsWith("Sink"));
  return { template, sinks, findings: violations.map(({ ruleName }) => ruleName) };
}

let without: ReturnType<typeof deployed>;
let with2: ReturnType<typeof deployed>;
beforeAll(() => {
  without = deployed([]);
  with2 = deployed(["v2", "fixed"]);
}, timeout);

const objects = "arn:<AWS::Partition>:s3:::acme-lake";
const own = "arn:<AWS::Partition>:s3:::acme-own";
const reads = "dynamodb:DescribeTable dynamodb:GetItem";

describe("redirectSuffixes", { timeout }, () => {
  it("W2 none: nothing but what the plan names", () => {
    expect(without.sinks).toEqual([
      `Sinkcustomers: Allow ${reads} dynamodb:PutItem on <Customers.Arn>`,
      `Sinktotals: Allow ${reads} dynamodb:UpdateItem on <Totals.Arn>`,
      "Sinkalerts: Allow kinesis:DescribeStreamSummary kinesis:PutRecords on <Alerts.Arn>",
      `Sinklake: Allow s3:GetLifecycleConfiguration s3:ListBucket on ${objects}`,
      `Sinklakeprefix: Allow s3:GetObject s3:PutObject on ${objects}/orders/*`,
      `Sinklakestaging: Allow s3:DeleteObject s3:GetObject s3:PutObject on ${objects}/orders/_tidemark/*`,
      `Sinkstaged: Allow s3:GetLifecycleConfiguration s3:ListBucket on ${objects}`,
      `Sinkstagedprefix: Allow s3:GetObject s3:PutObject on ${objects}/staged/*`,
      `Sinkstagedstaging: Allow s3:DeleteObject s3:GetObject s3:PutObject on ${objects}/aside/*`,
      `Sinkwhole: Allow s3:GetLifecycleConfiguration s3:ListBucket on ${own}`,
      `Sinkwholeprefix: Allow s3:GetObject s3:PutObject on ${own}/*`,
      `Sinkwholestaging: Allow s3:DeleteObject s3:GetObject s3:PutObject on ${own}/_tidemark/*`,
    ]);
  });

  it("W2 the same actions on the targets that they name, and on no others", () => {
    const beside = (arn: string) => `${arn} ${arn}-v2 ${arn}-fixed`;
    const places = (at: string, staged = "") =>
      ["", "-v2", "-fixed"].map((suffix) => `${objects}/${at}${suffix}/${staged}*`).join(" ");
    const staging = "s3:DeleteObject s3:GetObject s3:PutObject";
    expect(with2.sinks).toEqual([
      `Sinkcustomers: Allow ${reads} dynamodb:PutItem on ${beside("<Customers.Arn>")}`,
      `Sinktotals: Allow ${reads} dynamodb:UpdateItem on ${beside("<Totals.Arn>")}`,
      `Sinkalerts: Allow kinesis:DescribeStreamSummary kinesis:PutRecords on ${beside("<Alerts.Arn>")}`,
      `Sinklake: Allow s3:GetLifecycleConfiguration s3:ListBucket on ${objects}`,
      `Sinklakeprefix: Allow s3:GetObject s3:PutObject on ${places("orders")}`,
      `Sinklakestaging: Allow ${staging} on ${places("orders", "_tidemark/")}`,
      `Sinkstaged: Allow s3:GetLifecycleConfiguration s3:ListBucket on ${objects}`,
      `Sinkstagedprefix: Allow s3:GetObject s3:PutObject on ${places("staged")}`,
      `Sinkstagedstaging: Allow ${staging} on ${places("aside")}`,
      `Sinkwhole: Allow s3:GetLifecycleConfiguration s3:ListBucket on ${own}`,
      `Sinkwholeprefix: Allow s3:GetObject s3:PutObject on ${own}/* ${own}/_v2/* ${own}/_fixed/*`,
      `Sinkwholestaging: Allow ${staging} on ${own}/_tidemark/* ${own}/_v2/_tidemark/* ${own}/_fixed/_tidemark/*`,
    ]);
  });

  it("W2 the supervisor gets none of it, and says which there are", () => {
    const supervisor = statementsOf(with2.template, "TargetsFunctionsSupervisorRole");
    expect(supervisor).toEqual(statementsOf(without.template, "TargetsFunctionsSupervisorRole"));
    const { Environment } = only(with2.template, "AWS::Lambda::Function", "TargetsFunctionsSupervisor") as {
      readonly Environment?: { readonly Variables: Readonly<Record<string, unknown>> };
    };
    expect(Environment?.Variables.TIDEMARK_REDIRECT_SUFFIXES).toBe('["v2","fixed"]');
  });

  it("P4 one more is no new version of the tasks: nothing that runs stops for it", () => {
    const taskVersion = ({ template }: typeof with2) =>
      Object.keys(template.findResources("AWS::Lambda::Version")).filter((id) => id.startsWith("TargetsFunctionsTask"));
    expect(taskVersion(with2)).toEqual(taskVersion(without));
  });

  it("its wildcards are acknowledged one by one for cdk-nag", () => {
    expect(with2.findings).toEqual([]);
  });
});
