import { type Answer, xmlAnswer } from "./answer.js";
import { checksumElement } from "./checksums.js";
import { compareKeys } from "./key-order.js";
import { owner } from "./list-objects.js";
import { type Part, quoted, type Upload } from "./object.js";
import { encodingType, nameEncoder, pageSize, wholeNumber } from "./parameters.js";
import type { S3Request } from "./request.js";
import type { Store } from "./store.js";
import { element, leaf, xmlDocument } from "./xml.js";

export function listParts(store: Store, request: S3Request): Answer {
  const { query, key } = request;
  const { upload, parts } = store.bucket(request.bucket).upload(query.get("uploadId") ?? "", key);
  const marker = wholeNumber("part-number-marker", query.get("part-number-marker") || "0");
  const max = pageSize(request, "max-parts");
  const rest = [...parts].filter(([number]) => number > marker).sort(([left], [right]) => left - right);
  const page = rest.slice(0, max);
  return xmlAnswer(
    xmlDocument(
      "ListPartsResult",
      leaf("Bucket", request.bucket),
      leaf("Key", nameEncoder(request)(key)),
      leaf("UploadId", upload.id),
      leaf("PartNumberMarker", marker),
      leaf("NextPartNumberMarker", page.at(-1)?.[0] ?? marker),
      leaf("MaxParts", max),
      leaf("IsTruncated", max > 0 && rest.length > page.length),
      leaf("StorageClass", upload.headers["x-amz-storage-class"] ?? "STANDARD"),
      owner,
      ...checksumKind(upload),
      ...page.map(([number, part]) => partElement(number, part)),
    ),
  );
}

function partElement(number: number, part: Part): string {
  return element(
    "Part",
    leaf("PartNumber", number),
    leaf("LastModified", new Date(part.modifiedMs).toISOString()),
    leaf("ETag", quoted(part.etag)),
    leaf("Size", part.size),
    part.checksum ? leaf(checksumElement(part.checksum.algorithm), part.checksum.value) : "",
  );
}

function checksumKind({ checksum }: Upload): readonly string[] {
  if (!checksum) return [];
  return [leaf("ChecksumAlgorithm", checksum.algorithm.toUpperCase()), leaf("ChecksumType", checksum.type)];
}

type UploadEntry =
  | { readonly kind: "upload"; readonly upload: Upload }
  | { readonly kind: "prefix"; readonly prefix: string };

export function listMultipartUploads(store: Store, request: S3Request): Answer {
  const { query } = request;
  const uploads = [...store.bucket(request.bucket).uploads()].map(({ upload }) => upload).sort(compareUploads);
  const keyMarker = query.get("key-marker") ?? "";
  const idMarker = query.get("upload-id-marker") ?? "";
  const behind = uploads.filter((upload) => isBehind(uploads, upload, keyMarker, idMarker));
  const entries = rolledUp(behind, {
    prefix: query.get("prefix") ?? "",
    delimiter: query.get("delimiter") ?? "",
    keyMarker,
  });
  const page = entries.slice(0, pageSize(request, "max-uploads"));
  return xmlAnswer(uploadsXml(request, page, page.length > 0 && entries.length > page.length));
}

/** By key, and by age where one key has several. */
function compareUploads(left: Upload, right: Upload): number {
  return compareKeys(left.key, right.key) || left.initiatedMs - right.initiatedMs || compareKeys(left.id, right.id);
}

/** Behind the key of the marker; with an id, behind that upload of the key. */
function isBehind(uploads: readonly Upload[], upload: Upload, keyMarker: string, idMarker: string): boolean {
  if (keyMarker === "") return true;
  if (upload.key !== keyMarker || idMarker === "") return compareKeys(upload.key, keyMarker) > 0;
  const last = uploads.find((other) => other.key === keyMarker && other.id === idMarker);
  return last !== undefined && compareUploads(upload, last) > 0;
}

function rolledUp(
  uploads: readonly Upload[],
  list: { readonly prefix: string; readonly delimiter: string; readonly keyMarker: string },
): readonly UploadEntry[] {
  const entries: UploadEntry[] = [];
  const seen = new Set<string>([list.keyMarker]);
  for (const upload of uploads) {
    if (!upload.key.startsWith(list.prefix)) continue;
    const cut = list.delimiter === "" ? -1 : upload.key.indexOf(list.delimiter, list.prefix.length);
    const prefix = upload.key.slice(0, cut + list.delimiter.length);
    if (cut < 0) entries.push({ kind: "upload", upload });
    else if (!seen.has(prefix)) entries.push({ kind: "prefix", prefix });
    if (cut >= 0) seen.add(prefix);
  }
  return entries;
}

function uploadsXml(request: S3Request, page: readonly UploadEntry[], isTruncated: boolean): string {
  const { query } = request;
  const encode = nameEncoder(request);
  const last = page.at(-1);
  const next =
    last && isTruncated
      ? [
          leaf("NextKeyMarker", encode(last.kind === "upload" ? last.upload.key : last.prefix)),
          leaf("NextUploadIdMarker", last.kind === "upload" ? last.upload.id : ""),
        ]
      : [];
  return xmlDocument(
    "ListMultipartUploadsResult",
    leaf("Bucket", request.bucket),
    leaf("KeyMarker", encode(query.get("key-marker") ?? "")),
    leaf("UploadIdMarker", query.get("upload-id-marker") ?? ""),
    leaf("Prefix", encode(query.get("prefix") ?? "")),
    query.get("delimiter") ? leaf("Delimiter", encode(query.get("delimiter") ?? "")) : "",
    ...next,
    leaf("MaxUploads", pageSize(request, "max-uploads")),
    encodingType(request),
    leaf("IsTruncated", isTruncated),
    ...page.map((entry) => uploadElement(entry, encode)),
  );
}

function uploadElement(entry: UploadEntry, encode: (name: string) => string): string {
  if (entry.kind === "prefix") return element("CommonPrefixes", leaf("Prefix", encode(entry.prefix)));
  const { upload } = entry;
  return element(
    "Upload",
    leaf("Key", encode(upload.key)),
    leaf("UploadId", upload.id),
    leaf("Initiated", new Date(upload.initiatedMs).toISOString()),
    leaf("StorageClass", upload.headers["x-amz-storage-class"] ?? "STANDARD"),
    owner,
    ...checksumKind(upload),
  );
}
