import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, type Running, refusal, startWithBucket } from "./s3-fixture.js";

let s3: Running;
let etag: string;
const key = "guarded";
const earlier = new Date(Date.now() - 3_600_000);
const later = new Date(Date.now() + 3_600_000);
const failed = { name: "PreconditionFailed", status: 412 };

const put = (Key: string, conditions: Partial<PutObjectCommandInput> = {}) =>
  s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "body", ...conditions }));

beforeAll(async () => {
  s3 = await startWithBucket();
  etag = (await put(key)).ETag ?? "";
});
afterAll(() => s3.stop());

describe("conditions on PUT", () => {
  it("If-None-Match: * creates once", async () => {
    await put("new", { IfNoneMatch: "*" });
    expect(await refusal(put("new", { IfNoneMatch: "*" }))).toEqual(failed);
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "new" }));
    await put("new", { IfNoneMatch: "*" });
  });

  it("If-None-Match with an ETag is not implemented, as in S3", async () => {
    expect(await refusal(put("other", { IfNoneMatch: etag }))).toEqual({ name: "NotImplemented", status: 501 });
  });

  it("If-Match replaces what was read, and nothing else", async () => {
    const first = await put("chain");
    const second = await put("chain", { IfMatch: first.ETag, Body: "two" });
    expect(await refusal(put("chain", { IfMatch: first.ETag, Body: "three" }))).toEqual(failed);
    await put("chain", { IfMatch: second.ETag, Body: "three" });
    expect(await refusal(put("absent", { IfMatch: first.ETag }))).toEqual({ name: "NoSuchKey", status: 404 });
  });

  it("of 40 racing creations one wins, and its body stays", async () => {
    for (let round = 0; round < 3; round++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 40 }, (_, index) => put(`race-${round}`, { IfNoneMatch: "*", Body: `winner ${index}` })),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.status === "fulfilled" ? [index] : []));
      expect(winners).toHaveLength(1);
      for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason.name).toBe(failed.name);
      const read = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: `race-${round}` }));
      expect(await read.Body?.transformToString()).toBe(`winner ${winners[0]}`);
    }
  });

  it("of racing replacements with If-Match one wins", async () => {
    const { ETag } = await put("swap");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, index) => put("swap", { IfMatch: ETag, Body: `swapped ${index}` })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe.each([
  ["GET", (conditions: object) => s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: key, ...conditions }))],
  ["HEAD", (conditions: object) => s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ...conditions }))],
])("conditions on %s", (_, read) => {
  it("If-Match", async () => {
    await read({ IfMatch: etag });
    await read({ IfMatch: "*" });
    await read({ IfMatch: `"other", ${etag}` });
    expect((await refusal(read({ IfMatch: '"other"' }))).status).toBe(412);
  });

  it("If-None-Match", async () => {
    await read({ IfNoneMatch: '"other"' });
    expect((await refusal(read({ IfNoneMatch: etag }))).status).toBe(304);
    expect((await refusal(read({ IfNoneMatch: `W/${etag}` }))).status).toBe(304);
    expect((await refusal(read({ IfNoneMatch: "*" }))).status).toBe(304);
  });

  it("If-Modified-Since and If-Unmodified-Since", async () => {
    await read({ IfModifiedSince: earlier });
    await read({ IfUnmodifiedSince: later });
    expect((await refusal(read({ IfModifiedSince: later }))).status).toBe(304);
    expect((await refusal(read({ IfUnmodifiedSince: earlier }))).status).toBe(412);
  });

  it("an ETag goes before a date", async () => {
    await read({ IfMatch: etag, IfUnmodifiedSince: earlier });
    expect((await refusal(read({ IfNoneMatch: etag, IfModifiedSince: earlier }))).status).toBe(304);
    await read({ IfNoneMatch: '"other"', IfModifiedSince: later });
  });
});

it("304 carries the ETag and no body", async () => {
  const raw = await s3.raw("GET", `/${bucket}/${key}`, { headers: { "if-none-match": etag } });
  expect([raw.status, raw.headers.etag, raw.text]).toEqual([304, etag, ""]);
});

describe("conditions on CopyObject", () => {
  const copy = (conditions: object, Key = "copied") =>
    s3.client.send(new CopyObjectCommand({ Bucket: bucket, Key, CopySource: `${bucket}/${key}`, ...conditions }));

  it("on the source: all of them 412", async () => {
    await copy({ CopySourceIfMatch: etag });
    await copy({ CopySourceIfNoneMatch: '"other"' });
    await copy({ CopySourceIfModifiedSince: earlier });
    await copy({ CopySourceIfUnmodifiedSince: later });
    await copy({ CopySourceIfMatch: etag, CopySourceIfUnmodifiedSince: earlier });
    expect(await refusal(copy({ CopySourceIfMatch: '"other"' }))).toEqual(failed);
    expect(await refusal(copy({ CopySourceIfNoneMatch: etag }))).toEqual(failed);
    expect(await refusal(copy({ CopySourceIfModifiedSince: later }))).toEqual(failed);
    expect(await refusal(copy({ CopySourceIfUnmodifiedSince: earlier }))).toEqual(failed);
  });

  it("on the target", async () => {
    await copy({ IfNoneMatch: "*" }, "copy-target");
    expect(await refusal(copy({ IfNoneMatch: "*" }, "copy-target"))).toEqual(failed);
    await copy({ IfMatch: etag }, "copy-target");
    expect(await refusal(copy({ IfMatch: '"other"' }, "copy-target"))).toEqual(failed);
  });
});

describe("conditions on CompleteMultipartUpload", () => {
  const uploaded = async (Key: string) => {
    const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }));
    const part = { Bucket: bucket, Key, UploadId, PartNumber: 1, Body: "part" };
    const { ETag } = await s3.client.send(new UploadPartCommand(part));
    return { Bucket: bucket, Key, UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } };
  };
  const complete = (input: Awaited<ReturnType<typeof uploaded>>, conditions: object) =>
    s3.client.send(new CompleteMultipartUploadCommand({ ...input, ...conditions }));

  it("of racing uploads with If-None-Match: * one wins; the others can still be completed or aborted", async () => {
    const uploads = await Promise.all(Array.from({ length: 10 }, () => uploaded("completed")));
    const outcomes = await Promise.allSettled(uploads.map((input) => complete(input, { IfNoneMatch: "*" })));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const listed = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: "completed" }));
    expect(listed.Uploads).toHaveLength(9);
  });

  it("If-Match", async () => {
    const input = await uploaded(key);
    expect(await refusal(complete(input, { IfMatch: '"other"' }))).toEqual(failed);
    const { ETag } = await complete(input, { IfMatch: etag });
    expect(ETag).toMatch(/-1"$/);
    expect(await refusal(complete(await uploaded("nowhere"), { IfMatch: etag }))).toMatchObject({ status: 404 });
  });
});

describe("conditions on deletions", () => {
  it("DeleteObject with If-Match", async () => {
    const { ETag } = await put("doomed");
    const remove = (IfMatch: string | undefined) =>
      s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "doomed", IfMatch }));
    expect(await refusal(remove('"other"'))).toEqual(failed);
    await remove(ETag);
    expect(await refusal(remove("*"))).toEqual(failed);
  });

  it("DeleteObjects with an ETag", async () => {
    const one = await put("doomed-1");
    await put("doomed-2");
    const Objects = [
      { Key: "doomed-1", ETag: one.ETag },
      { Key: "doomed-2", ETag: '"other"' },
    ];
    const answer = await s3.client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    expect(answer.Deleted?.map(({ Key }) => Key)).toEqual(["doomed-1"]);
    expect(answer.Errors).toMatchObject([{ Key: "doomed-2", Code: "PreconditionFailed" }]);
  });
});
