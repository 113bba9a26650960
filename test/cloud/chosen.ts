// Opens the cloud that the tests are to run against, before all of them, and closes it after all, whatever has become of them.
import { randomBytes } from "node:crypto";
import type { TestProject } from "vitest/node";
import { spawnCloud } from "../../dist/local/cloud/child.js";
import { awsClients } from "../../lib/connectors/clients.js";
import { startLocalStack, wake } from "./localstack/localstack.js";
import { sweep } from "./sweep.js";

export const kinds = ["localstack", "embedded", "endpoint", "aws"] as const;

/** What tests are told of the cloud. */
export interface ChosenCloud {
  readonly kind: (typeof kinds)[number];
  /** Which software answers: what it does otherwise than AWS is known by it. */
  readonly emulator: "LocalStack" | "tidemark cloud" | "other" | null;
  /** null: that of the AWS SDK. */
  readonly endpoint: string | null;
  readonly region: string;
  /** Any keys will do, but for AWS, where they are the SDK's own. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** What the names of all that is made begin with; of this run alone. */
  readonly prefix: string;
}

declare module "vitest" {
  interface ProvidedContext {
    cloud: ChosenCloud;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const begun = performance.now();
  const { cloud, close } = await open();
  project.provide("cloud", cloud);
  console.log(`cloud: ${cloud.kind} at ${cloud.endpoint ?? `AWS, ${cloud.region}`}; names begin with ${cloud.prefix}`);
  return async () => {
    await close();
    console.log(`cloud: closed, ${Math.round((performance.now() - begun) / 1_000)} s after it was asked for`);
  };
}

interface Opened {
  readonly cloud: ChosenCloud;
  close(): Promise<void>;
}

const anyKeys = { accessKeyId: "test", secretAccessKey: "test" };

async function open(): Promise<Opened> {
  const kind = kinds.find((each) => each === process.env.TIDEMARK_TEST_CLOUD);
  const prefix = `tidemark-test-${randomBytes(4).toString("hex")}-`;
  const local = { region: "us-east-1", credentials: anyKeys, prefix };
  switch (kind) {
    case "localstack": {
      const { endpoint, stop } = await startLocalStack({ say: (line) => console.log(line) });
      return { cloud: { ...local, kind, endpoint, emulator: "LocalStack" }, close: stop };
    }
    case "embedded": {
      const { endpoint, stop } = await spawnCloud({ port: 0, data: null, limits: "none" });
      return { cloud: { ...local, kind, endpoint, emulator: "tidemark cloud" }, close: stop };
    }
    case "endpoint": {
      const endpoint = process.env.AWS_ENDPOINT_URL ?? "";
      const emulator = await whoAnswers(endpoint);
      await wake(endpoint, ["dynamodb", "kinesis"]);
      return swept({ ...local, kind, endpoint, emulator });
    }
    case "aws": {
      const region = process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? "us-east-1";
      return swept({ kind, endpoint: null, emulator: null, region, credentials: null, prefix });
    }
    default:
      throw new Error(`npm run test:cloud says by TIDEMARK_TEST_CLOUD where to run: one of ${kinds.join(", ")}`);
  }
}

/** @throws Error where nobody does */
async function whoAnswers(endpoint: string): Promise<ChosenCloud["emulator"]> {
  try {
    const { headers, ok } = await fetch(`${endpoint}/_localstack/health`);
    if (headers.get("server") === "tidemark-cloud") return "tidemark cloud";
    return ok ? "LocalStack" : "other";
  } catch (cause) {
    throw new Error(`nothing answers at ${endpoint}, which AWS_ENDPOINT_URL names: start it, or unset it`, { cause });
  }
}

/** What outlives the tests is left as it was. */
function swept(cloud: ChosenCloud): Opened {
  const close = async () => {
    const clients = awsClients({
      region: cloud.region,
      ...(cloud.endpoint === null ? {} : { endpoint: cloud.endpoint }),
      ...(cloud.credentials === null ? {} : { credentials: cloud.credentials }),
    });
    try {
      const removed = await sweep(clients, cloud.prefix);
      console.log(`removed: ${removed.length} streams, tables and buckets`);
    } finally {
      clients.destroy();
    }
  };
  return { cloud, close };
}
