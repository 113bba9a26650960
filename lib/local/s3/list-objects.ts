import { type Answer, xmlAnswer } from "./answer.js";
import type { Bucket } from "./bucket.js";
import { type ListPage, type ListQuery, listKeys } from "./listing.js";
import { quoted } from "./object.js";
import { encodingType, nameEncoder, pageSize } from "./parameters.js";
import type { S3Request } from "./request.js";
import { invalidArgument } from "./s3-error.js";
import type { Store } from "./store.js";
import { element, leaf, xmlDocument } from "./xml.js";

/** The one owner of everything here. */
export const owner = element("Owner", leaf("ID", "local"), leaf("DisplayName", "local"));

export function listObjectsV2(store: Store, request: S3Request): Answer {
  const bucket = store.bucket(request.bucket);
  const { query } = request;
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after") ?? "";
  const list = listQuery(request, token === undefined ? startAfter : nameOfToken(token));
  const page = listKeys(bucket.keys(), list);
  const last = page.items.at(-1);
  const encode = nameEncoder(request);
  return xmlAnswer(
    xmlDocument(
      "ListBucketResult",
      ...commonElements(request, list, page),
      leaf("KeyCount", page.items.length),
      startAfter === "" ? "" : leaf("StartAfter", encode(startAfter)),
      token === undefined ? "" : leaf("ContinuationToken", token),
      page.truncated && last ? leaf("NextContinuationToken", tokenOfName(last.name)) : "",
      ...itemElements(bucket, page, { encode, owner: query.get("fetch-owner") === "true" ? owner : "" }),
    ),
  );
}

export function listObjectsV1(store: Store, request: S3Request): Answer {
  const bucket = store.bucket(request.bucket);
  const marker = request.query.get("marker") ?? "";
  const list = listQuery(request, marker);
  const page = listKeys(bucket.keys(), list);
  const last = page.items.at(-1);
  const encode = nameEncoder(request);
  return xmlAnswer(
    xmlDocument(
      "ListBucketResult",
      ...commonElements(request, list, page),
      leaf("Marker", encode(marker)),
      // As S3 does: without a delimiter the last key is the next marker.
      page.truncated && last && list.delimiter !== "" ? leaf("NextMarker", encode(last.name)) : "",
      ...itemElements(bucket, page, { encode, owner }),
    ),
  );
}

function listQuery(request: S3Request, after: string): ListQuery {
  const { query } = request;
  const prefix = query.get("prefix") ?? "";
  return { prefix, delimiter: query.get("delimiter") ?? "", after, max: pageSize(request, "max-keys") };
}

function commonElements(request: S3Request, list: ListQuery, page: ListPage): readonly string[] {
  const encode = nameEncoder(request);
  return [
    leaf("Name", request.bucket),
    leaf("Prefix", encode(list.prefix)),
    list.delimiter === "" ? "" : leaf("Delimiter", encode(list.delimiter)),
    leaf("MaxKeys", list.max),
    encodingType(request),
    leaf("IsTruncated", page.truncated),
  ];
}

function itemElements(
  bucket: Bucket,
  page: ListPage,
  form: { readonly encode: (name: string) => string; readonly owner: string },
): readonly string[] {
  return page.items.map(({ kind, name }) => {
    if (kind === "prefix") return element("CommonPrefixes", leaf("Prefix", form.encode(name)));
    const object = bucket.object(name);
    if (!object) return "";
    const checksum = object.checksum
      ? [leaf("ChecksumAlgorithm", object.checksum.algorithm.toUpperCase()), leaf("ChecksumType", object.checksum.type)]
      : [];
    return element(
      "Contents",
      leaf("Key", form.encode(name)),
      leaf("LastModified", new Date(object.modifiedMs).toISOString()),
      leaf("ETag", quoted(object.etag)),
      ...checksum,
      leaf("Size", object.size),
      leaf("StorageClass", object.headers["x-amz-storage-class"] ?? "STANDARD"),
      form.owner,
    );
  });
}

// A token is opaque to clients: its first character is the version of its form.
function tokenOfName(name: string): string {
  return `1${Buffer.from(name, "utf8").toString("base64url")}`;
}

function nameOfToken(token: string): string {
  if (!/^1[\w-]+$/.test(token)) {
    throw invalidArgument("continuation-token", token, "The continuation token provided is incorrect");
  }
  return Buffer.from(token.slice(1), "base64url").toString("utf8");
}
