import { createHash, randomBytes } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  type UploadPartCommandInput,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, type Running, refusal, startWithBucket } from "./s3-fixture.js";

const partBytesMin = 5 * 1024 * 1024;

let s3: Running;
beforeAll(async () => {
  s3 = await startWithBucket();
});
afterAll(() => s3.stop());

type Begun = { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined };

async function begin(Key: string, input: Partial<CreateMultipartUploadCommandInput> = {}): Promise<Begun> {
  const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key, ...input }));
  return { Bucket: bucket, Key, UploadId };
}

const upload = (begun: Begun, PartNumber: number, Body: Buffer | string, input: Partial<UploadPartCommandInput> = {}) =>
  s3.client.send(new UploadPartCommand({ ...begun, PartNumber, Body, ...input }));
const complete = (begun: Begun, Parts: CompletedPart[], input: object = {}) =>
  s3.client.send(new CompleteMultipartUploadCommand({ ...begun, MultipartUpload: { Parts }, ...input }));
const read = async (Key: string, input: object = {}) => {
  const answer = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key, ...input }));
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) };
};
const md5 = (...chunks: Buffer[]) => createHash("md5").update(Buffer.concat(chunks));

describe("a multipart upload", () => {
  it("becomes one object when it is completed, and not before", async () => {
    const first = randomBytes(partBytesMin + 3);
    const second = randomBytes(1000);
    const begun = await begin("whole", { Metadata: { a: "b" }, ContentType: "text/x", Tagging: "t=1" });
    const two = await upload(begun, 7, second);
    const one = await upload(begun, 2, first);
    expect((await refusal(read("whole"))).name).toBe("NoSuchKey");
    const done = await complete(begun, [
      { PartNumber: 2, ETag: one.ETag },
      { PartNumber: 7, ETag: two.ETag },
    ]);
    const etag = `"${md5(md5(first).digest(), md5(second).digest()).digest("hex")}-2"`;
    expect(done).toMatchObject({ ETag: etag, Bucket: bucket, Key: "whole" });
    expect(done.Location).toBe(`http://127.0.0.1:${s3.port}/${bucket}/whole`);
    const object = await read("whole");
    expect(object.bytes.equals(Buffer.concat([first, second]))).toBe(true);
    expect(object).toMatchObject({ ETag: etag, Metadata: { a: "b" }, ContentType: "text/x", TagCount: 1 });
    expect((await read("whole", { PartNumber: 2 })).bytes.equals(second)).toBe(true);
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: "whole", PartNumber: 1 }));
    expect(head).toMatchObject({ ContentLength: first.length, PartsCount: 2 });
    expect(await refusal(read("whole", { PartNumber: 3 }))).toMatchObject({ status: 416 });
    expect((await refusal(complete(begun, [{ PartNumber: 2, ETag: one.ETag }]))).name).toBe("NoSuchUpload");
  });

  it("takes the parts that are named, in the version that came last", async () => {
    const begun = await begin("chosen");
    const stale = await upload(begun, 1, "stale");
    const fresh = await upload(begun, 1, "fresh");
    await upload(begun, 2, "left out");
    expect(await refusal(complete(begun, [{ PartNumber: 1, ETag: stale.ETag }]))).toMatchObject({
      name: "InvalidPart",
    });
    await complete(begun, [{ PartNumber: 1, ETag: fresh.ETag }]);
    expect((await read("chosen")).bytes.toString()).toBe("fresh");
  });

  it("is refused with small, missing, unordered or no parts, and can still be completed then", async () => {
    const begun = await begin("refused");
    const one = await upload(begun, 1, "too small");
    const two = await upload(begun, 2, "the last one may be small");
    const parts = [
      { PartNumber: 1, ETag: one.ETag },
      { PartNumber: 2, ETag: two.ETag },
    ];
    expect(await refusal(complete(begun, parts))).toEqual({ name: "EntityTooSmall", status: 400 });
    expect(await refusal(complete(begun, [...parts].reverse()))).toMatchObject({ name: "InvalidPartOrder" });
    const twice = await refusal(complete(begun, [...parts.slice(0, 1), ...parts.slice(0, 1)]));
    expect(twice).toMatchObject({ name: "InvalidPartOrder" });
    expect(await refusal(complete(begun, [{ PartNumber: 3, ETag: one.ETag }]))).toMatchObject({ name: "InvalidPart" });
    const path = `/${bucket}/refused?uploadId=${begun.UploadId}`;
    for (const body of [
      "",
      "<CompleteMultipartUpload/>",
      "<CompleteMultipartUpload><Part></CompleteMultipartUpload>",
    ]) {
      const raw = await s3.raw("POST", path, { body });
      expect([raw.status, raw.text]).toEqual([400, expect.stringContaining("<Code>MalformedXML</Code>")]);
    }
    for (const number of ["0", "10001", "x", ""]) {
      const raw = await s3.raw("PUT", `${path}&partNumber=${number}`, { body: "x" });
      expect(raw.text).toContain("<Code>InvalidArgument</Code>");
    }
    await complete(begun, parts.slice(1));
    expect((await read("refused")).bytes.toString()).toBe("the last one may be small");
  });

  it("leaves nothing when it is aborted", async () => {
    const begun = await begin("aborted");
    const one = await upload(begun, 1, "x");
    await s3.client.send(new AbortMultipartUploadCommand(begun));
    const gone = { name: "NoSuchUpload", status: 404 };
    expect(await refusal(s3.client.send(new AbortMultipartUploadCommand(begun)))).toEqual(gone);
    expect(await refusal(upload(begun, 2, "y"))).toEqual(gone);
    expect(await refusal(complete(begun, [{ PartNumber: 1, ETag: one.ETag }]))).toEqual(gone);
    expect(await refusal(s3.client.send(new ListPartsCommand(begun)))).toEqual(gone);
    expect((await refusal(read("aborted"))).name).toBe("NoSuchKey");
  });

  it("that two complete at once is completed once", async () => {
    const begun = await begin("raced");
    const { ETag } = await upload(begun, 1, randomBytes(2_000_000));
    const parts = [{ PartNumber: 1, ETag }];
    const outcomes = await Promise.allSettled([complete(begun, parts), complete(begun, parts), complete(begun, parts)]);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason.name).toBe("NoSuchUpload");
    }
    expect((await read("raced")).ContentLength).toBe(2_000_000);
  });
});

describe("UploadPartCopy", () => {
  it("copies an object, or a range of it", async () => {
    const source = randomBytes(partBytesMin + 100);
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: "source é/1", Body: source }));
    const begun = await begin("copied");
    const CopySource = `${bucket}/${encodeURIComponent("source é/1")}`;
    const copy = (PartNumber: number, CopySourceRange?: string) =>
      s3.client.send(new UploadPartCopyCommand({ ...begun, PartNumber, CopySource, CopySourceRange }));
    const one = await copy(1);
    const two = await copy(2, "bytes=10-19");
    expect(one.CopyPartResult?.ETag).toBe(`"${md5(source).digest("hex")}"`);
    expect(await refusal(copy(3, `bytes=0-${source.length}`))).toMatchObject({ name: "InvalidArgument" });
    expect(await refusal(copy(3, "bytes=5-"))).toMatchObject({ name: "InvalidArgument" });
    await complete(begun, [
      { PartNumber: 1, ETag: one.CopyPartResult?.ETag },
      { PartNumber: 2, ETag: two.CopyPartResult?.ETag },
    ]);
    expect((await read("copied")).bytes.equals(Buffer.concat([source, source.subarray(10, 20)]))).toBe(true);
  });
});

describe("checksums of multipart uploads", () => {
  it("COMPOSITE: the checksum of the parts' checksums", async () => {
    const [first, second] = [randomBytes(partBytesMin), randomBytes(10)];
    const begun = await begin("composite", { ChecksumAlgorithm: "SHA256" });
    const one = await upload(begun, 1, first, { ChecksumAlgorithm: "SHA256" });
    const two = await upload(begun, 2, second, { ChecksumAlgorithm: "SHA256" });
    const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest();
    expect(two.ChecksumSHA256).toBe(sha(second).toString("base64"));
    const part = (PartNumber: number, sent: typeof one) => ({
      PartNumber,
      ETag: sent.ETag,
      ChecksumSHA256: sent.ChecksumSHA256,
    });
    const wrong = { ...part(2, two), ChecksumSHA256: one.ChecksumSHA256 };
    expect(await refusal(complete(begun, [part(1, one), wrong]))).toMatchObject({ name: "InvalidPart" });
    const done = await complete(begun, [part(1, one), part(2, two)]);
    const expected = `${sha(Buffer.concat([sha(first), sha(second)])).toString("base64")}-2`;
    expect(done).toMatchObject({ ChecksumSHA256: expected, ChecksumType: "COMPOSITE" });
    expect(await read("composite", { ChecksumMode: "ENABLED" })).toMatchObject({ ChecksumSHA256: expected });
  });

  it("FULL_OBJECT: the checksum of all bytes, and checked where it is given", async () => {
    const [first, second] = [randomBytes(partBytesMin), randomBytes(10)];
    const whole = await s3.client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: "flat",
        Body: Buffer.concat([first, second]),
        ChecksumAlgorithm: "CRC32",
      }),
    );
    const begun = await begin("full", { ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    const parts = [await upload(begun, 1, first), await upload(begun, 2, second)].map(
      ({ ETag, ChecksumCRC32 }, index) => ({
        PartNumber: index + 1,
        ETag,
        ChecksumCRC32,
      }),
    );
    const bad = complete(begun, parts, { ChecksumCRC32: "AAAAAA==", ChecksumType: "FULL_OBJECT" });
    expect(await refusal(bad)).toEqual({ name: "BadDigest", status: 400 });
    const done = await complete(begun, parts, { ChecksumCRC32: whole.ChecksumCRC32, ChecksumType: "FULL_OBJECT" });
    expect(done).toMatchObject({ ChecksumCRC32: whole.ChecksumCRC32, ChecksumType: "FULL_OBJECT" });
    // The SDK checks the bytes against the checksum that it gets.
    expect((await read("full", { ChecksumMode: "ENABLED" })).bytes.length).toBe(partBytesMin + 10);
  });

  it("kinds that do not go together are refused", async () => {
    expect(await refusal(begin("k", { ChecksumAlgorithm: "SHA1", ChecksumType: "FULL_OBJECT" }))).toEqual({
      name: "InvalidRequest",
      status: 400,
    });
  });
});

describe("listings of uploads", () => {
  it("ListParts in pages", async () => {
    const begun = await begin("parts");
    for (const number of [3, 1, 20, 10]) await upload(begun, number, `part ${number}`);
    const numbers: (number | undefined)[] = [];
    for (let PartNumberMarker: string | undefined; ; ) {
      const page = await s3.client.send(new ListPartsCommand({ ...begun, MaxParts: 3, PartNumberMarker }));
      numbers.push(...(page.Parts ?? []).map(({ PartNumber }) => PartNumber));
      if (!page.IsTruncated) break;
      PartNumberMarker = page.NextPartNumberMarker;
    }
    expect(numbers).toEqual([1, 3, 10, 20]);
    const all = await s3.client.send(new ListPartsCommand(begun));
    expect(all.Parts?.[0]).toMatchObject({ Size: 6, ETag: `"${md5(Buffer.from("part 1")).digest("hex")}"` });
  });

  it("ListMultipartUploads by prefix, delimiter and in pages", async () => {
    const begun: Begun[] = [];
    for (const key of ["l/b", "l/a", "l/c/1", "l/c/2", "l/a"]) begun.push(await begin(key));
    const list = (input: object) => s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket, ...input }));
    const all = await list({ Prefix: "l/" });
    expect(all.Uploads?.map(({ Key }) => Key)).toEqual(["l/a", "l/a", "l/b", "l/c/1", "l/c/2"]);
    const rolled = await list({ Prefix: "l/", Delimiter: "/" });
    expect(rolled.CommonPrefixes).toEqual([{ Prefix: "l/c/" }]);
    expect(rolled.Uploads?.map(({ Key }) => Key)).toEqual(["l/a", "l/a", "l/b"]);
    const seen: (string | undefined)[] = [];
    for (let markers = {}; ; ) {
      const page = await list({ Prefix: "l/", MaxUploads: 1, ...markers });
      seen.push(...(page.Uploads ?? []).map(({ UploadId }) => UploadId));
      if (!page.IsTruncated) break;
      markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
    expect(seen).toEqual(all.Uploads?.map(({ UploadId }) => UploadId));
    for (const one of begun) await s3.client.send(new AbortMultipartUploadCommand(one));
  });
});
