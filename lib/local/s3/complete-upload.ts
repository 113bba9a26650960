import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { type Answer, xmlAnswer } from "./answer.js";
import { keepOrDiscard, type Received, readDocument, receiveCopy } from "./body.js";
import type { Bucket } from "./bucket.js";
import { checksumElement, checksumHeader, type StoredChecksum, startChecksum } from "./checksums.js";
import { checkWrite } from "./conditions.js";
import { type OpenUpload, type Part, quoted, type StoredObject } from "./object.js";
import { wholeNumber } from "./parameters.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";
import type { Store } from "./store.js";
import { nowInSeconds } from "./write-object.js";
import { childOf, childrenOf, leaf, malformed, parseXml, textOf, xmlDocument } from "./xml.js";

const partBytesMin = 5 * 1024 * 1024;

interface NamedPart {
  readonly number: number;
  readonly etag: string;
  /** The checksum named for it, or null where none is. */
  readonly checksum: string | null;
}

export async function completeMultipartUpload(store: Store, request: S3Request): Promise<Answer> {
  const bucket = store.bucket(request.bucket);
  const { key, headers } = request;
  const id = request.query.get("uploadId") ?? "";
  const document = await readDocument(request, "object");
  const open = bucket.upload(id, key);
  const parts = chooseParts(open, namedParts(open, document));
  const { checksum: kind } = open.upload;
  const whole = kind?.type === "FULL_OBJECT" ? kind.algorithm : null;
  const received = await concatenate(bucket, open, () => receiveCopy(bytesOf(bucket, parts), bucket.contents, whole));
  const object = assemble(open, parts, received);
  keepOrDiscard(received, bucket.contents, () => {
    checkWhole(headers, object);
    bucket.upload(id, key);
    checkWrite(headers, key, bucket.object(key));
    bucket.commit({ kind: "completed", upload: id, object });
  });
  return xmlAnswer(completed(request, object));
}

function namedParts(open: OpenUpload, document: string): readonly NamedPart[] {
  const algorithm = open.upload.checksum?.algorithm;
  const parts = childrenOf(parseXml(document, "CompleteMultipartUpload"), "Part").map((part) => ({
    number: wholeNumber("PartNumber", textOf(part, "PartNumber").trim()),
    etag: textOf(part, "ETag")
      .trim()
      .replace(/^"(.*)"$/, "$1"),
    checksum: algorithm ? (childOf(part, checksumElement(algorithm))?.text.trim() ?? null) : null,
  }));
  if (parts.length === 0) throw malformed();
  return parts;
}

/** The parts that were named, if they are in ascending order, there, and large enough. */
function chooseParts(open: OpenUpload, named: readonly NamedPart[]): readonly Part[] {
  if (named.some(({ number }, index) => number <= (named[index - 1]?.number ?? 0))) {
    throw new S3Error(
      "InvalidPartOrder",
      "The list of parts was not in ascending order. Parts must be ordered by part number.",
    );
  }
  const parts = named.map((name) => findPart(open, name));
  const small = parts.slice(0, -1).findIndex((part) => part.size < partBytesMin);
  if (small < 0) return parts;
  throw new S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", {
    ProposedSize: String(parts[small]?.size),
    MinSizeAllowed: String(partBytesMin),
    PartNumber: String(named[small]?.number),
  });
}

function findPart(open: OpenUpload, { number, etag, checksum }: NamedPart): Part {
  const part = open.parts.get(number);
  const matches = part?.etag === etag && (checksum === null || part.checksum?.value === checksum);
  if (!part || !matches) throw invalidPart(number, etag);
  return part;
}

function invalidPart(number: number, etag: string): S3Error {
  return new S3Error(
    "InvalidPart",
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
    { PartNumber: String(number), ETag: etag },
  );
}

async function* bytesOf(bucket: Bucket, parts: readonly Part[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    const body = bucket.contents.read(part.content, { start: 0, length: part.size });
    if (body instanceof Readable) yield* body;
    else yield body;
  }
}

/** A part's file is gone where the upload ended, or the part was uploaded again, in the meantime. */
async function concatenate(bucket: Bucket, open: OpenUpload, write: () => Promise<Received>): Promise<Received> {
  try {
    return await write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    bucket.upload(open.upload.id, open.upload.key);
    throw invalidPart(0, "");
  }
}

function assemble(open: OpenUpload, parts: readonly Part[], received: Received): StoredObject {
  const { headers, tags, checksum: kind } = open.upload;
  const md5 = createHash("md5");
  for (const part of parts) md5.update(part.etag, "hex");
  return {
    headers,
    tags,
    content: received.content,
    size: received.size,
    etag: `${md5.digest("hex")}-${parts.length}`,
    modifiedMs: nowInSeconds(),
    checksum: kind?.type === "COMPOSITE" ? compositeChecksum(kind.algorithm, parts) : received.checksum,
    partSizes: parts.map((part) => part.size),
  };
}

/** The checksum of the parts' checksums, with their number behind it. */
function compositeChecksum(algorithm: StoredChecksum["algorithm"], parts: readonly Part[]): StoredChecksum {
  const running = startChecksum(algorithm);
  for (const part of parts) running.update(Buffer.from(part.checksum?.value ?? "", "base64"));
  return { algorithm, value: `${running.finish().toString("base64")}-${parts.length}`, type: "COMPOSITE" };
}

/** Holds the checksum of the whole object, where the request names one, against ours. */
function checkWhole(headers: S3Request["headers"], { checksum }: StoredObject): void {
  if (!checksum) return;
  const given = headers[checksumHeader(checksum.algorithm)];
  if (given === undefined || given === checksum.value || `${given}-` === checksum.value.replace(/\d+$/, "")) return;
  throw new S3Error(
    "BadDigest",
    `The ${checksum.algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
  );
}

function completed(request: S3Request, { etag, checksum }: StoredObject): string {
  const sums = checksum
    ? [leaf(checksumElement(checksum.algorithm), checksum.value), leaf("ChecksumType", checksum.type)]
    : [];
  return xmlDocument(
    "CompleteMultipartUploadResult",
    leaf("Location", `http://${request.host}${request.resource}`),
    leaf("Bucket", request.bucket),
    leaf("Key", request.key),
    leaf("ETag", quoted(etag)),
    ...sums,
  );
}
