import {
  CopyObjectCommand,
  type CopyObjectCommandInput,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseXml } from "../../lib/local/s3/xml.js";
import { bucket, type Running, refusal, startWithBucket } from "./s3-fixture.js";

let s3: Running;
beforeAll(async () => {
  s3 = await startWithBucket();
});
afterAll(() => s3.stop());

const put = (Key: string, Body = "body", input = {}) =>
  s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...input }));
const head = (Key: string) => s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key }));
const text = async (Key: string) =>
  (await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body?.transformToString();

describe("CopyObject", () => {
  const copy = (Key: string, CopySource: string, input: Partial<CopyObjectCommandInput> = {}) =>
    s3.client.send(new CopyObjectCommand({ Bucket: bucket, Key, CopySource, ...input }));

  it("takes a source that is encoded, in part, wholly or not at all, with a slash or without", async () => {
    const key = "from é/a b+c.txt";
    await put(key);
    const plain = "plain/key";
    await put(plain);
    const sources = [
      `${bucket}/${encodeURIComponent(key)}`,
      encodeURIComponent(`${bucket}/${key}`),
      `/${bucket}/${encodeURI(key)}`,
      `${bucket}/${plain}`,
    ];
    for (const [index, source] of sources.entries()) {
      await copy(`to-${index}`, source);
      expect(await text(`to-${index}`)).toBe("body");
    }
    const utf8 = Buffer.from(`${bucket}/${key}`, "utf8").toString("latin1");
    const raw = await s3.raw("PUT", `/${bucket}/to-raw`, { headers: { "x-amz-copy-source": utf8 } });
    expect(raw.status).toBe(200);
    expect(await text("to-raw")).toBe("body");
  });

  it("COPY keeps what was said of the source, REPLACE takes what the copy says", async () => {
    const said = { Metadata: { a: "1" }, ContentType: "text/a", CacheControl: "no-cache", Tagging: "t=1" };
    const { ETag } = await put("said", "body", said);
    await copy("kept", `${bucket}/said`, { Metadata: { b: "2" }, ContentType: "text/b" });
    expect(await head("kept")).toMatchObject({ ETag, Metadata: { a: "1" }, ContentType: "text/a", TagCount: 1 });
    const anew = { MetadataDirective: "REPLACE", Metadata: { b: "2" }, ContentType: "text/b" } as const;
    await copy("replaced", `${bucket}/said`, anew);
    const replaced = await head("replaced");
    expect(replaced).toMatchObject({ ETag, Metadata: { b: "2" }, ContentType: "text/b" });
    expect(replaced.CacheControl).toBeUndefined();
    await copy("retagged", `${bucket}/said`, { TaggingDirective: "REPLACE", Tagging: "x=1&y=2" });
    expect(await head("retagged")).toMatchObject({ Metadata: { a: "1" }, TagCount: 2 });
  });

  it("onto itself must change something", async () => {
    await put("self", "body", { Metadata: { a: "1" } });
    expect(await refusal(copy("self", `${bucket}/self`))).toEqual({ name: "InvalidRequest", status: 400 });
    await copy("self", `${bucket}/self`, { MetadataDirective: "REPLACE", Metadata: { a: "2" } });
    expect(await head("self")).toMatchObject({ Metadata: { a: "2" }, ContentLength: 4 });
  });

  it("of something that is not there, or from nowhere, is refused", async () => {
    expect(await refusal(copy("x", `${bucket}/absent`))).toEqual({ name: "NoSuchKey", status: 404 });
    expect((await refusal(copy("x", "no-such-bucket/k"))).name).toBe("NoSuchBucket");
    expect((await refusal(copy("x", "no-key"))).name).toBe("InvalidArgument");
    expect((await refusal(copy("x", `${bucket}/said`, { MetadataDirective: "MERGE" as "COPY" }))).name).toBe(
      "InvalidArgument",
    );
  });

  it("stays when its source goes", async () => {
    await put("short-lived", "x".repeat(1_000_000));
    await copy("long-lived", `${bucket}/short-lived`);
    await s3.client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: "short-lived" }] } }));
    expect(await text("long-lived")).toBe("x".repeat(1_000_000));
  });
});

describe("DeleteObjects", () => {
  const remove = (keys: readonly string[], Quiet?: boolean) =>
    s3.client.send(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys.map((Key) => ({ Key })), Quiet } }),
    );

  it("takes keys of every kind, also those that look like numbers, and those that are not there", async () => {
    const keys = ["1", "007", "1e3", "true", " spaced ", "a&b<c>\"'", "line\nand\rreturn", "é🗝", "&amp;", "]]>"];
    for (const key of keys) await put(`${key}`);
    const answer = await remove([...keys, "never there"]);
    expect(answer.Deleted?.map(({ Key }) => Key)).toEqual([...keys, "never there"]);
    for (const key of keys) expect((await refusal(head(key))).status).toBe(404);
  });

  it("says nothing when it is quiet", async () => {
    await put("quiet");
    expect((await remove(["quiet"], true)).Deleted).toBeUndefined();
    expect((await refusal(head("quiet"))).status).toBe(404);
  });

  it("refuses what is no such document, over 1,000 keys, and a damaged one", async () => {
    const post = (body: string, headers = {}) => s3.raw("POST", `/${bucket}?delete`, { body, headers });
    await put("safe");
    const item = "<Object><Key>safe</Key></Object>";
    const bodies = [
      "",
      "<Delete/>",
      "<Delete>",
      `<Remove>${item}</Remove>`,
      `<Delete>${item.repeat(1001)}</Delete>`,
      "<Delete><Object></Object></Delete>",
      "<Delete><Object><Key>safe</Key><Key>safe</Key></Object></Delete>",
      "<Delete><Object><Key>&unknown;</Key></Object></Delete>",
      `<!DOCTYPE x [<!ENTITY e "safe">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
    ];
    for (const body of bodies) expect((await post(body)).text).toContain("<Code>MalformedXML</Code>");
    const damaged = await post(`<Delete>${item}</Delete>`, { "content-md5": "AAAAAAAAAAAAAAAAAAAAAA==" });
    expect(damaged.text).toContain("<Code>BadDigest</Code>");
    expect(await text("safe")).toBe("body");
  });
});

describe("tags", () => {
  const tags = async (Key: string) =>
    (await s3.client.send(new GetObjectTaggingCommand({ Bucket: bucket, Key }))).TagSet ?? [];
  const tag = (Key: string, TagSet: { Key: string; Value: string }[]) =>
    s3.client.send(new PutObjectTaggingCommand({ Bucket: bucket, Key, Tagging: { TagSet } }));

  it("are put with the object, replaced, counted and deleted", async () => {
    await put("tagged", "body", { Tagging: "a=1&b%20c=%C3%A9" });
    expect(await tags("tagged")).toEqual([
      { Key: "a", Value: "1" },
      { Key: "b c", Value: "é" },
    ]);
    await tag("tagged", [{ Key: "<x>", Value: "" }]);
    expect(await tags("tagged")).toEqual([{ Key: "<x>", Value: "" }]);
    expect((await head("tagged")).TagCount).toBe(1);
    await s3.client.send(new DeleteObjectTaggingCommand({ Bucket: bucket, Key: "tagged" }));
    expect(await tags("tagged")).toEqual([]);
    expect(await text("tagged")).toBe("body");
  });

  it("are limited, and belong to an object", async () => {
    await put("limits");
    const many = Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: "v" }));
    expect((await refusal(tag("limits", many))).name).toBe("InvalidTag");
    expect((await refusal(tag("limits", [...many.slice(0, 1), ...many.slice(0, 1)]))).name).toBe("InvalidTag");
    expect((await refusal(tag("absent", []))).name).toBe("NoSuchKey");
  });
});

describe("the XML of requests", () => {
  it("is read with declarations, namespaces, comments, CDATA, entities and spaces", () => {
    const document = `\ufeff<?xml version="1.0"?>\r\n<!-- <a> --><s:Delete xmlns:s='http://x/'>
      <s:Object a="1" ><Key> &lt;&#65;&#x1F5DD;&amp;amp;&quot;&apos;<![CDATA[<&>]]> </Key></s:Object  ><Quiet/></s:Delete>\n`;
    const [object, quiet] = parseXml(document, "Delete").children;
    expect(object?.children[0]).toMatchObject({ name: "Key", text: " <A🗝&amp;\"'<&> " });
    expect(quiet).toMatchObject({ name: "Quiet", text: "", children: [] });
  });

  it.each([
    "",
    "text",
    "<a>",
    "</a>",
    "<a></b>",
    "<a/><a/>",
    "<a/>text",
    "<b/>",
    "<a>&</a>",
    "<a>&amp</a>",
    "<a>&#xD800;</a>",
    "<a>&#x110000;</a>",
    "<a b=c/>",
    "<a><</a>",
    "<!DOCTYPE a><a/>",
    "<a/ >",
  ])("%s is malformed", (document) => {
    expect(() => parseXml(document, "a")).toThrow(/not well-formed/);
  });
});
