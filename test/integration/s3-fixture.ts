import { readdir } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { openS3 } from "../../lib/local/s3/server.js";

export const bucket = "test-bucket";

export interface RawAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface RawRequest {
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | string;
}

export interface Running {
  readonly client: S3Client;
  readonly port: number;
  /** A request as it stands: no escaping, no signature, nothing that the SDK would add or refuse. */
  raw(method: string, path: string, request?: RawRequest): Promise<RawAnswer>;
  clientWith(config: S3ClientConfig): S3Client;
  stop(): Promise<void>;
}

/** A server on a free port, and clients of it. */
export async function startS3(directory: string | null = null): Promise<Running> {
  const s3 = openS3({ directory });
  const server = http.createServer(s3.handle).listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const { port } = server.address() as AddressInfo;
  const clients: S3Client[] = [];
  const clientWith = (config: S3ClientConfig) => {
    const client = clientFor(port, config);
    clients.push(client);
    return client;
  };
  return {
    client: clientWith({}),
    port,
    raw: (method, path, request = {}) => rawRequest(port, method, path, request),
    clientWith,
    async stop() {
      for (const client of clients) client.destroy();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      await s3.close();
    },
  };
}

/** The same, with a bucket named {@link bucket}. */
export async function startWithBucket(): Promise<Running> {
  const running = await startS3();
  await running.client.send(new CreateBucketCommand({ Bucket: bucket }));
  return running;
}

export function clientFor(port: number, config: S3ClientConfig = {}): S3Client {
  return new S3Client({
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
    ...config,
  });
}

export function rawRequest(port: number, method: string, path: string, request: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const { headers = {}, body = "" } = request;
    const length = { "content-length": Buffer.byteLength(body) };
    const sent = http.request({
      host: "127.0.0.1",
      port,
      method,
      path,
      agent: false,
      headers: { ...length, ...headers },
    });
    sent.on("error", reject);
    sent.on("response", async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes, text: bytes.toString() });
    });
    sent.end(body);
  });
}

/** What a refused request answers: the name and the status of the SDK's error. */
export async function refusal(request: Promise<unknown>): Promise<{ readonly name: string; readonly status: number }> {
  try {
    await request;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return { name, status: $metadata?.httpStatusCode ?? 0 };
  }
  throw new Error("the request was not refused");
}

export const put = (client: S3Client, Key: string, Body: string | Buffer) =>
  client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
export const get = async (client: S3Client, Key: string) => {
  const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
};
/** The files of bodies in a folder of buckets. */
export const contents = async (folder: string) => readdir(join(folder, bucket, "contents"));
