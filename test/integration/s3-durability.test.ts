import { randomBytes } from "node:crypto";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openS3 } from "../../lib/local/s3/server.js";
import {
  bucket,
  contents,
  get,
  put,
  type Running,
  rawRequest,
  refusal,
  startS3,
  startWithBucket,
} from "./s3-fixture.js";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "s3-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe("after a restart", () => {
  it("everything is there: objects, attributes, tags, uploads; and what was deleted is not", async () => {
    const folder = join(directory, "restart");
    const large = randomBytes(3_000_000);
    let s3 = await startS3(folder);
    await s3.client.send(new CreateBucketCommand({ Bucket: bucket }));
    await s3.client.send(new CreateBucketCommand({ Bucket: "second-bucket" }));
    await s3.client.send(new CreateBucketCommand({ Bucket: "third-bucket" }));
    await s3.client.send(new DeleteBucketCommand({ Bucket: "second-bucket" }));
    const input = { Bucket: bucket, Key: "../é🗝", Body: large, Metadata: { a: "b" }, ContentType: "text/x" };
    const written = await s3.client.send(new PutObjectCommand(input));
    const TagSet = [{ Key: "t", Value: "1" }];
    await s3.client.send(new PutObjectTaggingCommand({ Bucket: bucket, Key: input.Key, Tagging: { TagSet } }));
    for (const body of ["one", "two"]) await put(s3.client, "overwritten", body);
    await put(s3.client, "deleted", "x");
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "deleted" }));
    const key = { Bucket: bucket, Key: "uploaded" };
    const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand(key));
    const { ETag } = await s3.client.send(new UploadPartCommand({ ...key, UploadId, PartNumber: 1, Body: "part" }));
    await s3.stop();

    s3 = await startS3(folder);
    expect((await get(s3.client, input.Key)).equals(large)).toBe(true);
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: input.Key }));
    expect(head).toMatchObject({ ETag: written.ETag, Metadata: { a: "b" }, ContentType: "text/x", TagCount: 1 });
    expect((await get(s3.client, "overwritten")).toString()).toBe("two");
    const listed = await s3.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(listed.Contents?.map(({ Key }) => Key)).toEqual([input.Key, "overwritten"]);
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    await s3.client.send(new CompleteMultipartUploadCommand({ ...key, UploadId, MultipartUpload }));
    expect((await get(s3.client, "uploaded")).toString()).toBe("part");
    await s3.client.send(new ListObjectsV2Command({ Bucket: "third-bucket" }));
    expect((await refusal(s3.client.send(new ListObjectsV2Command({ Bucket: "second-bucket" })))).status).toBe(404);
    await s3.stop();
  });

  it("a torn last line of the journal is dropped, and files that nothing names are swept", async () => {
    const folder = join(directory, "torn");
    let s3 = await startS3(folder);
    await s3.client.send(new CreateBucketCommand({ Bucket: bucket }));
    await put(s3.client, "kept", "kept");
    await s3.stop();
    await appendFile(join(folder, bucket, "journal.jsonl"), '{"kind":"put","key":"torn","object":{"con');
    await writeFile(join(folder, bucket, "contents", "nobody"), "half a body");

    s3 = await startS3(folder);
    expect((await get(s3.client, "kept")).toString()).toBe("kept");
    expect((await refusal(get(s3.client, "torn"))).name).toBe("NoSuchKey");
    await put(s3.client, "after", "after");
    await s3.stop();
    expect(await contents(folder)).toHaveLength(2);
    s3 = await startS3(folder);
    expect((await get(s3.client, "after")).toString()).toBe("after");
    await s3.stop();
  });

  it("a journal that is damaged in the middle is an error, not a loss", async () => {
    const folder = join(directory, "damaged");
    const s3 = await startS3(folder);
    await s3.client.send(new CreateBucketCommand({ Bucket: bucket }));
    await put(s3.client, "k", "v");
    await s3.stop();
    const journal = join(folder, bucket, "journal.jsonl");
    await writeFile(journal, `${(await readFile(journal, "utf8")).replace('{"kind":"put"', '{"kind:"put"')}`);
    expect(() => openS3({ directory: folder })).toThrow(/journal\.jsonl:2: not a journal entry/);
  });

  it("the journal of a bucket that is written over and over does not grow for ever", async () => {
    const folder = join(directory, "grown");
    const s3 = await startS3(folder);
    await s3.client.send(new CreateBucketCommand({ Bucket: bucket }));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const write = (index: number) =>
      new Promise<void>((done, failed) => {
        const path = `/${bucket}/k${index % 5}`;
        const sent = http.request({
          port: s3.port,
          host: "127.0.0.1",
          method: "PUT",
          path,
          agent,
          headers: { "content-length": 1 },
        });
        sent.on("error", failed);
        sent.on("response", (answer) => answer.resume().on("end", done));
        sent.end("x");
      });
    for (let index = 0; index < 12_000; index += 4) await Promise.all([0, 1, 2, 3].map((more) => write(index + more)));
    agent.destroy();
    const lines = (await readFile(join(folder, bucket, "journal.jsonl"), "utf8")).split("\n").length;
    expect(lines).toBeLessThan(10_000);
    expect((await get(s3.client, "k3")).toString()).toBe("x");
    await s3.stop();
    expect((await contents(folder)).length).toBeLessThan(12);
  });
});

describe("readers and writers at once", () => {
  let s3: Running;
  beforeAll(async () => {
    s3 = await startWithBucket();
  });
  afterAll(() => s3.stop());

  it("a reader gets one whole version, whatever is written meanwhile", async () => {
    const sizes = [100, 200_000, 1_500_000, 3000];
    const version = (index: number) => Buffer.alloc(sizes[index % sizes.length] ?? 0, index % 251);
    await put(s3.client, "torn", version(0));
    let writing = true;
    const writer = (async () => {
      for (let index = 1; index < 80; index++) await put(s3.client, "torn", version(index));
      writing = false;
    })();
    let reads = 0;
    const seen = new Set<number>();
    const reader = async () => {
      while (writing) {
        const bytes = await get(s3.client, "torn");
        const first = bytes[0] ?? 0;
        expect(bytes.equals(version(first))).toBe(true);
        seen.add(first);
        reads++;
      }
    };
    await Promise.all([writer, reader(), reader(), reader()]);
    expect(reads).toBeGreaterThan(20);
    expect(seen.size).toBeGreaterThan(5);
  });

  it("a reader that is slow keeps the old body when it is overwritten and deleted", async () => {
    const old = randomBytes(8_000_000);
    await put(s3.client, "slow", old);
    const answer = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: "slow" }));
    await put(s3.client, "slow", "new");
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "slow" }));
    expect(Buffer.from((await answer.Body?.transformToByteArray()) ?? []).equals(old)).toBe(true);
  });

  it("a PUT that is broken off leaves the old object, and the server alive", async () => {
    await put(s3.client, "aborted", "old");
    for (const sent of [0, 10, 1_000_000]) {
      await new Promise((closed) => {
        const headers = { "content-length": 2_000_000 };
        const request = http.request({
          port: s3.port,
          host: "127.0.0.1",
          method: "PUT",
          path: `/${bucket}/aborted`,
          headers,
        });
        request.on("error", () => undefined).on("close", closed);
        request.write(Buffer.alloc(sent, 1), () => setTimeout(() => request.destroy(), 50));
      });
      expect((await get(s3.client, "aborted")).toString()).toBe("old");
    }
  });

  it("a reader that goes away does no harm", async () => {
    await put(s3.client, "left", randomBytes(8_000_000));
    for (let round = 0; round < 5; round++) {
      await new Promise((closed) => {
        const request = http.get({ port: s3.port, host: "127.0.0.1", path: `/${bucket}/left` });
        request.on("response", (answer) => answer.once("data", () => request.destroy()));
        request.on("error", () => undefined).on("close", closed);
      });
    }
    expect((await get(s3.client, "left")).length).toBe(8_000_000);
  });

  it("a refused body leaves no file behind", async () => {
    const folder = join(directory, "refused");
    const running = await startS3(folder);
    await running.client.send(new CreateBucketCommand({ Bucket: bucket }));
    await put(running.client, "k", "v");
    const headers = { "if-none-match": "*" };
    const refused = await running.raw("PUT", `/${bucket}/k`, { headers, body: Buffer.alloc(600_000) });
    expect(refused.status).toBe(412);
    const damaged = { "x-amz-checksum-crc32": "AAAAAA==" };
    expect((await running.raw("PUT", `/${bucket}/k`, { headers: damaged, body: "x" })).status).toBe(400);
    await expect.poll(() => contents(folder)).toHaveLength(1);
    await running.stop();
  });
});

describe("after close", () => {
  it("requests are refused, and a temporary folder is gone", async () => {
    const s3 = openS3({ directory: null });
    const server = http.createServer(s3.handle).listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
    const { port } = server.address() as { port: number };
    await rawRequest(port, "PUT", `/${bucket}`, {});
    await s3.close();
    await s3.close();
    const answer = await rawRequest(port, "GET", `/${bucket}/k`, {});
    expect([answer.status, answer.text]).toEqual([503, expect.stringContaining("ServiceUnavailable")]);
    await new Promise((closed) => server.close(closed));
  });
});
