import {
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { awsError } from "./aws-errors.js";

/** `unknown`: who asks may not see or remove them, of a bucket that has or may have some. */
export type RemovedVersions =
  | { readonly kind: "removed"; readonly count: number }
  | { readonly kind: "unknown"; readonly why: string };

const unreadable: ReadonlySet<string> = new Set(["AccessDenied", "NotImplemented", "MethodNotAllowed"]);

/**
 * Removes what a bucket with versions keeps of a removed object: its versions, and the marks of its removals.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html
 *
 * @param key of few versions: one page of them is looked at
 */
export async function removeVersions(client: S3Client, bucket: string, key: string): Promise<RemovedVersions> {
  try {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key }));
    const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    const Objects = all.flatMap(({ Key, VersionId }) => (Key === key ? [{ Key, VersionId }] : []));
    if (Objects.length === 0) return { kind: "removed", count: 0 };
    const { Errors: [first] = [] } = await client.send(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
    );
    return first === undefined
      ? { kind: "removed", count: Objects.length }
      : { kind: "unknown", why: `${first.Code}: ${first.Message}` };
  } catch (error) {
    if (error instanceof Error && unreadable.has(error.name))
      return (await keepsNone(client, bucket)) ? { kind: "removed", count: 0 } : { kind: "unknown", why: error.name };
    const actions = "s3:ListBucketVersions on it and s3:DeleteObjectVersion on its objects";
    const target = { name: `S3 bucket "${bucket}"`, actions, whenAbsent: "create it, or check its name" };
    throw awsError(error, { intent: "write", target, doing: `removal of versions of "${key}"` });
  }
}

/** Whether the service says that the bucket never had versions. */
async function keepsNone(client: S3Client, bucket: string): Promise<boolean> {
  const asked = client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
  return asked.then(
    ({ Status }) => Status === undefined,
    () => false,
  );
}
