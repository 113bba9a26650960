import { Stack, Token } from "aws-cdk-lib";
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import type * as kinesis from "aws-cdk-lib/aws-kinesis";
import type * as s3 from "aws-cdk-lib/aws-s3";
import type { Construct, IConstruct } from "constructs";
import type { BindingNames } from "#lib/compose.js";
import { databaseName, isAddress } from "#lib/connectors/postgres/database-names.js";
import { StreamError } from "#lib/model/errors.js";
import type { PlanFacts, PlanPart } from "./plan-facts.js";
import { type BoundKind, databaseKinds, localKinds, type Need, sinkNeed, sourceNeed } from "./sink-grants.js";
import { checkTableKey, type KeyAttribute } from "./table-key.js";

/** What a pipeline reads and writes, by the logical names that its file uses. */
export interface TidemarkBindings {
  readonly streams?: Readonly<Record<string, kinesis.IStream | kinesis.Stream>>;
  readonly tables?: Readonly<Record<string, dynamodb.ITable | dynamodb.Table | dynamodb.TableV2>>;
  readonly buckets?: Readonly<Record<string, s3.IBucket | s3.Bucket>>;
  /** What a sink of a database calls one: names, which grant nothing. */
  readonly databases?: Readonly<Record<string, string>>;
}

const samples: Readonly<Record<BoundKind, (name: string) => string>> = {
  streams: (name) => `Stream.fromStreamArn(this, "Stream", "arn:aws:kinesis:…:stream/${name}")`,
  tables: (name) => `Table.fromTableName(this, "Table", "${name}")`,
  buckets: (name) => `Bucket.fromBucketName(this, "Bucket", "${name}")`,
};

/**
 * Finds at synthesis what a session would find at its start, or never.
 *
 * @param ownKinds kinds of sinks whose permissions the user gives
 * @throws StreamError `invalid`: a name that is bound to nothing, a stream of another region, a table with another key, a file, a kind
 *   of sink that nobody knows
 */
export function checkBindings(
  scope: Construct,
  facts: PlanFacts,
  bindings: TidemarkBindings,
  ownKinds: ReadonlySet<string>,
): void {
  const where = `${scope.node.path}: pipeline "${facts.name}"`;
  for (const part of [...facts.sources, ...facts.sinks]) checkKind(where, part, ownKinds, facts.sources.includes(part));
  checkBound(where, needsOf(facts), bindings);
  for (const source of facts.sources) checkRegion(scope, where, source, bindings);
  for (const sink of facts.sinks) {
    checkSinkTable(where, sink, bindings);
    if (databaseKinds.has(sink.kind)) checkDatabase(where, sink, bindings);
  }
}

/** @throws StreamError `invalid`: bound to nothing, or to a URL with a password, which the template would show */
function checkDatabase(where: string, { name, config }: PlanPart, { databases = {} }: TidemarkBindings): void {
  const logical = (config.target as { readonly name: string }).name;
  // A name that is not bound is its own.
  const bound = Object.hasOwn(databases, logical) ? databases[logical] : logical;
  if (bound === undefined || (bound === logical && !isAddress(logical)))
    throw new StreamError(
      "invalid",
      `${where}, sink "${name}": databases.${logical} is bound to nothing; bind it to a variable of the functions that has its URL: databases: { ${JSON.stringify(logical)}: "env:DATABASE_URL" }, environmentVariables: { DATABASE_URL: … }`,
    );
  if (!Token.isUnresolved(bound)) databaseName(logical, bound);
}

const needsOf = ({ sources, sinks }: PlanFacts): readonly Need[] => [
  ...sources.map(sourceNeed),
  ...sinks.map(sinkNeed).filter((need) => need !== null),
];

function checkKind(where: string, part: PlanPart, ownKinds: ReadonlySet<string>, isSource: boolean): void {
  const user = `${isSource ? "source" : "sink"} "${part.name}"`;
  if (localKinds.has(part.kind)) {
    throw new StreamError(
      "invalid",
      `${where}, ${user}: is a file, and a function keeps none; deploy a pipeline that reads a stream and writes a table, and use files with "tidemark dev"`,
    );
  }
  if (isSource || ownKinds.has(part.kind) || databaseKinds.has(part.kind) || sinkNeed(part) !== null) return;
  throw new StreamError(
    "invalid",
    `${where}, ${user}: what sinks of the kind "${part.kind}" need is not known here; give it with grants: { "${part.kind}": (task) => … }, which may be empty`,
  );
}

function checkBound(where: string, needs: readonly Need[], bindings: TidemarkBindings): void {
  const missing = needs.filter(({ bound, logical }) => !Object.hasOwn(bindings[bound] ?? {}, logical));
  if (missing.length === 0) return;
  const list = missing.map(({ bound, logical, user }) => `\n  ${bound}.${logical} (${user})`);
  const lines = [...new Set(missing.map(({ bound }) => bound))].map((bound) => {
    const names = new Set(missing.filter((need) => need.bound === bound).map(({ logical }) => logical));
    return `\n  ${bound}: { ${[...names].map((name) => `${JSON.stringify(name)}: ${samples[bound](name)}`).join(", ")} },`;
  });
  const used = new Set(needs.map(({ bound, logical }) => `${bound}.${logical}`));
  const given = (["streams", "tables", "buckets"] as const).flatMap((bound) =>
    Object.keys(bindings[bound] ?? {}).map((name) => `${bound}.${name}`),
  );
  const unused = given.filter((name) => !used.has(name));
  const hint = unused.length === 0 ? "" : `\nGiven, and of no use to this pipeline: ${unused.join(", ")}.`;
  throw new StreamError(
    "invalid",
    `${where}: logical names that are bound to nothing:${list.join("")}\nStreams, tables and buckets of a pipeline are yours: make them or refer to them, and hand them in:${lines.join("")}${hint}`,
  );
}

/** Clients of a session have one region. */
function checkRegion(scope: Construct, where: string, source: PlanPart, bindings: TidemarkBindings): void {
  const stream = bindings.streams?.[String(source.config.stream)];
  const [here, there] = [Stack.of(scope).region, stream?.env.region];
  if (there === undefined || Token.isUnresolved(there) || Token.isUnresolved(here) || there === here) return;
  throw new StreamError(
    "invalid",
    `${where}, source "${source.name}": its stream is in ${there}, and the stack is in ${here}; deploy the pipeline where the stream is`,
  );
}

function checkSinkTable(where: string, sink: PlanPart, bindings: TidemarkBindings): void {
  const need = sinkNeed(sink);
  const table = need?.bound === "tables" ? bindings.tables?.[need.logical] : undefined;
  const key = sink.config.key;
  if (table === undefined || !isKey(key)) return;
  checkTableKey(`${where}, sink "${sink.name}"`, table, key);
}

const isKey = (key: unknown): key is readonly KeyAttribute[] =>
  Array.isArray(key) && key.every((part) => typeof part?.name === "string" && typeof part?.type === "string");

/** Names for the functions. A stream of another account has to be named by its ARN. */
export function bindingNames(scope: Construct, bindings: TidemarkBindings): BindingNames {
  return {
    streams: mapValues(bindings.streams, (stream) => (isForeign(scope, stream) ? stream.streamArn : stream.streamName)),
    tables: mapValues(bindings.tables, (table) => (isForeign(scope, table) ? table.tableArn : table.tableName)),
    buckets: mapValues(bindings.buckets, (bucket) => bucket.bucketName),
    databases: bindings.databases ?? {},
  };
}

function isForeign(scope: Construct, resource: IConstruct & { readonly env: { readonly account: string } }): boolean {
  const [here, there] = [Stack.of(scope).account, resource.env.account];
  return !Token.isUnresolved(there) && there !== here;
}

const mapValues = <T>(of: Readonly<Record<string, T>> = {}, name: (value: T) => string): Record<string, string> =>
  Object.fromEntries(Object.entries(of).map(([logical, value]) => [logical, name(value)]));
