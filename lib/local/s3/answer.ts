import type { ServerResponse } from "node:http";
import { pipeline, Readable } from "node:stream";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";
import { element, leaf } from "./xml.js";

/** What an operation answers. A `Readable` needs `content-length` among its headers. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | Readable | null;
}

export function emptyAnswer(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: null };
}

export function xmlAnswer(document: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status: 200,
    headers: { ...headers, "content-type": "application/xml" },
    body: Buffer.from(document, "utf8"),
  };
}

/** The answer to a failure. What is no {@link S3Error} is a fault of this server. */
export function errorAnswer(error: unknown, place: { readonly resource: string; readonly id: string }): Answer {
  const known =
    error instanceof S3Error
      ? error
      : new S3Error("InternalError", error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  if (known.status === 304) return emptyAnswer(304, known.headers);
  const details = Object.entries(known.details).map(([name, text]) => leaf(name, text));
  const body = element(
    "Error",
    leaf("Code", known.code),
    leaf("Message", known.message),
    ...details,
    leaf("Resource", place.resource),
    leaf("RequestId", place.id),
  );
  return {
    status: known.status,
    headers: { ...known.headers, "content-type": "application/xml" },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`, "utf8"),
  };
}

/** Sends an answer. A reader that goes away closes the file that is being read. */
export function sendAnswer(response: ServerResponse, request: Pick<S3Request, "method" | "id">, answer: Answer): void {
  const { body, status } = answer;
  const headers: Record<string, string> = {
    "x-amz-request-id": request.id,
    "x-amz-id-2": request.id,
    ...answer.headers,
  };
  if (status !== 204 && status !== 304) headers["content-length"] ??= String(body instanceof Buffer ? body.length : 0);
  response.writeHead(status, headers);
  if (body instanceof Readable) pipeline(body, response, () => undefined);
  else if (body === null || request.method === "HEAD") response.end();
  else response.end(body);
}
