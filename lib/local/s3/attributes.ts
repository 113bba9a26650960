import type { Attributes } from "./object.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";
import { tagsOfHeader } from "./tags.js";

const metadataPrefix = "x-amz-meta-";
const metadataBytesMax = 2 * 1024;

const storedHeaders = [
  "cache-control",
  "content-disposition",
  "content-language",
  "expires",
  "x-amz-website-redirect-location",
];

/** What a request says of the object it writes. The framing `aws-chunked` is no encoding of the object. */
export function readAttributes(headers: S3Request["headers"]): Attributes {
  const kept: Record<string, string> = { "content-type": headers["content-type"] || "binary/octet-stream" };
  for (const name of storedHeaders) if (headers[name] !== undefined) kept[name] = headers[name];
  const encoding = contentEncoding(headers["content-encoding"]);
  if (encoding !== "") kept["content-encoding"] = encoding;
  const storage = headers["x-amz-storage-class"];
  if (storage !== undefined && storage !== "STANDARD") kept["x-amz-storage-class"] = storage;
  return { headers: { ...kept, ...metadataOf(headers) }, tags: tagsOfHeader(headers["x-amz-tagging"]) };
}

/** The attributes of a copy: those of the source, or those of the request where the directives say so. */
export function copiedAttributes(headers: S3Request["headers"], source: Attributes): Attributes {
  const own = readAttributes(headers);
  return {
    headers: isReplaced(headers, "x-amz-metadata-directive") ? own.headers : source.headers,
    tags: isReplaced(headers, "x-amz-tagging-directive") ? own.tags : source.tags,
  };
}

/** Whether a directive of a copy is REPLACE; without one it is COPY. */
export function isReplaced(headers: S3Request["headers"], directive: string): boolean {
  const value = headers[directive] ?? "COPY";
  if (value !== "COPY" && value !== "REPLACE") {
    throw new S3Error("InvalidArgument", "Unknown directive.", { ArgumentName: directive, ArgumentValue: value });
  }
  return value === "REPLACE";
}

function contentEncoding(header = ""): string {
  const encodings = header.split(",").map((encoding) => encoding.trim());
  return encodings.filter((encoding) => encoding !== "" && encoding !== "aws-chunked").join(",");
}

function metadataOf(headers: S3Request["headers"]): Record<string, string> {
  const metadata: Record<string, string> = {};
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(metadataPrefix)) continue;
    metadata[name] = value;
    bytes += name.length - metadataPrefix.length + value.length;
  }
  if (bytes > metadataBytesMax) {
    throw new S3Error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", {
      Size: String(bytes),
      MaxSizeAllowed: String(metadataBytesMax),
    });
  }
  return metadata;
}
