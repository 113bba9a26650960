import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, type Running, refusal, startWithBucket } from "./s3-fixture.js";

let s3: Running;
beforeAll(async () => {
  s3 = await startWithBucket();
});
afterAll(() => s3.stop());

const put = (Key: string, Body: string | Buffer = "hello") =>
  s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
const get = async (Key: string, Range?: string) => {
  const answer = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key, Range }));
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) };
};

describe("buckets", () => {
  it("are created, found, listed and deleted", async () => {
    const created = await s3.client.send(new CreateBucketCommand({ Bucket: "one-more-bucket" }));
    expect(created.Location).toBe("/one-more-bucket");
    await s3.client.send(new HeadBucketCommand({ Bucket: "one-more-bucket" }));
    const listed = await s3.client.send(new ListBucketsCommand({}));
    expect(listed.Buckets?.map(({ Name }) => Name)).toEqual(["one-more-bucket", bucket]);
    expect(listed.Buckets?.[0]?.CreationDate?.getTime()).toBeGreaterThan(Date.now() - 60_000);
    await s3.client.send(new DeleteBucketCommand({ Bucket: "one-more-bucket" }));
    const gone = await refusal(s3.client.send(new HeadBucketCommand({ Bucket: "one-more-bucket" })));
    expect(gone.status).toBe(404);
  });

  it("have a region and no versions", async () => {
    const far = { LocationConstraint: "eu-central-1" as const };
    await s3.client.send(new CreateBucketCommand({ Bucket: "far-bucket", CreateBucketConfiguration: far }));
    const location = await s3.client.send(new GetBucketLocationCommand({ Bucket: "far-bucket" }));
    expect(location.LocationConstraint).toBe("eu-central-1");
    const near = await s3.client.send(new GetBucketLocationCommand({ Bucket: bucket }));
    expect(near.LocationConstraint).toBeUndefined();
    const versioning = await s3.client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
    expect(versioning.Status).toBeUndefined();
    await s3.client.send(new DeleteBucketCommand({ Bucket: "far-bucket" }));
  });

  it("are refused twice, with bad names, and deleted only when empty", async () => {
    const again = await refusal(s3.client.send(new CreateBucketCommand({ Bucket: bucket })));
    expect(again).toEqual({ name: "BucketAlreadyOwnedByYou", status: 409 });
    for (const name of ["ab", "Upper", "a..b", "10.0.0.1", "-abc", "a%2F..%2Fb"]) {
      const answer = await s3.raw("PUT", `/${name}`);
      expect([name, answer.status]).toEqual([name, 400]);
      expect(answer.text).toContain("<Code>InvalidBucketName</Code>");
    }
    await put("keeps-it");
    const full = await refusal(s3.client.send(new DeleteBucketCommand({ Bucket: bucket })));
    expect(full).toEqual({ name: "BucketNotEmpty", status: 409 });
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "keeps-it" }));
  });
});

describe("objects", () => {
  it("come back with their bytes, their ETag, and what was said of them", async () => {
    const body = randomBytes(10_000);
    const Expires = new Date("2030-01-02T03:04:05Z");
    const said = {
      ContentType: "text/x-test",
      CacheControl: "max-age=5",
      ContentDisposition: 'attachment; filename="a.txt"',
      ContentEncoding: "gzip",
      ContentLanguage: "de",
      Metadata: { colour: "blue", "with-dash": "a b" },
    };
    const written = await s3.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: "said", Body: body, Expires, ...said }),
    );
    const read = await get("said");
    expect(read.bytes.equals(body)).toBe(true);
    expect(read).toMatchObject({ ...said, ContentLength: 10_000, ETag: written.ETag, AcceptRanges: "bytes" });
    expect(read.ExpiresString).toBe("Wed, 02 Jan 2030 03:04:05 GMT");
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: "said" }));
    expect(head).toMatchObject({ ...said, ContentLength: 10_000, ETag: written.ETag });
    expect(head.$metadata.requestId).toMatch(/^[0-9A-F]{16}$/);
  });

  it("are overwritten, deleted, and deleting nothing is no error", async () => {
    await put("twice", "one");
    await put("twice", "two");
    expect((await get("twice")).bytes.toString()).toBe("two");
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "twice" }));
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "twice" }));
    expect(await refusal(get("twice"))).toEqual({ name: "NoSuchKey", status: 404 });
    const head = await refusal(s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: "twice" })));
    expect(head.status).toBe(404);
  });

  it("may be empty, and large", async () => {
    await put("empty", "");
    expect((await get("empty")).ContentLength).toBe(0);
    expect(await refusal(get("empty", "bytes=0-"))).toEqual({ name: "InvalidRange", status: 416 });
    const large = randomBytes(20 * 1024 * 1024);
    await put("large", large);
    expect((await get("large")).bytes.equals(large)).toBe(true);
    const middle = await get("large", "bytes=5000000-15000000");
    expect(middle.bytes.equals(large.subarray(5_000_000, 15_000_001))).toBe(true);
  });

  it("answer with the headers that the query asks for", async () => {
    await put("overridden");
    const ask = {
      Bucket: bucket,
      Key: "overridden",
      ResponseContentType: "text/html",
      ResponseCacheControl: "no-store",
    };
    const answer = await s3.client.send(new GetObjectCommand(ask));
    expect(answer).toMatchObject({ ContentType: "text/html", CacheControl: "no-store" });
  });

  it("refuse metadata over 2 KB", async () => {
    const large = { Bucket: bucket, Key: "meta", Body: "", Metadata: { a: "x".repeat(3000) } };
    expect(await refusal(s3.client.send(new PutObjectCommand(large)))).toEqual({
      name: "MetadataTooLarge",
      status: 400,
    });
  });
});

describe("ranges", () => {
  const whole = "0123456789";
  beforeAll(() => put("digits", whole));

  it.each([
    ["bytes=0-0", "0", "bytes 0-0/10"],
    ["bytes=2-4", "234", "bytes 2-4/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-30", whole, "bytes 0-9/10"],
    ["bytes=5-99", "56789", "bytes 5-9/10"],
  ])("%s", async (range, text, contentRange) => {
    const answer = await get("digits", range);
    expect(answer.bytes.toString()).toBe(text);
    expect(answer.ContentRange).toBe(contentRange);
    expect(answer.$metadata.httpStatusCode).toBe(206);
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: "digits", Range: range }));
    expect(head).toMatchObject({ ContentLength: text.length, ContentRange: contentRange });
  });

  it.each(["bytes=10-", "bytes=10-12", "bytes=-0"])("%s is not satisfiable", async (range) => {
    expect(await refusal(get("digits", range))).toEqual({ name: "InvalidRange", status: 416 });
    const raw = await s3.raw("GET", `/${bucket}/digits`, { headers: { range } });
    expect(raw.headers["content-range"]).toBe("bytes */10");
    expect(raw.text).toContain("<ActualObjectSize>10</ActualObjectSize>");
  });

  it.each(["bytes=4-2", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"])("%s is not heeded", async (range) => {
    const raw = await s3.raw("GET", `/${bucket}/digits`, { headers: { range } });
    expect([raw.status, raw.text]).toEqual([200, whole]);
  });
});

describe("keys", () => {
  const odd = [
    "..",
    "../up",
    "a/../../../../etc/passwd",
    ".",
    "/leading",
    "//",
    "q//w",
    "q/w",
    "trailing/",
    "journal.jsonl",
    "contents/x",
    "a b+c%20d",
    "%2e%2e/x",
    "ключ/鍵/🗝",
    "quote\"'<&>",
    "line\nbreak\r\ttab\u0001",
    "1e5",
    "0123",
    "__proto__",
    "constructor",
    "x".repeat(1024),
    "é".repeat(512),
    "CON",
    "case",
    "CASE",
  ];

  it("are any UTF-8 up to 1,024 bytes, each an object of its own", async () => {
    for (const key of odd) await put(key, `body of ${key}`);
    for (const key of odd) expect((await get(key)).bytes.toString()).toBe(`body of ${key}`);
    const listed: string[] = [];
    for (let token: string | undefined, more = true; more; ) {
      const page = await s3.client.send(
        new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 7, ContinuationToken: token }),
      );
      listed.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
      token = page.NextContinuationToken;
      more = page.IsTruncated === true;
    }
    expect(listed).toEqual(expect.arrayContaining(odd));
    expect(new Set(listed).size).toBe(listed.length);
    for (const key of odd) await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    for (const key of odd) expect((await refusal(get(key))).name).toBe("NoSuchKey");
  });

  it("with unescaped dots and slashes in the path are taken as they stand", async () => {
    await s3.raw("PUT", `/${bucket}/a/../b//c/./d`, { body: "dots" });
    expect((await get("a/../b//c/./d")).bytes.toString()).toBe("dots");
    expect((await s3.raw("GET", `/${bucket}/b/c/d`)).status).toBe(404);
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "a/../b//c/./d" }));
  });

  it("over 1,024 bytes, or that are no UTF-8, are refused", async () => {
    expect(await refusal(put("x".repeat(1025)))).toEqual({ name: "KeyTooLongError", status: 400 });
    expect((await refusal(put("é".repeat(513)))).name).toBe("KeyTooLongError");
    expect((await s3.raw("PUT", `/${bucket}/%ff%fe`)).text).toContain("<Code>InvalidURI</Code>");
  });
});

describe("refusals", () => {
  it("name the bucket or key that is not there", async () => {
    const ask = new GetObjectCommand({ Bucket: "no-such-bucket", Key: "k" });
    expect(await refusal(s3.client.send(ask))).toEqual({ name: "NoSuchBucket", status: 404 });
    expect((await refusal(s3.client.send(new PutObjectCommand({ Bucket: "no-such-bucket", Key: "k" })))).name).toBe(
      "NoSuchBucket",
    );
    const raw = await s3.raw("GET", `/${bucket}/absent`);
    expect(raw.headers["content-type"]).toBe("application/xml");
    expect(raw.text).toMatch(
      /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>NoSuchKey<\/Code><Message>.*<\/Message><Key>absent<\/Key><Resource>\/test-bucket\/absent<\/Resource><RequestId>[0-9A-F]{16}<\/RequestId><\/Error>$/,
    );
    expect(raw.text).toContain(String(raw.headers["x-amz-request-id"]));
  });

  it("of what is not implemented change nothing", async () => {
    await put("guarded", "as it was");
    for (const path of [
      `/${bucket}/guarded?acl`,
      `/${bucket}/guarded?retention`,
      `/${bucket}?policy`,
      `/${bucket}?tagging`,
    ]) {
      const answer = await s3.raw("PUT", path, { body: "<X/>" });
      expect([path, answer.status]).toEqual([path, 501]);
      expect(answer.text).toContain("<Code>NotImplemented</Code>");
    }
    expect((await get("guarded")).bytes.toString()).toBe("as it was");
    expect((await s3.raw("PATCH", `/${bucket}/guarded`)).status).toBe(405);
    expect((await s3.raw("POST", `/${bucket}/guarded`)).status).toBe(405);
  });
});
