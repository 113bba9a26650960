import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { openS3 } from "../s3/server.js";
import { refusal } from "./answers.js";
import { openDynamo } from "./dynamodb.js";
import type { Answer } from "./emulators.js";
import { inputIn, readBody, send, unsigned } from "./exchange.js";
import { openKinesis, type Service } from "./kinesis.js";
import { type Handle, openPort } from "./port.js";
import type { Limits } from "./shard-limits.js";

/** Kinesis, DynamoDB and S3 in this process, behind one port. */
export interface EmbeddedCloud {
  readonly port: number;
  /** The value for AWS_ENDPOINT_URL. */
  readonly endpoint: string;
  close(): Promise<void>;
}

export interface CloudOptions {
  /** 0: a free one. */
  readonly port: number;
  /** The folder where everything is kept, for one process at a time; null: in memory. */
  readonly data: string | null;
  /** "real": shards throttle as in AWS (five GetRecords a second, 1 MiB or 1,000 records a second). "none" unless said. */
  readonly limits?: Limits;
}

type S3 = ReturnType<typeof openS3>;
type Services = ReadonlyMap<string, { readonly name: string; readonly service: Service }>;

const healthPath = "/_tidemark/health";

/**
 * Starts a cloud for development and tests: with `AWS_ENDPOINT_URL` set to its endpoint, and any keys and region, every AWS SDK and the
 * AWS command line use it. It speaks HTTP/1.1 and clear-text HTTP/2 on 127.0.0.1. What it has acknowledged survives the end of the
 * process, though not a loss of power. Account and region of ARNs are `AWS_ACCOUNT_ID` and `AWS_REGION`, else 000000000000 and us-east-1.
 *
 * @throws StreamError `invalid` when kinesalite or dynalite is not installed, the folder is in use, or the port is taken.
 *
 * @example
 * const cloud = await startCloud({ port: 0, data: null });
 * const kinesis = new KinesisClient({ endpoint: cloud.endpoint, region: "us-east-1", credentials });
 * await cloud.close();
 */
export async function startCloud(options: CloudOptions): Promise<EmbeddedCloud> {
  const folder = (name: string) => (options.data === null ? null : join(options.data, name));
  const closing: (() => Promise<unknown>)[] = [];
  const closeAll = async () => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    const kinesis = await openKinesis({ folder: folder("kinesis"), limits: options.limits ?? "none" });
    closing.push(() => kinesis.close());
    const dynamo = await openDynamo({ folder: folder("dynamodb") });
    closing.push(() => dynamo.close());
    const s3 = openS3({ directory: folder("s3") });
    closing.push(() => s3.close());
    const services: Services = new Map([
      ["Kinesis_20131202", { name: "Kinesis", service: kinesis }],
      ["DynamoDB_20120810", { name: "DynamoDB", service: dynamo }],
    ]);
    const running = new Set<Promise<void>>();
    const open = await openPort(options.port, dispatch(services, s3, running));
    closing.push(async () => {
      await open.close();
      await Promise.allSettled(running);
    });
    return { port: open.port, endpoint: `http://127.0.0.1:${open.port}`, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function dispatch(services: Services, s3: S3, running: Set<Promise<void>>): Handle {
  return (request, response) => {
    // Without listeners, a client that goes away would be an uncaught error.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    const target = request.headers["x-amz-target"];
    if (typeof target === "string") {
      const work = serve(services, target, request, response).finally(() => running.delete(work));
      running.add(work);
    } else if (request.url?.startsWith(healthPath)) {
      send(request, response, {
        status: 200,
        body: { services: { kinesis: "running", dynamodb: "running", s3: "running" } },
      });
    } else {
      s3.handle(request, response);
    }
  };
}

async function serve(
  services: Services,
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  if (body.kind === "aborted") return;
  const answer = body.kind === "too large" ? tooLarge : await answered(services, target, request, body.bytes);
  send(request, response, answer);
}

const tooLarge: Answer = {
  status: 413,
  body: { __type: "RequestEntityTooLargeException", message: "The request is too large." },
};

async function answered(services: Services, target: string, request: IncomingMessage, bytes: Buffer): Promise<Answer> {
  const [version = "", operation = ""] = target.split(".");
  const found = services.get(version);
  if (found === undefined) return refusal("UnknownOperationException", `${target} is not part of the embedded cloud.`);
  const input = inputIn(request, bytes);
  if (input === undefined) return refusal("SerializationException", "The body is not a JSON or CBOR object.");
  const refused = unsigned(request);
  if (refused !== undefined) return refused;
  try {
    return await found.service.call(operation, input);
  } catch (error) {
    process.stderr.write(`embedded cloud: ${found.name} ${operation} failed: ${String(error)}\n`);
    return {
      status: 500,
      body: { __type: "InternalFailure", message: `The embedded ${found.name} failed: ${String(error)}` },
    };
  }
}
