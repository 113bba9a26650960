import type { Answer } from "./answer.js";
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from "./buckets.js";
import { completeMultipartUpload } from "./complete-upload.js";
import { copyObject } from "./copy-object.js";
import { deleteObjects } from "./delete-objects.js";
import { deleteBucketLifecycle, getBucketLifecycle, putBucketLifecycle } from "./lifecycle.js";
import { listObjectsV1, listObjectsV2 } from "./list-objects.js";
import { listMultipartUploads, listParts } from "./list-uploads.js";
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from "./object-tagging.js";
import { getObject, headObject } from "./read-object.js";
import type { S3Request } from "./request.js";
import { S3Error } from "./s3-error.js";
import type { Store } from "./store.js";
import { uploadPart, uploadPartCopy } from "./upload-part.js";
import { abortMultipartUpload, createMultipartUpload } from "./uploads.js";
import { deleteObject, putObject } from "./write-object.js";

export type Operation = (store: Store, request: S3Request) => Answer | Promise<Answer>;

const keyBytesMax = 1024;

const onService: Readonly<Record<string, Operation>> = { GET: listBuckets };

const onBucket: Readonly<Record<string, Operation>> = {
  PUT: createBucket,
  HEAD: headBucket,
  DELETE: deleteBucket,
  GET: listObjectsV1,
  "GET list-type": listObjectsV2,
  "GET location": getBucketLocation,
  "GET versioning": getBucketVersioning,
  "GET uploads": listMultipartUploads,
  "GET lifecycle": getBucketLifecycle,
  "PUT lifecycle": putBucketLifecycle,
  "DELETE lifecycle": deleteBucketLifecycle,
  "POST delete": deleteObjects,
};

const onObject: Readonly<Record<string, Operation>> = {
  GET: getObject,
  HEAD: headObject,
  PUT: putObject,
  "PUT copy": copyObject,
  DELETE: deleteObject,
  "GET tagging": getObjectTagging,
  "PUT tagging": putObjectTagging,
  "DELETE tagging": deleteObjectTagging,
  "POST uploads": createMultipartUpload,
  "PUT uploadId": uploadPart,
  "PUT uploadId copy": uploadPartCopy,
  "POST uploadId": completeMultipartUpload,
  "DELETE uploadId": abortMultipartUpload,
  "GET uploadId": listParts,
};

/** Query parameters that choose the operation. */
const selectors = ["list-type", "location", "versioning", "lifecycle", "uploads", "delete", "tagging", "uploadId"];

/** Query parameters that may be empty and choose nothing. Any other empty one names a sub-resource that is not there (`?acl`, `?policy`). */
const neutral =
  /^(?:prefix|delimiter|marker|start-after|encoding-type|versionId|x-id|partNumber|.*-marker|max-.*|response-.*|x-amz-.*)$/i;

/** The operation that a request asks for. Throws NotImplemented, MethodNotAllowed or KeyTooLongError. */
export function chooseOperation(request: S3Request): Operation {
  const { query, key, method } = request;
  for (const [name, value] of query) {
    if (value === "" && !selectors.includes(name) && !neutral.test(name)) throw notImplemented(name);
  }
  if (Buffer.byteLength(key, "utf8") > keyBytesMax) {
    throw new S3Error("KeyTooLongError", "Your key is too long", {
      Size: String(Buffer.byteLength(key, "utf8")),
      MaxSizeAllowed: String(keyBytesMax),
    });
  }
  const chosen = selectors.filter((name) => query.has(name));
  const copy = method === "PUT" && request.headers["x-amz-copy-source"] !== undefined ? ["copy"] : [];
  const operation = tableFor(request)[[method, ...chosen, ...copy].join(" ")];
  if (operation) return operation;
  if (chosen[0] !== undefined) throw notImplemented(chosen.join("&"));
  throw new S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.", {
    Method: method,
  });
}

function tableFor(request: S3Request): Readonly<Record<string, Operation>> {
  if (request.bucket === "") return onService;
  return request.key === "" ? onBucket : onObject;
}

function notImplemented(feature: string): S3Error {
  return new S3Error("NotImplemented", `This server does not implement the sub-resource "${feature}".`);
}
