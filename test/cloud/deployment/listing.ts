// What there is on a LocalStack, asked for by the plain interfaces of its services.
import { paginateListTables } from "@aws-sdk/client-dynamodb";
import { ListStreamsCommand } from "@aws-sdk/client-kinesis";
import { paginateListFunctions } from "@aws-sdk/client-lambda";
import { ListBucketsCommand } from "@aws-sdk/client-s3";
import { signatureFor } from "../localstack/localstack.js";
import type { Cloud } from "../resources.js";

/** Where functions write on LocalStack, which does not heed that they have a log group of their own. It makes them by itself. */
const ignoredGroup = /^\/aws\/lambda\//;

/** Everything that a deployment makes, each as "kind name", but for what other tests have made. */
export async function everything(cloud: Cloud): Promise<readonly string[]> {
  const { dynamo, kinesis, lambda, s3 } = cloud.clients;
  const endpoint = cloud.endpoint ?? "";
  const functions: (string | undefined)[] = [];
  for await (const { Functions = [] } of paginateListFunctions({ client: lambda }, { FunctionVersion: "ALL" }))
    functions.push(...Functions.map(({ FunctionArn }) => FunctionArn));
  const tables: string[] = [];
  for await (const { TableNames = [] } of paginateListTables({ client: dynamo }, {})) tables.push(...TableNames);
  const [streams, buckets, rules, groups, roles, alarms, dashboards] = await Promise.all([
    kinesis.send(new ListStreamsCommand({})).then(({ StreamNames = [] }) => StreamNames),
    s3.send(new ListBucketsCommand({})).then(({ Buckets = [] }) => Buckets.map(({ Name }) => Name)),
    listed(endpoint, "events", "AWSEvents.ListRules", /"Name": ?"([^"]+)"/g),
    listed(endpoint, "logs", "Logs_20140328.DescribeLogGroups", /"logGroupName": ?"([^"]+)"/g),
    queried(endpoint, "iam", "ListRoles", "2010-05-08", /<RoleName>([^<]+)</g),
    queried(endpoint, "monitoring", "DescribeAlarms", "2010-08-01", /<AlarmName>([^<]+)</g),
    queried(endpoint, "monitoring", "ListDashboards", "2010-08-01", /<DashboardName>([^<]+)</g),
  ]);
  const kinds = {
    function: functions,
    table: tables,
    stream: streams,
    bucket: buckets,
    rule: rules,
    "log group": groups.filter((name) => !ignoredGroup.test(name)),
  };
  return Object.entries({ ...kinds, role: roles, alarm: alarms, dashboard: dashboards })
    .flatMap(([kind, names]) => names.map((name) => `${kind} ${name}`))
    .filter((name) => !cloud.isOfOthers(name))
    .sort();
}

/** By the JSON interface of a service. */
const listed = (endpoint: string, service: string, target: string, name: RegExp) =>
  ask(endpoint, service, { "x-amz-target": target, "content-type": "application/x-amz-json-1.1" }, "{}", name);

/** By the query interface of a service, which answers in XML. */
const queried = (endpoint: string, service: string, action: string, version: string, name: RegExp) =>
  ask(
    endpoint,
    service,
    { "content-type": "application/x-www-form-urlencoded" },
    `Action=${action}&Version=${version}`,
    name,
  );

async function ask(
  endpoint: string,
  service: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  name: RegExp,
): Promise<readonly string[]> {
  const authorization = signatureFor(service);
  const response = await fetch(endpoint, { method: "POST", headers: { ...headers, authorization }, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${service}: ${response.status} ${text}`);
  return [...text.matchAll(name)].map(([, found = ""]) => found);
}
