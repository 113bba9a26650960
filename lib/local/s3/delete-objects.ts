import { type Answer, xmlAnswer } from "./answer.js";
import { readDocument } from "./body.js";
import type { Bucket } from "./bucket.js";
import { isDeletable } from "./conditions.js";
import type { S3Request } from "./request.js";
import type { Store } from "./store.js";
import { childOf, childrenOf, element, leaf, malformed, parseXml, textOf, xmlDocument } from "./xml.js";

const keysMax = 1000;

interface Deletion {
  readonly key: string;
  /** The ETag that the object must have; undefined for any. */
  readonly match: string | undefined;
}

export async function deleteObjects(store: Store, request: S3Request): Promise<Answer> {
  const bucket = store.bucket(request.bucket);
  const document = parseXml(await readDocument(request), "Delete");
  const isQuiet = childOf(document, "Quiet")?.text.trim() === "true";
  const deletions = childrenOf(document, "Object").map((object) => ({
    key: textOf(object, "Key"),
    match: childOf(object, "ETag")?.text.trim(),
  }));
  if (deletions.length === 0 || deletions.length > keysMax) throw malformed();
  const results = deletions.map((deletion) => perform(bucket, deletion));
  const told = results.filter((result) => !isQuiet || result.kind === "refused");
  return xmlAnswer(xmlDocument("DeleteResult", ...told.map((result) => result.xml)));
}

function perform(
  bucket: Bucket,
  { key, match }: Deletion,
): { readonly kind: "deleted" | "refused"; readonly xml: string } {
  const object = bucket.object(key);
  if (!isDeletable(match, object)) {
    const message = leaf("Message", "At least one of the pre-conditions you specified did not hold");
    return { kind: "refused", xml: element("Error", leaf("Key", key), leaf("Code", "PreconditionFailed"), message) };
  }
  if (object) bucket.commit({ kind: "deleted", key });
  return { kind: "deleted", xml: element("Deleted", leaf("Key", key)) };
}
