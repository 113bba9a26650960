import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { StreamError } from "../model/errors.js";
import type { Blobs } from "../ports/blobs.js";
import { type AwsTarget, awsError, markLostAnswers } from "./aws-errors.js";

/** DeleteObjects takes no more. */
const removedPerCall = 1_000;

/**
 * Blobs over one S3 bucket, beneath `prefix` where one is given. A put is one PutObject: of at most 5 GB, and atomic.
 * S3 is strongly consistent, lists too, and lists in the byte order of the keys' UTF-8.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
 *
 * @example const blobs = s3Blobs(clients.s3, { bucket: "tidemark-state", prefix: "production/" });
 */
export function s3Blobs(client: S3Client, options: { readonly bucket: string; readonly prefix?: string }): Blobs {
  const { bucket: Bucket, prefix: root = "" } = options;
  const target: AwsTarget = {
    name: `S3 bucket "${Bucket}"`,
    // Without s3:ListBucket an absent object, too, is answered by AccessDenied.
    actions: "s3:GetObject, s3:PutObject and s3:DeleteObject on its objects and s3:ListBucket on it",
    whenAbsent: "create it, or check its name",
  };
  const failed = (intent: "read" | "write", doing: string) => (error: unknown) => {
    throw awsError(error, { intent, target, doing });
  };
  markLostAnswers(client);

  return {
    async put(key, bytes) {
      const command = new PutObjectCommand({ Bucket, Key: root + key, Body: bytes, ContentLength: bytes.byteLength });
      await client.send(command).catch(failed("write", `put of "${root}${key}" (${bytes.byteLength} bytes)`));
    },
    get: (key, range) =>
      getObject(client, { Bucket, Key: root + key }, range).catch((error: unknown) =>
        isAbsentObject(error) ? null : failed("read", `get of "${root}${key}"`)(error),
      ),
    async *list(prefix) {
      let ContinuationToken: string | undefined;
      do {
        const page: ListObjectsV2CommandOutput = await client
          .send(
            new ListObjectsV2Command({
              Bucket,
              Prefix: root + prefix,
              ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
            }),
          )
          .catch(failed("read", `list of "${root}${prefix}"`));
        for (const { Key = "", Size = 0 } of page.Contents ?? []) yield { key: Key.slice(root.length), size: Size };
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
    },
    async remove(keys) {
      for (let first = 0; first < keys.length; first += removedPerCall) {
        const some = keys.slice(first, first + removedPerCall).map((key) => root + key);
        await removeObjects(client, Bucket, some).catch(failed("write", `removal of ${some.length} objects`));
      }
    },
  };
}

type Place = { readonly Bucket: string; readonly Key: string };

async function getObject(client: S3Client, place: Place, range?: readonly [offset: number, length: number]) {
  if (range?.[1] === 0) {
    await client.send(new HeadObjectCommand(place));
    return new Uint8Array(0);
  }
  const Range = range === undefined ? undefined : `bytes=${range[0]}-${range[0] + range[1] - 1}`;
  try {
    const answer = await client.send(new GetObjectCommand({ ...place, ...(Range === undefined ? {} : { Range }) }));
    return answer.Body === undefined ? new Uint8Array(0) : await answer.Body.transformToByteArray();
  } catch (error) {
    // A range that begins at or behind the end: no bytes.
    if (nameOf(error) === "InvalidRange") return new Uint8Array(0);
    throw error;
  }
}

async function removeObjects(client: S3Client, Bucket: string, keys: readonly string[]): Promise<void> {
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  const { Errors: [first] = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
  if (first === undefined) return;
  const kind = first.Code === "AccessDenied" ? "invalid" : "transient";
  throw new StreamError(
    kind,
    `S3 bucket "${Bucket}": "${first.Key}" was not removed (${first.Code}: ${first.Message})`,
  );
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");
const isAbsentObject = (error: unknown): boolean => ["NoSuchKey", "NotFound"].includes(nameOf(error));
