import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { StreamError } from "../model/errors.js";
import type { Objects } from "../ports/objects.js";
import { type AwsTarget, awsError, markLostAnswers } from "./aws-errors.js";
import { harmfulRules } from "./s3-lifecycle.js";

/** DeleteObjects takes no more. */
const removedPerCall = 1_000;

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
        throw failure(bucket, "read", `head of "${key}"`, error);
      });
      return head === null ? null : (head.ContentLength ?? 0);
    },
    list: (bucket, prefix) => list(client, bucket, prefix),
    async rules(bucket) {
      const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket });
      try {
        return { kind: "known", rules: harmfulRules((await client.send(command)).Rules ?? []) };
      } catch (error) {
        const name = nameOf(error);
        if (name === "NoSuchLifecycleConfiguration") return { kind: "known", rules: [] };
        if (unreadable.has(name)) return { kind: "unknown", why: name };
        throw failure(bucket, "read", "look at its lifecycle rules", error);
      }
    },
    async put(bucket, key, bytes) {
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: bytes,
        ContentLength: bytes.byteLength,
      });
      await client.send(command).catch((error: unknown) => {
        throw failure(bucket, "write", `put of "${key}" (${bytes.byteLength} bytes)`, error);
      });
    },
    async copy(bucket, from, to) {
      const CopySource = `${bucket}/${from.split("/").map(encodeURIComponent).join("/")}`;
      try {
        await client.send(new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource }));
        return "copied";
      } catch (error) {
        if (isAbsent(error)) return "absent";
        throw failure(bucket, "write", `copy of "${from}" to "${to}"`, error);
      }
    },
    async remove(bucket, keys) {
      for (let first = 0; first < keys.length; first += removedPerCall) {
        const some = keys.slice(first, first + removedPerCall);
        await remove(client, bucket, some).catch((error: unknown) => {
          throw failure(bucket, "write", `removal of ${some.length} objects`, error);
        });
      }
    },
  };
}

/** Without the right to it, or from a service that has no such thing. */
const unreadable: ReadonlySet<string> = new Set(["AccessDenied", "NotImplemented", "MethodNotAllowed"]);

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");
const isAbsent = (error: unknown): boolean => ["NoSuchKey", "NotFound"].includes(nameOf(error));

function failure(bucket: string, intent: "read" | "write", doing: string, error: unknown): StreamError {
  const target: AwsTarget = {
    name: `S3 bucket "${bucket}"`,
    // Without s3:ListBucket an absent object, too, is answered by AccessDenied.
    actions: "s3:GetObject, s3:PutObject and s3:DeleteObject on its objects and s3:ListBucket on it",
    whenAbsent: "create it, or check its name",
  };
  return awsError(error, { intent, target, doing });
}

async function* list(client: S3Client, Bucket: string, Prefix: string) {
  let ContinuationToken: string | undefined;
  do {
    const more = ContinuationToken === undefined ? {} : { ContinuationToken };
    const page: ListObjectsV2CommandOutput = await client
      .send(new ListObjectsV2Command({ Bucket, Prefix, ...more }))
      .catch((error: unknown) => {
        throw failure(Bucket, "read", `list of "${Prefix}"`, error);
      });
    for (const { Key = "", Size = 0 } of page.Contents ?? []) yield { key: Key, size: Size };
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
}

async function remove(client: S3Client, Bucket: string, keys: readonly string[]): Promise<void> {
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  const { Errors: [first] = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
  if (first === undefined) return;
  const kind = first.Code === "AccessDenied" ? "invalid" : "transient";
  throw new StreamError(
    kind,
    `S3 bucket "${Bucket}": "${first.Key}" was not removed (${first.Code}: ${first.Message})`,
  );
}
