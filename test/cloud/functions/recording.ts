// Functions of Lambda that tell what they get, and who listens to them.
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import {
  CreateFunctionCommand,
  InvokeCommand,
  type LambdaClient,
  PublishVersionCommand,
  UpdateFunctionCodeCommand,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";
import { build } from "esbuild";
import { expect } from "vitest";
import { zipOf } from "../localstack/zip.js";
import type { Told } from "./recorder.js";

export interface Recorder {
  readonly url: string;
  /** The first that fits of what was told, or is told later. */
  told(fits: (told: Told) => boolean): Promise<Told>;
  all(): readonly Told[];
  close(): void;
}

const toldMillisMax = 150_000;

export async function startRecorder(): Promise<Recorder> {
  const all: Told[] = [];
  let heard: (() => void)[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    all.push(JSON.parse(Buffer.concat(chunks).toString()) as Told);
    response.end();
    for (const wake of heard.splice(0)) wake();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  async function told(fits: (one: Told) => boolean): Promise<Told> {
    const giveUpAt = performance.now() + toldMillisMax;
    for (;;) {
      const found = all.find(fits);
      if (found !== undefined) return found;
      if (performance.now() > giveUpAt)
        expect.fail(`not told within ${toldMillisMax} ms; of all: ${JSON.stringify(all)}`);
      await new Promise<void>((resolve) => {
        heard = [...heard, resolve];
        setTimeout(resolve, 1_000);
      });
    }
  }
  return { url: `http://127.0.0.1:${port}`, told, all: () => all, close: () => server.close() };
}

/** The recorder, bundled as a deployment bundles it, as a zip. */
export async function codeOf(CODE: string): Promise<Buffer> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("recorder.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "cjs",
    minify: true,
    define: { CODE: JSON.stringify(CODE) },
    write: false,
  });
  return zipOf({ "index.js": outputFiles[0]?.contents ?? "" });
}

const waiting = { maxWaitTime: 60, minDelay: 0.1, maxDelay: 1 };

export interface NewFunction {
  readonly name: string;
  readonly code: Buffer;
  readonly timeoutSeconds: number;
  readonly env: Readonly<Record<string, string>>;
}

/** Answers with its ARN. */
export async function createFunction(lambda: LambdaClient, given: NewFunction): Promise<string> {
  const { FunctionArn = "" } = await lambda.send(
    new CreateFunctionCommand({
      FunctionName: given.name,
      Runtime: "nodejs22.x",
      Handler: "index.handler",
      Role: "arn:aws:iam::000000000000:role/any",
      Timeout: given.timeoutSeconds,
      Environment: { Variables: { ...given.env } },
      Code: { ZipFile: given.code },
    }),
  );
  await waitUntilFunctionActiveV2({ client: lambda, ...waiting }, { FunctionName: given.name });
  return FunctionArn;
}

/** Publishes what the function is now, or becomes by this code. */
export async function publish(lambda: LambdaClient, FunctionName: string, code?: Buffer): Promise<string> {
  if (code !== undefined) {
    await lambda.send(new UpdateFunctionCodeCommand({ FunctionName, ZipFile: code }));
    await waitUntilFunctionUpdatedV2({ client: lambda, ...waiting }, { FunctionName });
  }
  const { Version = "" } = await lambda.send(new PublishVersionCommand({ FunctionName }));
  await waitUntilFunctionActiveV2({ client: lambda, ...waiting }, { FunctionName, Qualifier: Version });
  return Version;
}

export interface Answered {
  readonly error: string | undefined;
  readonly version: string | undefined;
  readonly log: string;
  readonly payload: Record<string, unknown>;
}

/** Invokes it, and waits for its answer. */
export async function call(
  lambda: LambdaClient,
  FunctionName: string,
  payload: object,
  Qualifier?: string,
): Promise<Answered> {
  const answer = await lambda.send(
    new InvokeCommand({
      FunctionName,
      Payload: Buffer.from(JSON.stringify(payload)),
      LogType: "Tail",
      ...(Qualifier === undefined ? {} : { Qualifier }),
    }),
  );
  return {
    error: answer.FunctionError,
    version: answer.ExecutedVersion,
    log: Buffer.from(answer.LogResult ?? "", "base64").toString(),
    payload: JSON.parse(Buffer.from(answer.Payload ?? []).toString()) as Record<string, unknown>,
  };
}

/** Invokes it, and does not wait. */
export async function send(
  lambda: LambdaClient,
  FunctionName: string,
  payload: object,
  Qualifier?: string,
): Promise<void> {
  await lambda.send(
    new InvokeCommand({
      FunctionName,
      InvocationType: "Event",
      Payload: Buffer.from(JSON.stringify(payload)),
      ...(Qualifier === undefined ? {} : { Qualifier }),
    }),
  );
}
