import { type Answer, xmlAnswer } from "./answer.js";
import { copiedAttributes, isReplaced } from "./attributes.js";
import { keepOrDiscard, receiveCopy } from "./body.js";
import { checksumAlgorithm, checksumElement, type StoredChecksum } from "./checksums.js";
import { checkWrite } from "./conditions.js";
import { type CopySource, findCopySource, openCopySource } from "./copy-source.js";
import { quoted } from "./object.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";
import type { Store } from "./store.js";
import { nowInSeconds } from "./write-object.js";
import { leaf, xmlDocument } from "./xml.js";

/** Copies the body, too: the ETag of a copy is the MD5 of its bytes, also where the source was uploaded in parts. */
export async function copyObject(store: Store, request: S3Request): Promise<Answer> {
  const { headers, key } = request;
  const bucket = store.bucket(request.bucket);
  const source = findCopySource(store, request);
  refuseIdleCopy(request, source);
  const attributes = copiedAttributes(headers, source.object);
  const algorithm = checksumAlgorithm(headers["x-amz-checksum-algorithm"]) ?? source.object.checksum?.algorithm ?? null;
  const bytes = openCopySource(store, source, { start: 0, length: source.object.size });
  const received = await receiveCopy(bytes, bucket.contents, algorithm);
  const modifiedMs = nowInSeconds();
  keepOrDiscard(received, bucket.contents, () => {
    checkWrite(headers, key, bucket.object(key));
    bucket.commit({ kind: "put", key, object: { ...attributes, ...received, modifiedMs, partSizes: [] } });
  });
  return xmlAnswer(copyResult("CopyObjectResult", { ...received, modifiedMs }));
}

export function copyResult(
  name: "CopyObjectResult" | "CopyPartResult",
  copy: { readonly etag: string; readonly modifiedMs: number; readonly checksum: StoredChecksum | null },
): string {
  const checksum = copy.checksum ? [leaf(checksumElement(copy.checksum.algorithm), copy.checksum.value)] : [];
  const modified = leaf("LastModified", new Date(copy.modifiedMs).toISOString());
  return xmlDocument(name, modified, leaf("ETag", quoted(copy.etag)), ...checksum);
}

function refuseIdleCopy(request: S3Request, source: CopySource): void {
  const { headers } = request;
  const isSame = source.bucket === request.bucket && source.key === request.key;
  const changes =
    isReplaced(headers, "x-amz-metadata-directive") ||
    isReplaced(headers, "x-amz-tagging-directive") ||
    headers["x-amz-storage-class"] !== undefined ||
    headers["x-amz-checksum-algorithm"] !== undefined;
  if (isSame && !changes) {
    throw new S3Error(
      "InvalidRequest",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
}
