import { GetObjectCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { Blobs } from "../ports/blobs.js";
import { markLostAnswers } from "./aws-errors.js";
import { failed, isAbsent, listObjects, nameOf, putObject, removeObjects } from "./s3-calls.js";

/**
 * Blobs over one S3 bucket, beneath `prefix` where one is given. A put is one PutObject: of at most 5 GB, and atomic.
 * S3 is strongly consistent, lists too, and lists in the byte order of the keys' UTF-8.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
 *
 * @example const blobs = s3Blobs(clients.s3, { bucket: "tidemark-state", prefix: "production/" });
 */
export function s3Blobs(client: S3Client, options: { readonly bucket: string; readonly prefix?: string }): Blobs {
  const { bucket: Bucket, prefix: root = "" } = options;
  markLostAnswers(client);
  return {
    put: (key, bytes) => putObject(client, Bucket, root + key, bytes),
    get: (key, range) =>
      getObject(client, { Bucket, Key: root + key }, range).catch((error: unknown) =>
        isAbsent(error) ? null : failed(Bucket, "read", `get of "${root}${key}"`)(error),
      ),
    async *list(prefix) {
      for await (const { key, size } of listObjects(client, Bucket, root + prefix))
        yield { key: key.slice(root.length), size };
    },
    remove: (keys) =>
      removeObjects(
        client,
        Bucket,
        keys.map((key) => root + key),
      ),
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
