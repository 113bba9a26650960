import { type Answer, emptyAnswer, xmlAnswer } from "./answer.js";
import { readDocument } from "./body.js";
import { owner } from "./list-objects.js";
import type { S3Request } from "./request.js";
import type { Store } from "./store.js";
import { childOf, element, leaf, parseXml, xmlDocument } from "./xml.js";

const defaultRegion = "us-east-1";

export async function createBucket(store: Store, request: S3Request): Promise<Answer> {
  const document = await readDocument(request);
  const constraint =
    document.trim() === "" ? null : childOf(parseXml(document, "CreateBucketConfiguration"), "LocationConstraint");
  store.create(request.bucket, constraint?.text || defaultRegion);
  return emptyAnswer(200, { location: `/${request.bucket}` });
}

export function deleteBucket(store: Store, request: S3Request): Answer {
  store.remove(request.bucket);
  return emptyAnswer(204);
}

export function headBucket(store: Store, request: S3Request): Answer {
  return emptyAnswer(200, { "x-amz-bucket-region": store.bucket(request.bucket).info.region });
}

export function getBucketLocation(store: Store, request: S3Request): Answer {
  const { region } = store.bucket(request.bucket).info;
  return xmlAnswer(xmlDocument("LocationConstraint", region === defaultRegion ? "" : region));
}

/** Versions are not kept: a bucket answers as one that never had versioning turned on. */
export function getBucketVersioning(store: Store, request: S3Request): Answer {
  store.bucket(request.bucket);
  return xmlAnswer(xmlDocument("VersioningConfiguration"));
}

export function listBuckets(store: Store, request: S3Request): Answer {
  const prefix = request.query.get("prefix") ?? "";
  const buckets = store.buckets().filter((bucket) => bucket.info.name.startsWith(prefix));
  const entries = buckets.map(({ info }) =>
    element("Bucket", leaf("Name", info.name), leaf("CreationDate", new Date(info.createdMs).toISOString())),
  );
  return xmlAnswer(xmlDocument("ListAllMyBucketsResult", owner, element("Buckets", ...entries)));
}
