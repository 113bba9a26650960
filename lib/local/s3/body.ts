import { decodeAwsChunked } from "./aws-chunked.js";
import type { ChecksumAlgorithm, StoredChecksum } from "./checksums.js";
import type { Contents } from "./contents.js";
import { Digests, type DigestsWanted, type FinishedDigests } from "./digests.js";
import { checkLength, isBodySigned, requestedAlgorithm, verifyBody } from "./expectations.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";

/** DeleteObjects of 1,000 keys of 1,024 bytes, all of them escaped, stays below. */
const documentBytesMax = 8 * 1024 ** 2;

/** A body that is on the disk, and not in the bucket until it is committed. */
export interface Received {
  readonly content: string;
  readonly size: number;
  /** Its MD5 in hex. */
  readonly etag: string;
  readonly checksum: StoredChecksum | null;
}

/**
 * Writes the body of a request to a new content file and checks it against all that the request says of it: length, Content-MD5, SHA-256,
 * checksum in a header or a trailer. Where that fails nothing is left. `fallback` is computed where the request names no checksum.
 */
export function receiveBody(
  request: S3Request,
  contents: Contents,
  fallback: ChecksumAlgorithm | null,
): Promise<Received> {
  const { headers } = request;
  checkLength(headers);
  const trailers = new Map<string, string>();
  const checksum = requestedAlgorithm(headers) ?? fallback;
  return store(unframed(request, trailers), contents, { checksum, signed: isBodySigned(headers) }, (found) =>
    verifyBody(headers, trailers, checksum, found),
  );
}

/** Writes bytes that are ours (a copy, the parts of an upload) to a new content file. */
export function receiveCopy(
  source: AsyncIterable<Buffer>,
  contents: Contents,
  checksum: ChecksumAlgorithm | null,
): Promise<Received> {
  return store(source, contents, { checksum, signed: false }, () => undefined);
}

/** Commits what was received; where that is refused, its file goes. */
export function keepOrDiscard(received: Received, contents: Contents, commit: () => void): void {
  try {
    commit();
  } catch (error) {
    contents.remove([received.content]);
    throw error;
  }
}

/**
 * A small body in memory, such as an XML document; checked in the same way. The checksum header of CompleteMultipartUpload is about the
 * `object`, not about the document.
 */
export async function readDocument(request: S3Request, summed: "document" | "object" = "document"): Promise<string> {
  const { headers } = request;
  const trailers = new Map<string, string>();
  const checksum = summed === "document" ? requestedAlgorithm(headers) : null;
  const digests = new Digests({ checksum, signed: isBodySigned(headers) });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of digests.through(unframed(request, trailers))) {
    size += chunk.length;
    if (size > documentBytesMax) throw new S3Error("EntityTooLarge", "The XML document is too large");
    chunks.push(chunk);
  }
  verifyBody(headers, trailers, checksum, digests.finish());
  return Buffer.concat(chunks).toString("utf8");
}

async function store(
  source: AsyncIterable<Buffer>,
  contents: Contents,
  wanted: DigestsWanted,
  check: (found: FinishedDigests) => void,
): Promise<Received> {
  const digests = new Digests(wanted);
  const { name, size } = await contents.write(digests.through(source));
  const found = digests.finish();
  const received = { content: name, size, etag: found.md5.toString("hex"), checksum: storedChecksum(wanted, found) };
  keepOrDiscard(received, contents, () => check(found));
  return received;
}

function storedChecksum(wanted: DigestsWanted, found: FinishedDigests): StoredChecksum | null {
  if (!wanted.checksum || !found.checksum) return null;
  return { algorithm: wanted.checksum, value: found.checksum.toString("base64"), type: "FULL_OBJECT" };
}

function unframed(request: S3Request, trailers: Map<string, string>): AsyncIterable<Buffer> {
  const framed = request.headers["x-amz-content-sha256"]?.startsWith("STREAMING-") ?? false;
  return framed ? decodeAwsChunked(request.body, trailers) : request.body;
}
