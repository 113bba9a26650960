import { Stack, Validations } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IConstruct } from "constructs";

/** Findings of cdk-nag that are meant, each with its reason. Nobody is asked to use cdk-nag. */
export function acknowledge(scope: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [id, reason] of Object.entries(reasons)) Validations.of(scope).acknowledge({ id, reason });
}

/** Wildcards are acknowledged one by one: another one in the same policy would be found. */
export function acknowledgeWildcards(scope: IConstruct, statement: PolicyStatement, reason: string): void {
  const resources = statement.resources.map((resource) => `Resource::${flat(Stack.of(scope).resolve(resource))}`);
  const actions = statement.actions.map((action) => `Action::${action}`);
  const wildcards = [...resources, ...actions].filter((finding) => finding.includes("*"));
  acknowledge(scope, Object.fromEntries(wildcards.map((finding) => [`AwsSolutions-IAM5[${finding}]`, reason])));
}

/** A resolved value as cdk-nag writes it: references in angle brackets. */
function flat(value: unknown): string {
  if (typeof value === "string") return value;
  const part = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(part["Fn::Join"])) {
    const [delimiter, items] = part["Fn::Join"] as [string, unknown[]];
    return items.map(flat).join(delimiter);
  }
  if (Array.isArray(part["Fn::GetAtt"])) return `<${part["Fn::GetAtt"].join(".")}>`;
  if (part["Fn::ImportValue"] !== undefined) return flat(part["Fn::ImportValue"]);
  return part.Ref === undefined ? JSON.stringify(value) : `<${String(part.Ref)}>`;
}
