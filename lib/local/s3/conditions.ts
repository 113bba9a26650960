import { quoted, type StoredObject } from "./object.js";
import { noSuchKey, preconditionFailed, S3Error } from "./s3-error.js";

type Headers = Readonly<Record<string, string>>;
type Current = Pick<StoredObject, "etag" | "modifiedMs">;

/** Whether a header such as `"abc", W/"def"` or `*` names this etag. */
function names(header: string, etag: string): boolean {
  return header.split(",").some((entry) => {
    const value = entry
      .trim()
      .replace(/^W\//, "")
      .replace(/^"(.*)"$/, "$1");
    return value === "*" || value === etag;
  });
}

/** A date of a header in milliseconds; null where it is missing or no date, which means that it is not heeded. */
function dateOf(header: string | undefined): number | null {
  const ms = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(ms) ? null : ms;
}

/**
 * The conditions of PutObject, CompleteMultipartUpload and of the target of CopyObject: If-Match with an ETag (404 where there is no object)
 * and If-None-Match with `*`. To be called in the turn of the event loop that commits.
 * Source: "Conditional writes" of the S3 user guide.
 */
export function checkWrite(headers: Headers, key: string, current: Current | null): void {
  const none = headers["if-none-match"];
  const match = headers["if-match"];
  if (none !== undefined && none.trim() !== "*") {
    throw new S3Error("NotImplemented", "A header you provided implies functionality that is not implemented", {
      Header: "If-None-Match",
      additionalMessage: "Only * is supported for If-None-Match on a write",
    });
  }
  if (none !== undefined && current) throw preconditionFailed("If-None-Match");
  if (match === undefined) return;
  if (!current) throw noSuchKey(key);
  if (!names(match, current.etag)) throw preconditionFailed("If-Match");
}

/** The condition of a deletion: If-Match with an ETag, or with `*` for "there is an object". */
export function isDeletable(match: string | undefined, current: Current | null): boolean {
  return match === undefined || (current !== null && names(match, current.etag));
}

/** The conditions of GET and HEAD: throws PreconditionFailed or NotModified. Source: RFC 9110, 13.2.2. */
export function checkRead(headers: Headers, object: Current): void {
  const match = headers["if-match"];
  const none = headers["if-none-match"];
  const unmodifiedSince = match === undefined ? dateOf(headers["if-unmodified-since"]) : null;
  const modifiedSince = none === undefined ? dateOf(headers["if-modified-since"]) : null;
  if (match !== undefined && !names(match, object.etag)) throw preconditionFailed("If-Match");
  if (unmodifiedSince !== null && object.modifiedMs > unmodifiedSince) throw preconditionFailed("If-Unmodified-Since");
  const unchanged =
    none === undefined ? modifiedSince !== null && object.modifiedMs <= modifiedSince : names(none, object.etag);
  if (!unchanged) return;
  throw new S3Error(
    "NotModified",
    "Not Modified",
    {},
    {
      etag: quoted(object.etag),
      "last-modified": new Date(object.modifiedMs).toUTCString(),
    },
  );
}

/** The conditions on the source of a copy: the same with other names, and 412 for each that does not hold. */
export function checkCopySource(headers: Headers, object: Current): void {
  const prefix = "x-amz-copy-source-";
  const renamed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(`${prefix}if-`)) renamed[name.slice(prefix.length)] = value;
  }
  try {
    checkRead(renamed, object);
  } catch (error) {
    if (error instanceof S3Error && error.code === "NotModified") throw preconditionFailed(`${prefix}if-none-match`);
    throw error;
  }
}
