import { type Answer, emptyAnswer, xmlAnswer } from "./answer.js";
import { readDocument } from "./body.js";
import type { StoredObject, Tags } from "./object.js";
import type { S3Request } from "./request.js";
import { noSuchKey } from "./s3-error.js";
import type { Store } from "./store.js";
import { tagsOfXml, tagsXml } from "./tags.js";

function objectOf(store: Store, request: S3Request): StoredObject {
  const object = store.bucket(request.bucket).object(request.key);
  if (!object) throw noSuchKey(request.key);
  return object;
}

function setTags(store: Store, request: S3Request, tags: Tags): void {
  objectOf(store, request);
  store.bucket(request.bucket).commit({ kind: "tagged", key: request.key, tags });
}

export function getObjectTagging(store: Store, request: S3Request): Answer {
  return xmlAnswer(tagsXml(objectOf(store, request).tags));
}

export async function putObjectTagging(store: Store, request: S3Request): Promise<Answer> {
  setTags(store, request, tagsOfXml(await readDocument(request)));
  return emptyAnswer(200);
}

export function deleteObjectTagging(store: Store, request: S3Request): Answer {
  setTags(store, request, []);
  return emptyAnswer(204);
}
