import { randomBytes } from "node:crypto";
import { type IncomingMessage, validateHeaderName, validateHeaderValue } from "node:http";
import { invalidArgument, S3Error } from "./s3-error.js";

/** A request as the operations see it. */
export interface S3Request {
  readonly method: string;
  /** "" for the service itself. */
  readonly bucket: string;
  /** "" for the bucket itself. Any UTF-8: `..`, `//` and slashes at the ends mean nothing here. */
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  /** Names in lower case. Those that a presigned URL carries in its query are among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** The path as it came. */
  readonly resource: string;
  readonly host: string;
  readonly id: string;
  readonly body: AsyncIterable<Buffer>;
}

export function newRequestId(): string {
  return randomBytes(8).toString("hex").toUpperCase();
}

/** Throws InvalidURI where the path is not percent-encoded UTF-8. */
export function readRequest(message: IncomingMessage, id: string): S3Request {
  const target = (message.url ?? "/").replace(/^https?:\/\/[^/]*/i, "") || "/";
  const cut = target.indexOf("?");
  const resource = cut < 0 ? target : target.slice(0, cut);
  const query = readQuery(cut < 0 ? "" : target.slice(cut + 1));
  const headers = readHeaders(message, query);
  const host = headers.host ?? headers[":authority"] ?? "localhost";
  return {
    method: message.method ?? "GET",
    ...locate(resource, host),
    query,
    headers,
    resource,
    host,
    id,
    body: message.iterator({ destroyOnReturn: false }),
  };
}

function readQuery(text: string): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(text));
}

// The JavaScript SDK presigns a PutObject with the checksum of an empty body in the query. S3 does not heed a checksum there.
const unheeded = /^x-amz-(?:checksum-.*|sdk-checksum-algorithm|content-sha256|trailer|decoded-content-length)$/;

function readHeaders(message: IncomingMessage, query: ReadonlyMap<string, string>): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    const lower = name.toLowerCase();
    if (lower.startsWith("x-amz-") && !unheeded.test(lower)) headers[lower] = checkHeader(lower, value);
  }
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

/** The value of a header that comes in a query: refused where HTTP could not carry it back. */
export function checkHeader(name: string, value: string): string {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return value;
  } catch {
    throw invalidArgument(name, value, "Header name or value contains invalid characters");
  }
}

/** Path style; or virtual-host style for `bucket.localhost` and `bucket.s3.…`. */
function locate(resource: string, host: string): { readonly bucket: string; readonly key: string } {
  const named = /^(.{3,}?)\.(?:localhost|s3[.-].*)(?::\d+)?$/.exec(host)?.[1];
  const path = resource.replace(/^\//, "");
  if (named !== undefined) return { bucket: named, key: decodePath(path) };
  const slash = path.indexOf("/");
  if (slash < 0) return { bucket: decodePath(path), key: "" };
  return { bucket: decodePath(path.slice(0, slash)), key: decodePath(path.slice(slash + 1)) };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new S3Error("InvalidURI", "Couldn't parse the specified URI.", { URI: path });
  }
}
