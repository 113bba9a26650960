import {
  CopyObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { Objects } from "../ports/objects.js";
import { markLostAnswers } from "./aws-errors.js";
import { failed, isAbsent, listObjects, nameOf, putObject, removeObjects } from "./s3-calls.js";
import { harmfulRules } from "./s3-lifecycle.js";

/**
 * Objects over S3, in any bucket. A put is one PutObject of whole bytes, never an upload of parts that somebody could abort; a
 * copy is one CopyObject, of at most 5 GB.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 *
 * @example const objects = s3Objects(clients.s3);
 */
export function s3Objects(client: S3Client): Objects {
  markLostAnswers(client);
  return {
    async size(bucket, key) {
      const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
      const head = await client.send(command).catch((error: unknown) => {
        if (isAbsent(error)) return null;
        return failed(bucket, "read", `head of "${key}"`)(error);
      });
      return head === null ? null : (head.ContentLength ?? 0);
    },
    list: (bucket, prefix) => listObjects(client, bucket, prefix),
    async rules(bucket) {
      const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket });
      try {
        return { kind: "known", rules: harmfulRules((await client.send(command)).Rules ?? []) };
      } catch (error) {
        const name = nameOf(error);
        if (name === "NoSuchLifecycleConfiguration") return { kind: "known", rules: [] };
        if (unreadable.has(name)) return { kind: "unknown", why: name };
        return failed(bucket, "read", "look at its lifecycle rules")(error);
      }
    },
    put: (bucket, key, bytes) => putObject(client, bucket, key, bytes),
    async copy(bucket, from, to) {
      const CopySource = `${bucket}/${from.split("/").map(encodeURIComponent).join("/")}`;
      try {
        await client.send(new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource }));
        return "copied";
      } catch (error) {
        if (isAbsent(error)) return "absent";
        return failed(bucket, "write", `copy of "${from}" to "${to}"`)(error);
      }
    },
    remove: (bucket, keys) => removeObjects(client, bucket, keys),
  };
}

/** Without the right to it, or from a service that has no such thing. */
const unreadable: ReadonlySet<string> = new Set(["AccessDenied", "NotImplemented", "MethodNotAllowed"]);
