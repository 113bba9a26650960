import type { CheckpointStore } from "../checkpoint/store.js";
import { awsWorld, bindingsOf, type Environment, readBindings } from "../compose.js";
import { askFirst } from "../connectors/ask-first.js";
import { awsError } from "../connectors/aws-errors.js";
import { type AwsClients, awsClients } from "../connectors/clients.js";
import { StreamError } from "../model/errors.js";
import type { Bindings } from "../runtime/deployment.js";
import type { TidemarkConfig } from "./config.js";
import { checkAnswers, isLocal } from "./endpoint.js";

/** The environment that a command works on, and the way there. */
export interface Target {
  readonly environment: Environment;
  readonly bindings: Bindings;
  readonly clients: AwsClients;
  /** Whether the endpoint is on this machine: then what is missing is made, and any credentials do. */
  readonly local: boolean;
  readonly endpoint: string | null;
}

export interface Place {
  readonly pipeline: string;
  readonly endpoint: string | null;
  /** `--aws`: what is there is taken for a real account, whatever the endpoint. */
  readonly aws: boolean;
}

/** Clients and names for a pipeline. Sets the process's variables for the SDK where they are missing and the endpoint is local. */
export function openTarget(place: Place, config: TidemarkConfig): Target {
  const local = !place.aws && isLocal(place.endpoint);
  const variables = defaultVariables({ endpoint: place.endpoint, local }, config, process.env);
  Object.assign(process.env, variables);
  const environment: Environment = {
    table: config.table ?? process.env.TIDEMARK_TABLE ?? localName(local, "table", "TIDEMARK_TABLE"),
    bucket: config.bucket ?? process.env.TIDEMARK_BUCKET ?? localName(local, "bucket", "TIDEMARK_BUCKET"),
    functions: functionNames(place.pipeline),
    bindings: config.bindings ?? readBindings(process.env),
  };
  const clients = awsClients(local ? { credentials: keysOf(variables) } : {});
  askFirst(clients, (origin) => checkOther(origin, place.endpoint));
  return { environment, bindings: bindingsOf(environment.bindings), clients, local, endpoint: place.endpoint };
}

/** The endpoint itself was asked when it was opened. */
async function checkOther(origin: string, endpoint: string | null): Promise<void> {
  if (endpoint !== null && origin === new URL(endpoint).origin) return;
  await checkAnswers(origin, "check the network, AWS_REGION, and what AWS_ENDPOINT_URL and its kin name");
}

/** Given, so that on a local endpoint no profile is asked, which may want a log-in. */
const keysOf = (variables: Variables) => ({
  accessKeyId: variables.AWS_ACCESS_KEY_ID ?? "",
  secretAccessKey: variables.AWS_SECRET_ACCESS_KEY ?? "",
});

type Variables = Readonly<Record<string, string | undefined>>;

/** What the SDK needs on a local endpoint, where any keys do. On AWS the SDK's own chain is asked. */
export function defaultVariables(
  place: Pick<Target, "endpoint" | "local">,
  config: Pick<TidemarkConfig, "region">,
  variables: Variables,
): Readonly<Record<string, string>> {
  const region = variables.AWS_REGION ?? variables.AWS_DEFAULT_REGION ?? config.region;
  const endpoint = place.endpoint === null ? {} : { AWS_ENDPOINT_URL: place.endpoint };
  if (!place.local) return region === undefined ? endpoint : { ...endpoint, AWS_REGION: region };
  return {
    ...endpoint,
    AWS_REGION: region ?? "us-east-1",
    AWS_ACCESS_KEY_ID: variables.AWS_ACCESS_KEY_ID ?? "tidemark",
    AWS_SECRET_ACCESS_KEY: variables.AWS_SECRET_ACCESS_KEY ?? "tidemark",
  };
}

/**
 * The user's own variables reach the pipeline here, as those of its deployment will on Lambda; of AWS's and Node's only what says
 * where services are and whom to trust: the rest is resolved here, and Lambda's endpoint is the runner's.
 */
const passedOn =
  /^(AWS_ENDPOINT_URL_(?!LAMBDA$)[A-Z0-9_]+|AWS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|(?!AWS_|NODE_|TIDEMARK_|LAMBDA_|npm_).+)$/;

/**
 * The variables by which functions on this machine reach what this process reaches. The SDK's chain is asked here: credentials that expire last as long as they last.
 *
 * @throws StreamError `invalid`: there are no credentials, or no region
 */
export async function functionVariables(target: Target): Promise<Readonly<Record<string, string>>> {
  const also = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => passedOn.test(entry[0])),
  );
  const { config } = target.clients.dynamo;
  try {
    const [region, keys] = await Promise.all([config.region(), config.credentials()]);
    return {
      ...also,
      ...(target.endpoint === null ? {} : { AWS_ENDPOINT_URL: target.endpoint }),
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      ...(keys.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: keys.sessionToken }),
    };
  } catch (error) {
    const name = target.endpoint ?? "AWS";
    throw awsError(error, {
      intent: "read",
      target: { name, actions: "", whenAbsent: "" },
      doing: "signing in",
    });
  }
}

export const functionNames = (pipeline: string): Environment["functions"] => ({
  task: `${functionName(pipeline)}-task`,
  supervisor: `${functionName(pipeline)}-supervisor`,
});

const functionName = (pipeline: string): string => pipeline.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, 48);

function localName(local: boolean, what: "table" | "bucket", variable: string): string {
  if (local) return "tidemark-dev";
  throw new StreamError(
    "invalid",
    `on a real account the ${what} for checkpoints must be named: set "${what}" in tidemark.config.ts, or ${variable}`,
  );
}

export function storeOf(pipeline: string, target: Target): CheckpointStore {
  const world = awsWorld(target.environment, target.clients);
  return { pipeline, registers: world.registers, blobs: world.blobs, clock: world.clock };
}
