import {
  DeleteObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { StreamError } from "../model/errors.js";
import { type AwsTarget, awsError } from "./aws-errors.js";

// What objects of any bucket and blobs of one have in common.

/** DeleteObjects takes no more. */
const removedPerCall = 1_000;

export const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");
export const isAbsent = (error: unknown): boolean => ["NoSuchKey", "NotFound"].includes(nameOf(error));

/** Throws what a call has failed with, as an error that says what was being done. */
export function failed(bucket: string, intent: "read" | "write", doing: string): (error: unknown) => never {
  const target: AwsTarget = {
    name: `S3 bucket "${bucket}"`,
    // Without s3:ListBucket an absent object, too, is answered by AccessDenied.
    actions: "s3:GetObject, s3:PutObject and s3:DeleteObject on its objects and s3:ListBucket on it",
    whenAbsent: "create it, or check its name",
  };
  return (error) => {
    throw awsError(error, { intent, target, doing });
  };
}

/** One PutObject of whole bytes. */
export async function putObject(client: S3Client, Bucket: string, Key: string, Body: Uint8Array): Promise<void> {
  const command = new PutObjectCommand({ Bucket, Key, Body, ContentLength: Body.byteLength });
  await client.send(command).catch(failed(Bucket, "write", `put of "${Key}" (${Body.byteLength} bytes)`));
}

/** Page by page, in the byte order of the keys' UTF-8. */
export async function* listObjects(
  client: S3Client,
  Bucket: string,
  Prefix: string,
): AsyncGenerator<{ readonly key: string; readonly size: number }> {
  let ContinuationToken: string | undefined;
  do {
    const more = ContinuationToken === undefined ? {} : { ContinuationToken };
    const page: ListObjectsV2CommandOutput = await client
      .send(new ListObjectsV2Command({ Bucket, Prefix, ...more }))
      .catch(failed(Bucket, "read", `list of "${Prefix}"`));
    if (page.KeyCount === undefined && page.IsTruncated === undefined)
      throw new StreamError(
        "invalid",
        `S3 bucket "${Bucket}": list of "${Prefix}": what answers there is no S3; check AWS_ENDPOINT_URL`,
      );
    for (const { Key = "", Size = 0 } of page.Contents ?? []) yield { key: Key, size: Size };
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
}

/** Objects that are not there are no error. */
export async function removeObjects(client: S3Client, bucket: string, keys: readonly string[]): Promise<void> {
  for (let first = 0; first < keys.length; first += removedPerCall) {
    const some = keys.slice(first, first + removedPerCall);
    await removeSome(client, bucket, some).catch(failed(bucket, "write", `removal of ${some.length} objects`));
  }
}

async function removeSome(client: S3Client, Bucket: string, keys: readonly string[]): Promise<void> {
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  const { Errors: [first] = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
  if (first === undefined) return;
  const kind = first.Code === "AccessDenied" ? "invalid" : "transient";
  throw new StreamError(
    kind,
    `S3 bucket "${Bucket}": "${first.Key}" was not removed (${first.Code}: ${first.Message})`,
  );
}
