/**
 * Lambda's Invoke action over HTTP, as the SDKs speak it.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a caller asks for. The payload is JSON text. */
export interface InvokeRequest {
  readonly functionName: string;
  readonly qualifier: string | null;
  readonly invocationType: "RequestResponse" | "Event" | "DryRun";
  readonly payload: string;
}

export type InvokeAnswer =
  | { readonly kind: "accepted"; readonly requestId: string }
  | { readonly kind: "permitted" }
  | {
      readonly kind: "executed";
      readonly requestId: string;
      readonly executedVersion: string;
      readonly functionError: "Unhandled" | null;
      readonly payload: string;
    }
  | Refusal;

/** An error of the API itself: no function ran. */
export interface Refusal {
  readonly kind: "refused";
  readonly status: 400 | 404 | 413 | 429 | 500;
  readonly errorType: string;
  readonly message: string;
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const payloadBytesMax = { RequestResponse: 6_291_456, Event: 1_048_576, DryRun: 6_291_456 } as const;

type Read = { readonly kind: "request"; readonly request: InvokeRequest } | Refusal;

/** Reads a request: pure, so that a table can test it. */
export function readInvokeRequest(given: {
  readonly method: string;
  readonly url: string;
  readonly invocationType: string | undefined;
  readonly body: Buffer;
}): Read {
  const url = new URL(given.url, "http://127.0.0.1");
  const encoded = /^\/2015-03-31\/functions\/(?<name>[^/]+)\/invocations\/?$/.exec(url.pathname)?.groups?.name;
  if (encoded === undefined || given.method !== "POST")
    return refuse(404, "UnknownOperationException", `${given.method} ${url.pathname}: this endpoint has only Invoke`);
  const invocationType = given.invocationType ?? "RequestResponse";
  if (invocationType !== "RequestResponse" && invocationType !== "Event" && invocationType !== "DryRun")
    return refuse(400, "InvalidParameterValueException", `unknown invocation type ${invocationType}`);
  const bytesMax = payloadBytesMax[invocationType];
  if (given.body.byteLength > bytesMax)
    return refuse(
      413,
      "RequestTooLargeException",
      `Request must be smaller than ${bytesMax} bytes for the InvokeFunction operation`,
    );
  const payload = given.body.byteLength === 0 ? "{}" : given.body.toString("utf8");
  const problem = problemOfJson(payload);
  if (problem !== null)
    return refuse(400, "InvalidRequestContentException", `Could not parse request body into json: ${problem}`);
  const qualifier = url.searchParams.get("Qualifier");
  const functionName = decodeURIComponent(encoded);
  return { kind: "request", request: { functionName, qualifier, invocationType, payload } };
}

export function refuse(status: Refusal["status"], errorType: string, message: string): Refusal {
  return { kind: "refused", status, errorType, message };
}

function problemOfJson(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export function writeInvokeAnswer(answer: InvokeAnswer): HttpAnswer {
  switch (answer.kind) {
    case "accepted":
      return { status: 202, headers: { "x-amzn-requestid": answer.requestId }, body: "" };
    case "permitted":
      return { status: 204, headers: {}, body: "" };
    case "executed": {
      const { requestId, executedVersion, functionError, payload } = answer;
      const failed: Record<string, string> = functionError === null ? {} : { "x-amz-function-error": functionError };
      const headers = { "x-amzn-requestid": requestId, "x-amz-executed-version": executedVersion, ...failed };
      return { status: 200, headers, body: payload };
    }
    case "refused": {
      const { status, errorType, message } = answer;
      const body = JSON.stringify({ Type: status < 500 ? "User" : "Service", Message: message, message });
      return { status, headers: { "x-amzn-errortype": errorType }, body };
    }
  }
}

/** Serves Invoke on 127.0.0.1. Port 0 takes a free one. */
export async function serveInvokeApi(options: {
  readonly port: number;
  readonly invoke: (request: InvokeRequest) => Promise<InvokeAnswer>;
}): Promise<Server> {
  const server = createServer((request, response) => void handle(request, response, options.invoke));
  // The connections of a frozen function stay as they are, however long: a thawed one would else write into a closed
  // socket, and its repetition of that request would be a second event.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  return server;
}

export function endpointOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  invoke: (request: InvokeRequest) => Promise<InvokeAnswer>,
): Promise<void> {
  const body = await readBody(request);
  // The caller is gone: a request that did not arrive whole is no request.
  if (body === null) return;
  const { status, headers, body: answer } = writeInvokeAnswer(await answerOf(request, body, invoke));
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(answer);
}

async function answerOf(
  request: IncomingMessage,
  body: Buffer,
  invoke: (request: InvokeRequest) => Promise<InvokeAnswer>,
): Promise<InvokeAnswer> {
  const { method = "", url = "" } = request;
  const type = request.headers["x-amz-invocation-type"];
  try {
    const invocationType = Array.isArray(type) ? type[0] : type;
    const read = readInvokeRequest({ method, url, invocationType, body });
    return read.kind === "request" ? await invoke(read.request) : read;
  } catch (error) {
    return refuse(500, "ServiceException", error instanceof Error ? error.message : String(error));
  }
}

/** Reads to the end in any case, but keeps no more than is allowed, and a byte: null if the caller went away. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const keptMax = payloadBytesMax.RequestResponse + 1;
  const chunks: Buffer[] = [];
  let kept = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (kept < keptMax) chunks.push(chunk);
      kept += chunk.byteLength;
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}
