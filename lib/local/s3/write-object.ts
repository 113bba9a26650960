import { type Answer, emptyAnswer } from "./answer.js";
import { readAttributes } from "./attributes.js";
import { keepOrDiscard, receiveBody } from "./body.js";
import { checkWrite, isDeletable } from "./conditions.js";
import { quoted } from "./object.js";
import { checksumAsHeaders } from "./read-object.js";
import type { S3Request } from "./request.js";
import { preconditionFailed } from "./s3-error.js";
import type { Store } from "./store.js";

/** The time of a change: S3 keeps whole seconds. */
export function nowInSeconds(): number {
  return Math.floor(Date.now() / 1000) * 1000;
}

export async function putObject(store: Store, request: S3Request): Promise<Answer> {
  const bucket = store.bucket(request.bucket);
  const { headers, key } = request;
  const attributes = readAttributes(headers);
  const received = await receiveBody(request, bucket.contents, null);
  keepOrDiscard(received, bucket.contents, () => {
    checkWrite(headers, key, bucket.object(key));
    const object = { ...attributes, ...received, modifiedMs: nowInSeconds(), partSizes: [] };
    bucket.commit({ kind: "put", key, object });
  });
  return emptyAnswer(200, { etag: quoted(received.etag), ...checksumAsHeaders(received.checksum) });
}

export function deleteObject(store: Store, request: S3Request): Answer {
  const bucket = store.bucket(request.bucket);
  const object = bucket.object(request.key);
  if (!isDeletable(request.headers["if-match"], object)) throw preconditionFailed("If-Match");
  if (object) bucket.commit({ kind: "deleted", key: request.key });
  return emptyAnswer(204);
}
