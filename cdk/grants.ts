import { ArnFormat, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";
import { redirectedPlaces } from "#lib/connectors/s3-files.js";
import { redirectedName } from "#lib/pipeline/sink-modes.js";
import { acknowledge, acknowledgeWildcards } from "./acknowledge.js";
import type { TidemarkBindings } from "./bindings.js";
import type { FunctionRole } from "./bundle.js";
import type { TidemarkEnvironment } from "./environment.js";
import type { FunctionNames } from "./function-names.js";
import type { PlanFacts, PlanPart } from "./plan-facts.js";
import { sinkNeed, sourceActions } from "./sink-grants.js";

/** What the statements are derived from. */
export interface GrantContext {
  readonly facts: PlanFacts;
  readonly bindings: TidemarkBindings;
  readonly environment: TidemarkEnvironment;
  readonly names: FunctionNames;
  /** W2: targets of redirects with these suffixes are granted as those that they stand beside. */
  readonly redirectSuffixes: readonly string[];
}

const wildcardReason =
  "Objects have no names before they are written: these are the ones of this pipeline, or of its sink, beneath a prefix. Sessions are invoked by version, and a deployment adds one.";

const stateActions: Readonly<Record<FunctionRole, readonly string[]>> = {
  task: ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"],
  // It collects garbage, which sessions never do.
  supervisor: ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"],
};

const objectActions: Readonly<Record<FunctionRole, readonly string[]>> = {
  task: ["s3:GetObject", "s3:PutObject"],
  supervisor: ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
};

/** Gives a function exactly what its part of the plan touches: the supervisor no sink. */
export function grantAll(scope: Construct, to: iam.IRole, role: FunctionRole, context: GrantContext): void {
  const statements = [
    ...ofCheckpoints(role, context),
    ...ofSources(context),
    ...(role === "task" ? context.facts.sinks.flatMap((sink) => ofSink(sink, context)) : []),
    ...ofInvocations(scope, role, context),
  ];
  for (const statement of statements) {
    to.addToPrincipalPolicy(statement);
    acknowledgeWildcards(to, statement, wildcardReason);
  }
  grantKeys(to, role, context);
}

const allow = (sid: string, actions: readonly string[], resources: readonly string[]): iam.PolicyStatement =>
  new iam.PolicyStatement({ sid, actions: [...actions], resources: [...resources] });

/** Of table and bucket the part of this pipeline: items under its name, objects beneath it. */
function ofCheckpoints(role: FunctionRole, { environment, facts }: GrantContext): readonly iam.PolicyStatement[] {
  const { table, bucket } = environment;
  return [
    new iam.PolicyStatement({
      sid: "Registers",
      actions: [...stateActions[role]],
      resources: [table.tableArn],
      conditions: { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": [facts.name] } },
    }),
    allow("Objects", objectActions[role], [bucket.arnForObjects(`${facts.name}/*`)]),
    // Without it, an object that is not there would be answered as one that may not be read; a condition on the prefix would undo that.
    allow("ObjectNames", ["s3:ListBucket"], [bucket.bucketArn]),
  ];
}

function ofSources({ facts, bindings }: GrantContext): readonly iam.PolicyStatement[] {
  const streams = facts.sources.flatMap(({ config }) => bindings.streams?.[String(config.stream)] ?? []);
  return [allow("Sources", sourceActions, [...new Set(streams.map(({ streamArn }) => streamArn))])];
}

function ofSink(sink: PlanPart, { bindings, redirectSuffixes }: GrantContext): readonly iam.PolicyStatement[] {
  const need = sinkNeed(sink);
  if (need === null) return [];
  const { bound, logical, grant } = need;
  const sid = `Sink${sink.name.replaceAll(/[^A-Za-z0-9]/g, "")}`;
  // An ARN ends with the name.
  const withRedirected = (kind: "stream" | "table", arn: string): readonly string[] => [
    arn,
    ...redirectSuffixes.map((suffix) => redirectedName(kind, arn, suffix)),
  ];
  switch (bound) {
    case "streams":
      return optional(bindings.streams?.[logical], ({ streamArn }) => [
        allow(sid, grant.actions, withRedirected("stream", streamArn)),
      ]);
    case "tables":
      return optional(bindings.tables?.[logical], ({ tableArn }) => [
        allow(sid, grant.actions, withRedirected("table", tableArn)),
      ]);
    case "buckets":
      return optional(bindings.buckets?.[logical], (bucket) => [
        allow(sid, grant.actions, [bucket.bucketArn]),
        ...Object.entries(grant.objectActions ?? {}).map(([member, actions]) => {
          const prefixes = prefixesIn(sink, member, redirectSuffixes).map((prefix) =>
            bucket.arnForObjects(`${prefix}*`),
          );
          return allow(`${sid}${member}`, actions, prefixes);
        }),
      ]);
  }
}

const optional = <T, R>(value: T | undefined, use: (value: T) => readonly R[]): readonly R[] =>
  value === undefined ? [] : use(value);

/** Of the sink's own place in its bucket, and of those of redirects. */
function prefixesIn({ config }: PlanPart, member: string, suffixes: readonly string[]): readonly string[] {
  const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
  const own: Readonly<Record<string, string>> = { prefix: textOf(config.prefix), staging: textOf(config.staging) };
  const places = suffixes.map(
    (suffix): Readonly<Record<string, string>> =>
      redirectedPlaces({ prefix: own.prefix ?? "", staging: own.staging ?? "" }, suffix),
  );
  return [own, ...places].map((place) => place[member] ?? "");
}

/** Tasks are invoked by version, by the supervisor and by the session before; the supervisor by its alias, by sessions and for them. */
function ofInvocations(scope: Construct, role: FunctionRole, { names }: GrantContext): readonly iam.PolicyStatement[] {
  const arn = (name: string) =>
    Stack.of(scope).formatArn({
      service: "lambda",
      resource: "function",
      resourceName: name,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  const tasks = allow("Tasks", ["lambda:InvokeFunction"], [arn(`${names.task}:*`)]);
  if (role === "supervisor") return [tasks];
  return [tasks, allow("Supervisor", ["lambda:InvokeFunction"], [arn(names.supervisorAlias)])];
}

/** Keys of the user's own, where table, bucket or stream have one. */
function grantKeys(to: iam.IRole, role: FunctionRole, { environment, facts, bindings }: GrantContext): void {
  const both = [environment.table.encryptionKey, environment.bucket.encryptionKey];
  const sinks = role === "task" ? facts.sinks.map(sinkNeed).filter((need) => need !== null) : [];
  const written = sinks.map(({ bound, logical }) => bindings[bound]?.[logical]?.encryptionKey);
  const read = facts.sources.map(({ config }) => bindings.streams?.[String(config.stream)]?.encryptionKey);
  for (const key of distinct([...both, ...written])) {
    key.grantEncryptDecrypt(to);
    acknowledge(to, keyReasons);
  }
  for (const key of distinct(read)) key.grantDecrypt(to);
}

const keyReason =
  "The calls of a service that encrypts with a key come in variants, which its documentation names by a wildcard.";

const keyReasons = Object.fromEntries(
  ["GenerateDataKey", "ReEncrypt"].map((call) => [`AwsSolutions-IAM5[Action::kms:${call}*]`, keyReason]),
);

const distinct = (keys: readonly (kms.IKey | undefined)[]): readonly kms.IKey[] =>
  [...new Set(keys)].filter((key) => key !== undefined);
