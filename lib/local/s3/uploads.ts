import { randomUUID } from "node:crypto";
import { type Answer, emptyAnswer, xmlAnswer } from "./answer.js";
import { readAttributes } from "./attributes.js";
import { checksumAlgorithm, type StoredChecksum } from "./checksums.js";
import type { Upload } from "./object.js";
import type { S3Request } from "./request.js";
import { invalidArgument, S3Error } from "./s3-error.js";
import type { Store } from "./store.js";
import { nowInSeconds } from "./write-object.js";
import { leaf, xmlDocument } from "./xml.js";

export function createMultipartUpload(store: Store, request: S3Request): Answer {
  const { key, headers } = request;
  const id = randomUUID().replaceAll("-", "");
  const checksum = checksumKind(headers);
  const upload: Upload = { ...readAttributes(headers), id, key, initiatedMs: nowInSeconds(), checksum };
  store.bucket(request.bucket).commit({ kind: "began", upload });
  const told: Record<string, string> = checksum
    ? { "x-amz-checksum-algorithm": checksum.algorithm.toUpperCase(), "x-amz-checksum-type": checksum.type }
    : {};
  return xmlAnswer(
    xmlDocument(
      "InitiateMultipartUploadResult",
      leaf("Bucket", request.bucket),
      leaf("Key", key),
      leaf("UploadId", id),
    ),
    told,
  );
}

export function abortMultipartUpload(store: Store, request: S3Request): Answer {
  const bucket = store.bucket(request.bucket);
  const { upload } = bucket.upload(request.query.get("uploadId") ?? "", request.key);
  bucket.commit({ kind: "aborted", upload: upload.id });
  return emptyAnswer(204);
}

/** The checksum that an upload will have. The SHA family only as a checksum of the parts' checksums; CRC-64/NVME only of the whole. */
function checksumKind(headers: S3Request["headers"]): Omit<StoredChecksum, "value"> | null {
  const name = headers["x-amz-checksum-algorithm"];
  if (name === undefined) return null;
  const algorithm = checksumAlgorithm(name);
  if (!algorithm) {
    throw invalidArgument("x-amz-checksum-algorithm", name, "Checksum algorithm provided is unsupported.");
  }
  const natural = algorithm === "crc64nvme" ? "FULL_OBJECT" : "COMPOSITE";
  const type = headers["x-amz-checksum-type"]?.toUpperCase() ?? natural;
  const isKnown = type === "FULL_OBJECT" || type === "COMPOSITE";
  if (
    !isKnown ||
    (algorithm.startsWith("sha") && type !== "COMPOSITE") ||
    (algorithm === "crc64nvme" && type !== natural)
  ) {
    throw new S3Error(
      "InvalidRequest",
      `The ${type} checksum type cannot be used with the ${name} checksum algorithm.`,
    );
  }
  return { algorithm, type };
}
