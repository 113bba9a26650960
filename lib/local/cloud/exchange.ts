import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { crc32 } from "node:zlib";
import { refusal } from "./answers.js";
import { serviceCbor } from "./cbor.js";
import type { Answer, Fields } from "./emulators.js";

/** Larger than any request that a service accepts: 16 MB for BatchWriteItem, and 10 MiB of records as base64. */
const bodyBytesMax = 17 * 1024 * 1024;
const cborType = "application/x-amz-cbor-1.1";

export type Body =
  | { readonly kind: "complete"; readonly bytes: Buffer }
  | { readonly kind: "too large" }
  /** The client went away before its request was complete. */
  | { readonly kind: "aborted" };

/** Reads a body to its end. Never throws: a client that dies in the middle is an outcome. */
export function readBody(request: IncomingMessage): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > bodyBytesMax) resolve({ kind: "too large" });
      else chunks.push(chunk);
    });
    request.on("end", () => resolve({ kind: "complete", bytes: Buffer.concat(chunks) }));
    for (const event of ["aborted", "error", "close"]) request.on(event, () => resolve({ kind: "aborted" }));
  });
}

/** The input in a body; undefined when it is not an object of the declared type. */
export function inputIn(request: IncomingMessage, bytes: Buffer): Fields | undefined {
  try {
    const input: unknown = isCbor(request) ? fromCbor(serviceCbor().decode(bytes)) : JSON.parse(bytes.toString());
    return typeof input === "object" && input !== null && !Array.isArray(input) ? (input as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** What a request must have beside its body; undefined when all is well. Signatures are not verified. */
export function unsigned(request: IncomingMessage): Answer | undefined {
  if (request.headers.authorization !== undefined || request.url?.includes("X-Amz-Algorithm=")) return undefined;
  return refusal("MissingAuthenticationTokenException", "Missing Authentication Token");
}

/** Sends an answer in the encoding of its request; nothing when the client has gone. */
export function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.destroyed || response.writableEnded) return;
  const bytes = encode(request, answer.body);
  response.statusCode = answer.status;
  response.setHeader("content-type", contentType(request));
  response.setHeader("content-length", bytes.length);
  response.setHeader("x-amzn-requestid", randomUUID());
  response.setHeader("x-amz-crc32", crc32(bytes));
  response.end(bytes);
}

const contentType = (request: IncomingMessage): string =>
  request.headers["content-type"]?.split(";")[0]?.trim() ?? "application/x-amz-json-1.1";
const isCbor = (request: IncomingMessage): boolean => contentType(request) === cborType;

function encode(request: IncomingMessage, body: Fields | undefined): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  return isCbor(request) ? serviceCbor().encode(toCbor(body)) : Buffer.from(JSON.stringify(body));
}

// In CBOR (the Java SDK's choice for Kinesis) data are bytes and times are milliseconds; in JSON, and in the store, base64 and seconds.
function fromCbor(value: unknown): unknown {
  return mapped(value, (name, field) => {
    if (field instanceof Uint8Array) return Buffer.from(field).toString("base64");
    if (field instanceof Date) return field.getTime() / 1_000;
    return isTime(name) && typeof field === "number" ? field / 1_000 : fromCbor(field);
  });
}

function toCbor(value: unknown): unknown {
  return mapped(value, (name, field) => {
    if (name === "Data" && typeof field === "string") return Buffer.from(field, "base64");
    return isTime(name) && typeof field === "number" ? Math.round(field * 1_000) : toCbor(field);
  });
}

const isTime = (name: string): boolean => name.endsWith("Timestamp");

function mapped(value: unknown, convert: (name: string, field: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((element) => mapped(element, convert));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, convert(name, field)]));
}
