import type { Readable } from "node:stream";
import { type Answer, emptyAnswer } from "./answer.js";
import { checksumHeader, type StoredChecksum } from "./checksums.js";
import { checkRead } from "./conditions.js";
import type { Span } from "./contents.js";
import { quoted, type StoredObject } from "./object.js";
import { contentRange, parseRange } from "./ranges.js";
import { checkHeader, type S3Request } from "./request.js";
import { noSuchKey, S3Error } from "./s3-error.js";
import type { Store } from "./store.js";

/** Query parameters of GetObject that replace headers of the answer. */
const overrides = [
  "content-type",
  "content-language",
  "expires",
  "cache-control",
  "content-disposition",
  "content-encoding",
];

export function getObject(store: Store, request: S3Request): Answer {
  const { object, span, answer } = describe(store, request);
  const body: Buffer | Readable = store.bucket(request.bucket).contents.read(object.content, span);
  return { ...answer, body };
}

export function headObject(store: Store, request: S3Request): Answer {
  return describe(store, request).answer;
}

interface Described {
  readonly object: StoredObject;
  readonly span: Span;
  readonly answer: Answer;
}

function describe(store: Store, request: S3Request): Described {
  const object = store.bucket(request.bucket).object(request.key);
  if (!object) throw noSuchKey(request.key);
  checkRead(request.headers, object);
  const partial = request.query.has("partNumber")
    ? spanOfPart(object, Number(request.query.get("partNumber")))
    : parseRange(request.headers.range, object.size);
  const span = partial ?? { start: 0, length: object.size };
  const headers = {
    ...describedHeaders(object),
    ...(partial ? { "content-range": contentRange(span, object.size) } : checksumHeaders(request, object.checksum)),
    ...(request.query.has("partNumber") ? { "x-amz-mp-parts-count": String(object.partSizes.length || 1) } : {}),
    ...overridden(request),
    "content-length": String(span.length),
  };
  return { object, span, answer: emptyAnswer(partial ? 206 : 200, headers) };
}

function describedHeaders(object: StoredObject): Record<string, string> {
  const headers: Record<string, string> = {
    ...object.headers,
    "accept-ranges": "bytes",
    etag: quoted(object.etag),
    "last-modified": new Date(object.modifiedMs).toUTCString(),
  };
  if (object.tags.length > 0) headers["x-amz-tagging-count"] = String(object.tags.length);
  return headers;
}

/** The checksum of an object or a part, as headers of the answer to a write. */
export function checksumAsHeaders(checksum: StoredChecksum | null): Record<string, string> {
  if (!checksum) return {};
  return { [checksumHeader(checksum.algorithm)]: checksum.value, "x-amz-checksum-type": checksum.type };
}

function checksumHeaders(request: S3Request, checksum: StoredChecksum | null): Record<string, string> {
  return request.headers["x-amz-checksum-mode"]?.toUpperCase() === "ENABLED" ? checksumAsHeaders(checksum) : {};
}

function overridden(request: S3Request): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of overrides) {
    const value = request.query.get(`response-${name}`);
    if (value !== undefined) headers[name] = checkHeader(name, value);
  }
  return headers;
}

/** The span of a part; null for part 1 of an object that has no parts and no bytes. */
function spanOfPart(object: StoredObject, number: number): Span | null {
  const sizes = object.partSizes.length > 0 ? object.partSizes : [object.size];
  const length = sizes[number - 1];
  if (length === undefined) {
    throw new S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable", {
      PartNumberRequested: String(number),
      ActualPartCount: String(sizes.length),
    });
  }
  const start = sizes.slice(0, number - 1).reduce((sum, size) => sum + size, 0);
  return length === 0 ? null : { start, length };
}
