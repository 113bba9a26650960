import { createHash } from "node:crypto";
import http from "node:http";
import { Readable } from "node:stream";
import { CopyObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ChecksumAlgorithm, startChecksum } from "../../lib/local/s3/checksums.js";
import { bucket, type Running, refusal, startWithBucket } from "./s3-fixture.js";

let s3: Running;
beforeAll(async () => {
  s3 = await startWithBucket();
});
afterAll(() => s3.stop());

const text = async (Key: string) =>
  (await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body?.transformToString();
const absent = async (Key: string) =>
  expect((await refusal(s3.client.send(new GetObjectCommand({ Bucket: bucket, Key })))).name).toBe("NoSuchKey");
const path = (key: string) => `/${bucket}/${key}`;

describe("checksum algorithms", () => {
  // The check values of the catalogue of parametrised CRC algorithms, and of the SHA standards, for "123456789".
  it.each<[ChecksumAlgorithm, string]>([
    ["crc32", "cbf43926"],
    ["crc32c", "e3069283"],
    ["crc64nvme", "ae8b14860a799888"],
    ["sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"],
    ["sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"],
  ])("%s", (algorithm, hex) => {
    const running = startChecksum(algorithm);
    for (const chunk of ["1234", "", "56789"]) running.update(Buffer.from(chunk));
    expect(running.finish().toString("hex")).toBe(hex);
  });
});

describe("checksums of objects", () => {
  it.each(["CRC32", "CRC32C", "SHA1", "SHA256"] as const)("%s is checked, kept and given back", async (algorithm) => {
    const input = { Bucket: bucket, Key: algorithm, Body: "checked", ChecksumAlgorithm: algorithm };
    const written = await s3.client.send(new PutObjectCommand(input));
    const name = `Checksum${algorithm}` as const;
    const running = startChecksum(algorithm.toLowerCase() as ChecksumAlgorithm);
    running.update(Buffer.from("checked"));
    expect(written[name]).toBe(running.finish().toString("base64"));
    const ask = { Bucket: bucket, Key: algorithm, ChecksumMode: "ENABLED" as const };
    expect((await s3.client.send(new HeadObjectCommand(ask)))[name]).toBe(written[name]);
    expect(await text(algorithm)).toBe("checked");
    const wrong = { ...input, Key: `${algorithm}-wrong`, Body: "other", [name]: written[name] };
    expect(await refusal(s3.client.send(new PutObjectCommand(wrong)))).toEqual({ name: "BadDigest", status: 400 });
    await absent(`${algorithm}-wrong`);
  });

  it("are not sent unless they are asked for, nor with a range", async () => {
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: "quiet", Body: "quiet" }));
    const plain = await s3.raw("GET", path("quiet"));
    expect(plain.headers["x-amz-checksum-crc32"]).toBeUndefined();
    const asked = await s3.raw("GET", path("quiet"), { headers: { "x-amz-checksum-mode": "ENABLED" } });
    expect(asked.headers).toMatchObject({ "x-amz-checksum-type": "FULL_OBJECT" });
    const ranged = { range: "bytes=0-1", "x-amz-checksum-mode": "ENABLED" };
    const part = await s3.raw("GET", path("quiet"), { headers: ranged });
    expect([part.text, part.headers["x-amz-checksum-crc32"]]).toEqual(["qu", undefined]);
  });

  it("crc64nvme, and several at once", async () => {
    const sum = startChecksum("crc64nvme");
    sum.update(Buffer.from("x"));
    const headers = { "x-amz-checksum-crc64nvme": sum.finish().toString("base64") };
    expect((await s3.raw("PUT", path("nvme"), { headers, body: "x" })).headers).toMatchObject(headers);
    expect((await s3.raw("PUT", path("nvme"), { headers, body: "y" })).text).toContain("<Code>BadDigest</Code>");
    const several = { ...headers, "x-amz-checksum-crc32": "AAAAAA==" };
    expect((await s3.raw("PUT", path("nvme"), { headers: several })).text).toContain("<Code>InvalidRequest</Code>");
    expect(await text("nvme")).toBe("x");
  });

  it("a copy has that of its source, or of the algorithm that was asked for", async () => {
    await s3.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: "summed", Body: "summed", ChecksumAlgorithm: "SHA1" }),
    );
    const copy = { Bucket: bucket, Key: "summed-copy", CopySource: `${bucket}/summed` };
    const sha1 = createHash("sha1").update("summed").digest("base64");
    const same = await s3.client.send(new CopyObjectCommand(copy));
    expect(same.CopyObjectResult?.ChecksumSHA1).toBe(sha1);
    const other = await s3.client.send(new CopyObjectCommand({ ...copy, ChecksumAlgorithm: "SHA256" }));
    const sha256 = createHash("sha256").update("summed").digest("base64");
    expect(other.CopyObjectResult?.ChecksumSHA256).toBe(sha256);
  });
});

describe("Content-MD5 and the signed SHA-256", () => {
  const md5 = createHash("md5").update("body").digest("base64");
  const sha256 = createHash("sha256").update("body").digest("hex");

  it("are held against the body", async () => {
    const put = (headers: Record<string, string>, body = "body") => s3.raw("PUT", path("md5"), { headers, body });
    expect((await put({ "content-md5": md5 })).status).toBe(200);
    expect((await put({ "content-md5": md5 }, "other")).text).toContain("<Code>BadDigest</Code>");
    expect((await put({ "content-md5": "bm9uZQ==" })).text).toContain("<Code>InvalidDigest</Code>");
    expect((await put({ "x-amz-content-sha256": sha256 })).status).toBe(200);
    expect((await put({ "x-amz-content-sha256": sha256 }, "other")).text).toContain(
      "<Code>XAmzContentSHA256Mismatch</Code>",
    );
    expect((await put({ "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }, "body")).status).toBe(200);
    expect(await text("md5")).toBe("body");
  });
});

describe("aws-chunked framing", () => {
  const framed = (pieces: readonly string[], trailer = "") =>
    `${pieces.map((piece) => `${Buffer.byteLength(piece).toString(16)};chunk-signature=ab\r\n${piece}\r\n`).join("")}0;chunk-signature=cd\r\n${trailer}\r\n`;
  const streaming = { "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "content-encoding": "aws-chunked" };
  const put = (key: string, body: string, headers: Record<string, string | number> = {}) =>
    s3.raw("PUT", path(key), { headers: { ...streaming, ...headers }, body });

  it("is taken off", async () => {
    expect(
      (await put("framed", framed(["hello ", "wörld", "\r\n0\r\n"]), { "content-encoding": "aws-chunked,gzip" }))
        .status,
    ).toBe(200);
    const raw = await s3.raw("GET", path("framed"));
    expect([raw.text, raw.headers["content-encoding"]]).toEqual(["hello wörld\r\n0\r\n", "gzip"]);
    expect((await put("framed", framed([]))).status).toBe(200);
    const empty = await s3.raw("GET", path("framed"));
    expect([empty.text, empty.headers["content-encoding"]]).toEqual(["", undefined]);
  });

  it("checks the trailer", async () => {
    const trailer = (value: string) => `x-amz-checksum-crc32:${value}\r\n`;
    const announced = {
      "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      "x-amz-trailer": "x-amz-checksum-crc32",
      "x-amz-decoded-content-length": 9,
    };
    const right = await put("trailed", framed(["123456789"], trailer("y/Q5Jg==")), announced);
    expect(right.headers["x-amz-checksum-crc32"]).toBe("y/Q5Jg==");
    const wrong = await put("trailed", framed(["123456780"], trailer("y/Q5Jg==")), announced);
    expect(wrong.text).toContain("<Code>BadDigest</Code>");
    expect(await text("trailed")).toBe("123456789");
  });

  it("that is broken or too short is refused, and stores nothing", async () => {
    const bodies = [
      "",
      "x",
      "zz\r\nab\r\n0\r\n\r\n",
      "5\r\nabc",
      "3\r\nabcd\r\n0\r\n\r\n",
      "3\r\nabc\r\n",
      "9".repeat(20_000),
    ];
    for (const body of bodies) {
      const answer = await put("broken", body);
      expect([body.slice(0, 20), answer.text]).toEqual([body.slice(0, 20), expect.stringContaining("IncompleteBody")]);
    }
    const short = await put("broken", framed(["abc"]), { "x-amz-decoded-content-length": 4 });
    expect(short.text).toContain("<Code>IncompleteBody</Code>");
    await absent("broken");
  });

  it("with a size line that never ends is refused before the body does", async () => {
    const status = await new Promise((resolve, reject) => {
      const headers = { ...streaming, "content-length": 1_000_000 };
      const sent = http.request({ host: "127.0.0.1", port: s3.port, method: "PUT", path: path("endless"), headers });
      sent.on("error", reject).on("response", (answer) => {
        resolve(answer.statusCode);
        sent.destroy();
      });
      sent.write("0".repeat(20_000));
    });
    expect(status).toBe(400);
  });

  it("as the SDK sends a stream", async () => {
    const pieces = Array.from({ length: 300 }, (_, index) => `piece ${index};`.repeat(200));
    const Body = Readable.from(pieces.map((piece) => Buffer.from(piece)));
    const whole = pieces.join("");
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: "stream", Body, ContentLength: whole.length }));
    const answer = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: "stream" }));
    expect(answer.ContentEncoding).toBeUndefined();
    expect(await answer.Body?.transformToString()).toBe(whole);
  });

  it("a stream of unknown length without it is not implemented, as in S3", async () => {
    const answer = await fetch(`http://127.0.0.1:${s3.port}${path("unknown")}`, {
      method: "PUT",
      body: Readable.toWeb(Readable.from([Buffer.from("x")])) as ReadableStream,
      duplex: "half",
    } as RequestInit);
    expect(answer.status).toBe(501);
    await absent("unknown");
  });
});
