import type { CheckpointStore } from "../checkpoint/store.js";
import { awsWorld, bindingsOf, type Environment } from "../compose.js";
import type { AwsClients } from "../connectors/clients.js";
import { awsClients } from "../connectors/clients.js";
import { StreamError } from "../model/errors.js";
import type { Bindings } from "../runtime/run-session.js";
import type { TidemarkConfig } from "./config.js";

/** The environment that a command works on, and the way there. */
export interface Target {
  readonly environment: Environment;
  readonly bindings: Bindings;
  readonly clients: AwsClients;
  /** Whether the endpoint is on this machine: then what is missing is made. */
  readonly local: boolean;
  readonly endpoint: string | null;
}

const localHost = /^https?:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?(\/|$)/;

export const isLocal = (endpoint: string | null): boolean => endpoint !== null && localHost.test(endpoint);

/** What the SDK needs on a local endpoint, where any keys do. On AWS the SDK's own chain is asked. */
export function defaultVariables(endpoint: string | null, config: TidemarkConfig): Readonly<Record<string, string>> {
  const region = process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? config.region;
  if (!isLocal(endpoint) || endpoint === null) return region === undefined ? {} : { AWS_REGION: region };
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region ?? "us-east-1",
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID ?? "tidemark",
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY ?? "tidemark",
  };
}

export const functionNames = (pipeline: string): Environment["functions"] => ({
  task: `${functionName(pipeline)}-task`,
  supervisor: `${functionName(pipeline)}-supervisor`,
});

const functionName = (pipeline: string): string => pipeline.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, 48);

/** Clients and names for a pipeline. Sets the process's variables for the SDK where they are missing and the endpoint is local. */
export function openTarget(pipeline: string, endpoint: string | null, config: TidemarkConfig): Target {
  const local = isLocal(endpoint);
  Object.assign(process.env, defaultVariables(endpoint, config));
  const environment: Environment = {
    table: config.table ?? process.env.TIDEMARK_TABLE ?? localName(local, "table", "TIDEMARK_TABLE"),
    bucket: config.bucket ?? process.env.TIDEMARK_BUCKET ?? localName(local, "bucket", "TIDEMARK_BUCKET"),
    functions: functionNames(pipeline),
    bindings: config.bindings ?? {},
  };
  return { environment, bindings: bindingsOf(environment.bindings), clients: awsClients(), local, endpoint };
}

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
