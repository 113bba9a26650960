import { AddPermissionCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import { signatureFor } from "../localstack/localstack.js";

export interface Schedule {
  readonly endpoint: string;
  readonly lambda: LambdaClient;
  readonly rule: string;
  readonly function: { readonly name: string; readonly arn: string };
}

/** A rule of EventBridge that invokes a function each minute, asynchronously, with `{"tick":"tock"}`. */
export async function scheduleEachMinute({ endpoint, lambda, rule, function: { name, arn } }: Schedule): Promise<void> {
  const { RuleArn } = await events(endpoint, "PutRule", { Name: rule, ScheduleExpression: "rate(1 minute)" });
  await lambda.send(
    new AddPermissionCommand({
      FunctionName: name,
      StatementId: "schedule",
      Action: "lambda:InvokeFunction",
      Principal: "events.amazonaws.com",
      SourceArn: String(RuleArn),
    }),
  );
  const Targets = [{ Id: "function", Arn: arn, Input: JSON.stringify({ tick: "tock" }) }];
  await events(endpoint, "PutTargets", { Rule: rule, Targets });
}

/** One call, without the client's package. */
async function events(endpoint: string, action: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": `AWSEvents.${action}`,
      authorization: signatureFor("events"),
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${action}: ${response.status} ${text}`);
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}
