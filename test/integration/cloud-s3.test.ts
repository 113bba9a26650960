import { connect } from "node:http2";
import { Readable } from "node:stream";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddedCloud, startCloud } from "../../lib/local/cloud/server.js";
import { failure, s3At } from "./cloud-clients.js";

let cloud: EmbeddedCloud;
beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
});
afterAll(() => cloud.close());

describe("embedded S3 behind the cloud's port", () => {
  it("stores objects, one creator of a name wins, and streams arrive without their framing", async () => {
    const s3 = s3At(cloud.endpoint);
    const Bucket = "bucket-one";
    await s3.send(new CreateBucketCommand({ Bucket }));
    const creating = Array.from({ length: 10 }, (_, index) =>
      s3.send(new PutObjectCommand({ Bucket, Key: "a/b", Body: `by ${index}`, IfNoneMatch: "*" })).then(
        () => `by ${index}`,
        () => undefined,
      ),
    );
    const winners = (await Promise.all(creating)).filter((winner) => winner !== undefined);
    expect(winners).toHaveLength(1);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a/b" }));
    expect(await got.Body?.transformToString()).toBe(winners[0]);
    const Body = Readable.from(["one ", "two"]);
    await s3.send(new PutObjectCommand({ Bucket, Key: "framed", Body, ContentLength: 7 }));
    expect(await (await s3.send(new GetObjectCommand({ Bucket, Key: "framed" }))).Body?.transformToString()).toBe(
      "one two",
    );
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(["a/b", "framed"]);
    expect((await failure(s3.send(new GetObjectCommand({ Bucket, Key: "none" })))).name).toBe("NoSuchKey");
    s3.destroy();
  });

  it("speaks HTTP/2 too", async () => {
    const session = connect(cloud.endpoint);
    const ask = (method: string, path: string, body?: string) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const stream = session.request({ ":method": method, ":path": path, authorization: "AWS4-HMAC-SHA256 x" });
        let status = 0;
        let text = "";
        stream.on("response", (headers) => {
          status = Number(headers[":status"]);
        });
        stream.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        stream.on("end", () => resolve({ status, text }));
        stream.on("error", reject);
        stream.end(body);
      });
    expect((await ask("PUT", "/bucket-two")).status).toBe(200);
    expect((await ask("PUT", "/bucket-two/key", "hello")).status).toBe(200);
    expect(await ask("GET", "/bucket-two/key")).toEqual({ status: 200, text: "hello" });
    expect((await ask("GET", "/bucket-two/none")).status).toBe(404);
    session.close();
  });
});
