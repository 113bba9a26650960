import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openS3 } from "../../lib/local/s3/server.js";
import { bucket, type Running, startWithBucket } from "./s3-fixture.js";

let s3: Running;
beforeAll(async () => {
  s3 = await startWithBucket();
});
afterAll(() => s3.stop());

describe("virtual-host style", () => {
  it.each([
    `${bucket}.localhost`,
    `${bucket}.localhost:4566`,
    `${bucket}.s3.eu-west-1.amazonaws.com`,
    `${bucket}.s3.localhost:80`,
  ])("%s", async (host) => {
    await s3.raw("PUT", "/virtual/key", { headers: { host }, body: host });
    expect((await s3.raw("GET", `/${bucket}/virtual/key`)).text).toBe(host);
    expect((await s3.raw("GET", "/?list-type=2", { headers: { host } })).text).toContain("<Key>virtual/key</Key>");
  });

  it.each(["localhost:1", "s3.localhost", "127.0.0.1", "s3.eu-west-1.amazonaws.com"])(
    "%s names no bucket",
    async (host) => {
      expect((await s3.raw("GET", "/", { headers: { host } })).text).toContain("ListAllMyBucketsResult");
    },
  );
});

describe("presigned URLs", () => {
  const signature =
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Expires=900&X-Amz-Signature=00";

  it("work, and their query's headers count, but no checksum of an empty body", async () => {
    const hoisted =
      "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-amz-meta-colour=blue&x-id=PutObject";
    const put = await s3.raw("PUT", `/${bucket}/signed?${signature}&${hoisted}`, { body: "body" });
    expect(put.status).toBe(200);
    const get = await s3.raw("GET", `/${bucket}/signed?${signature}&response-content-type=text%2Fx&x-id=GetObject`);
    expect([get.text, get.headers["x-amz-meta-colour"], get.headers["content-type"]]).toEqual([
      "body",
      "blue",
      "text/x",
    ]);
  });
});

describe("headers in the query", () => {
  it("that HTTP could not carry back are refused", async () => {
    for (const query of ["x-amz-meta-a=%0Ab", "x-amz-meta-a%20b=c", "x-amz-meta-a=%F0%9F%97%9D"]) {
      const answer = await s3.raw("PUT", `/${bucket}/unsent?${query}`, { body: "body" });
      expect([query, answer.status]).toEqual([query, 400]);
    }
    await s3.raw("PUT", `/${bucket}/sent`, { body: "body" });
    expect((await s3.raw("GET", `/${bucket}/sent?response-content-type=a%0Ab`)).status).toBe(400);
  });
});

describe("connections", () => {
  it("are kept after refusals of large bodies", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    for (let round = 0; round < 4; round++) {
      const status = await new Promise((resolve, reject) => {
        const headers = { "content-length": 3_000_000 };
        const path = "/no-such-bucket/k";
        const sent = http.request({ port: s3.port, host: "127.0.0.1", method: "PUT", path, agent, headers });
        sent.on("error", reject).on("socket", (socket) => sockets.add(socket));
        sent.on("response", (answer) => answer.resume().on("end", () => resolve(answer.statusCode)));
        sent.end(Buffer.alloc(3_000_000));
      });
      expect(status).toBe(404);
    }
    expect(sockets.size).toBeLessThan(4);
    agent.destroy();
  });

  it("HEAD has the length and no body", async () => {
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: "headed", Body: "12345" }));
    const head = await s3.raw("HEAD", `/${bucket}/headed`);
    expect([head.status, head.headers["content-length"], head.text]).toEqual([200, "5", ""]);
    const absent = await s3.raw("HEAD", `/${bucket}/absent`);
    expect([absent.status, absent.text]).toEqual([404, ""]);
  });
});

describe("HTTP/2", () => {
  it("is served by the same handler", async () => {
    const other = openS3({ directory: null });
    const handle = other.handle as unknown as (
      request: http2.Http2ServerRequest,
      response: http2.Http2ServerResponse,
    ) => void;
    const server = http2.createServer(handle).listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const send = (method: string, path: string, body?: Buffer, headers = {}) =>
      new Promise<{ status: number | undefined; bytes: Buffer; headers: http2.IncomingHttpHeaders }>(
        (resolve, reject) => {
          const stream = session.request(
            { ":method": method, ":path": path, ...headers },
            { endStream: body === undefined },
          );
          let answered: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
          const chunks: Buffer[] = [];
          stream.on("response", (found) => {
            answered = found;
          });
          stream.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", reject);
          stream.on("end", () =>
            resolve({ status: answered[":status"], bytes: Buffer.concat(chunks), headers: answered }),
          );
          if (body) stream.end(body);
        },
      );
    const large = Buffer.alloc(2_000_000, 5);
    expect((await send("PUT", `/${bucket}`)).status).toBe(200);
    expect((await send("PUT", `/${bucket}/k`, large, { "x-amz-meta-a": "b" })).status).toBe(200);
    const got = await send("GET", `/${bucket}/k`);
    expect([got.status, got.bytes.equals(large), got.headers["x-amz-meta-a"]]).toEqual([200, true, "b"]);
    expect((await send("GET", `/${bucket}/k`, undefined, { range: "bytes=0-0" })).bytes).toEqual(Buffer.from([5]));
    expect((await send("HEAD", `/${bucket}/k`)).headers["content-length"]).toBe("2000000");
    expect((await send("GET", `/${bucket}/absent`)).bytes.toString()).toContain("NoSuchKey");
    expect((await send("DELETE", `/${bucket}/k`)).status).toBe(204);
    session.close();
    await new Promise((closed) => server.close(closed));
    await other.close();
  });
});
