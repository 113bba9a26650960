import { resolve } from "node:path";
import { type AwsClients, awsClients } from "./connectors/clients.js";
import { dynamoRegisters } from "./connectors/dynamo-registers.js";
import { dynamoTables } from "./connectors/dynamo-tables.js";
import { fileLog } from "./connectors/file-log.js";
import { kinesisLog } from "./connectors/kinesis-log.js";
import { kinesisStreams } from "./connectors/kinesis-streams.js";
import { lambdaFunctions } from "./connectors/lambda-functions.js";
import { logs } from "./connectors/logs.js";
import { nodeFiles } from "./connectors/node-files.js";
import { s3Blobs } from "./connectors/s3-blobs.js";
import { s3Objects } from "./connectors/s3-objects.js";
import { StreamError } from "./model/errors.js";
import { filePath, fileStream } from "./pipeline/source.js";
import { systemClock } from "./ports/clock.js";
import type { World } from "./ports/world.js";
import type { Bindings } from "./runtime/deployment.js";

/** Physical names by logical ones; a name that is not bound is its own. */
export interface BindingNames {
  readonly streams?: Readonly<Record<string, string>>;
  readonly tables?: Readonly<Record<string, string>>;
  readonly buckets?: Readonly<Record<string, string>>;
  readonly databases?: Readonly<Record<string, string>>;
  /** Paths; relative ones are from the working directory of whoever opens them. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Where the checkpoints of an environment are, and the functions that run it. */
export interface Environment {
  /** The DynamoDB table of heads, leases, acks and manifests: one for all pipelines of an environment. */
  readonly table: string;
  /** The S3 bucket of snapshots. */
  readonly bucket: string;
  readonly functions: { readonly task: string; readonly supervisor: string };
  readonly bindings: BindingNames;
}

/** W2: of the supervisor, from the construct: suffixes of redirects whose targets tasks may write to, as a JSON array. */
export const suffixesVariable = "TIDEMARK_REDIRECT_SUFFIXES";

/** The variables that functions get; {@link readEnvironment} is the other direction. */
export function environmentVariables(environment: Environment): Readonly<Record<string, string>> {
  return {
    TIDEMARK_TABLE: environment.table,
    TIDEMARK_BUCKET: environment.bucket,
    TIDEMARK_TASK_FUNCTION: environment.functions.task,
    TIDEMARK_SUPERVISOR_FUNCTION: environment.functions.supervisor,
    TIDEMARK_BINDINGS: JSON.stringify(environment.bindings),
  };
}

/** @throws StreamError `invalid` where a variable is missing, or the bindings are no names by names */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const get = (name: string): string => {
    const value = variables[name];
    if (value !== undefined && value !== "") return value;
    throw new StreamError(
      "invalid",
      `the environment variable ${name} is not set: functions get it from the construct, or from "tidemark dev"`,
    );
  };
  return {
    table: get("TIDEMARK_TABLE"),
    bucket: get("TIDEMARK_BUCKET"),
    functions: { task: get("TIDEMARK_TASK_FUNCTION"), supervisor: get("TIDEMARK_SUPERVISOR_FUNCTION") },
    bindings: readBindings(variables),
  };
}

const bindingsForm = `{"streams":{"logical":"physical"},"tables":{}}`;

/** Physical names by logical ones, of `TIDEMARK_BINDINGS`; none where it is not set. @throws StreamError `invalid` where it has another form */
export function readBindings(variables: Readonly<Record<string, string | undefined>>): BindingNames {
  let found: unknown;
  try {
    found = JSON.parse(variables.TIDEMARK_BINDINGS ?? "{}");
  } catch (cause) {
    throw new StreamError("invalid", `TIDEMARK_BINDINGS is not JSON: ${bindingsForm}`, { cause });
  }
  if (isObject(found) && Object.values(found).every(isNames)) return found as BindingNames;
  throw new StreamError("invalid", `TIDEMARK_BINDINGS must be names by names, such as ${bindingsForm}`);
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isNames = (value: unknown): boolean =>
  isObject(value) && Object.values(value).every((name) => typeof name === "string" && name !== "");

export function bindingsOf(names: BindingNames): Bindings {
  const bound = (map: Readonly<Record<string, string>> | undefined) => (logical: string) =>
    map !== undefined && Object.hasOwn(map, logical) ? (map[logical] ?? logical) : logical;
  const [stream, file] = [bound(names.streams), bound(names.files)];
  const streamOrFile = (logical: string) => {
    const path = filePath(logical);
    return path === null ? stream(logical) : fileStream(file(path));
  };
  // Whole, so that what is staged is found again wherever the next session is started.
  return {
    stream: streamOrFile,
    table: bound(names.tables),
    file: (logical) => resolve(file(logical)),
    bucket: bound(names.buckets),
    database: bound(names.databases),
  };
}

/** The one place where the AWS adapters become the world of the runtime: for Lambda and for the command line. */
export function awsWorld(
  environment: Pick<Environment, "table" | "bucket" | "functions">,
  clients: AwsClients = awsClients(),
): World {
  const files = nodeFiles();
  return {
    clock: systemClock,
    registers: dynamoRegisters(clients.dynamo, { table: environment.table }),
    blobs: s3Blobs(clients.s3, { bucket: environment.bucket }),
    log: logs(kinesisLog(clients.kinesis), fileLog(files)),
    files,
    objects: s3Objects(clients.s3),
    tables: dynamoTables(clients.dynamo),
    streams: kinesisStreams(clients.kinesis),
    functions: lambdaFunctions(clients.lambda, environment.functions),
  };
}
