import { Readable } from "node:stream";
import { checkCopySource } from "./conditions.js";
import type { Span } from "./contents.js";
import type { StoredObject } from "./object.js";
import type { S3Request } from "./request.js";
import { invalidArgument, noSuchKey } from "./s3-error.js";
import type { Store } from "./store.js";

export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly object: StoredObject;
}

/** Reads `x-amz-copy-source`: `bucket/key`, with or without a leading slash, percent-encoded wholly (`bucket%2Fkey`), in part or not at all. */
export function parseCopySource(header: string): { readonly bucket: string; readonly key: string } {
  const path = decoded(header.replace(/\?versionId=.*$/, "")).replace(/^\//, "");
  const slash = path.indexOf("/");
  if (slash < 1 || slash === path.length - 1) {
    throw invalidArgument(
      "x-amz-copy-source",
      header,
      "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
    );
  }
  return { bucket: path.slice(0, slash), key: path.slice(slash + 1) };
}

// Node reads header bytes as Latin-1: a key that was sent as plain UTF-8 is put together again.
function decoded(header: string): string {
  const text = Buffer.from(header, "latin1").toString("utf8");
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The source of a copy, if it exists and its conditions hold. */
export function findCopySource(store: Store, request: S3Request): CopySource {
  const { bucket, key } = parseCopySource(request.headers["x-amz-copy-source"] ?? "");
  const object = store.bucket(bucket).object(key);
  if (!object) throw noSuchKey(key);
  checkCopySource(request.headers, object);
  return { bucket, key, object };
}

/** Opens the bytes of a source: they stay readable even when the source is deleted meanwhile. */
export function openCopySource(store: Store, source: CopySource, span: Span): AsyncIterable<Buffer> {
  const body = store.bucket(source.bucket).contents.read(source.object.content, span);
  return body instanceof Readable ? body : Readable.from([body]);
}
