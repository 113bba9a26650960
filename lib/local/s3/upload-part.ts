import { type Answer, emptyAnswer, xmlAnswer } from "./answer.js";
import { keepOrDiscard, type Received, receiveBody, receiveCopy } from "./body.js";
import type { Span } from "./contents.js";
import { copyResult } from "./copy-object.js";
import { type CopySource, findCopySource, openCopySource } from "./copy-source.js";
import { type Part, quoted } from "./object.js";
import { wholeNumber } from "./parameters.js";
import { parseRange } from "./ranges.js";
import { checksumAsHeaders } from "./read-object.js";
import type { S3Request } from "./request.js";
import { invalidArgument } from "./s3-error.js";
import type { Store } from "./store.js";
import { nowInSeconds } from "./write-object.js";

const partNumberMax = 10_000;

export async function uploadPart(store: Store, request: S3Request): Promise<Answer> {
  const bucket = store.bucket(request.bucket);
  const number = partNumber(request);
  const { upload } = bucket.upload(request.query.get("uploadId") ?? "", request.key);
  const received = await receiveBody(request, bucket.contents, upload.checksum?.algorithm ?? null);
  const part = keepPart(store, request, number, received);
  return emptyAnswer(200, { etag: quoted(part.etag), ...checksumAsHeaders(part.checksum) });
}

export async function uploadPartCopy(store: Store, request: S3Request): Promise<Answer> {
  const bucket = store.bucket(request.bucket);
  const number = partNumber(request);
  const { upload } = bucket.upload(request.query.get("uploadId") ?? "", request.key);
  const source = findCopySource(store, request);
  const bytes = openCopySource(store, source, sourceSpan(request, source));
  const received = await receiveCopy(bytes, bucket.contents, upload.checksum?.algorithm ?? null);
  return xmlAnswer(copyResult("CopyPartResult", keepPart(store, request, number, received)));
}

function keepPart(store: Store, request: S3Request, number: number, received: Received): Part {
  const bucket = store.bucket(request.bucket);
  const part: Part = { ...received, modifiedMs: nowInSeconds() };
  keepOrDiscard(received, bucket.contents, () => {
    // It may have been aborted or completed while the body came in.
    const { upload } = bucket.upload(request.query.get("uploadId") ?? "", request.key);
    bucket.commit({ kind: "part", upload: upload.id, number, part });
  });
  return part;
}

function partNumber(request: S3Request): number {
  const text = request.query.get("partNumber") ?? "";
  const number = wholeNumber("partNumber", text);
  if (number < 1 || number > partNumberMax) {
    throw invalidArgument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive");
  }
  return number;
}

/** The range of a part copy must be `bytes=first-last` and lie within the source. */
function sourceSpan(request: S3Request, { object }: CopySource): Span {
  const header = request.headers["x-amz-copy-source-range"];
  if (header === undefined) return { start: 0, length: object.size };
  const last = /^bytes=\d+-(\d+)$/.exec(header)?.[1];
  const span = last === undefined ? null : parseRange(header, object.size);
  if (!span || Number(last) >= object.size) {
    throw invalidArgument(
      "x-amz-copy-source-range",
      header,
      `Range specified is not valid for source object of size: ${object.size}`,
    );
  }
  return span;
}
