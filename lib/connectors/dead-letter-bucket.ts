import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import { awsError } from "./aws-errors.js";
import { type MarkPlace, markedLetters } from "./letter-marks.js";
import { s3Blobs } from "./s3-blobs.js";
import { letterOf, type StoredLetters } from "./stored-letters.js";

/** Where {@link s3Files} writes dead letters. */
export interface LettersInBucket {
  readonly bucket: string;
  readonly prefix: string;
  readonly staging: string;
  /** What names of files end in. */
  readonly ending: string;
}

/**
 * The dead letters in files of a bucket, those that are shown.
 *
 * @param rowsIn the rows of a file @throws what it throws
 */
export function deadLetterBucket(
  client: S3Client,
  { bucket, prefix, staging, ending }: LettersInBucket,
  rowsIn: (bytes: Uint8Array) => Promise<readonly unknown[]>,
): StoredLetters {
  const blobs = s3Blobs(client, { bucket });
  return markedLetters(marksIn(client, bucket, `${staging}put-back/`), async () => {
    const letters: DeadLetter[] = [];
    for await (const { key } of blobs.list(prefix)) {
      if (key.startsWith(staging) || !key.endsWith(ending)) continue;
      // Null: whoever reads the files has taken it away meanwhile.
      const bytes = await blobs.get(key);
      const rows = bytes === null ? [] : await rowsIn(bytes);
      letters.push(...rows.flatMap((row) => letterOf(row) ?? []));
    }
    return letters;
  });
}

function marksIn(client: S3Client, bucket: string, folder: string): MarkPlace {
  const blobs = s3Blobs(client, { bucket, prefix: folder });
  return {
    async names(prefix) {
      const names: string[] = [];
      for await (const { key } of blobs.list(prefix)) names.push(key);
      return names;
    },
    read: (name) => blobs.get(name),
    async create(name, bytes) {
      const put = new PutObjectCommand({ Bucket: bucket, Key: folder + name, Body: bytes, IfNoneMatch: "*" });
      try {
        await client.send(put);
        return true;
      } catch (error) {
        if (error instanceof Error && taken.has(error.name)) return false;
        const target = {
          name: `S3 bucket "${bucket}"`,
          actions: `s3:PutObject beneath "${folder}"`,
          whenAbsent: "create it, or check its name",
        };
        throw awsError(error, { intent: "write", target, doing: "mark of a dead letter" });
      }
    },
  };
}

/**
 * There is one, or somebody makes it at this moment.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
const taken: ReadonlySet<string> = new Set(["PreconditionFailed", "ConditionalRequestConflict"]);
