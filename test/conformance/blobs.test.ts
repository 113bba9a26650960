import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { fileBlobs } from "../../lib/connectors/file-blobs.js";
import { nodeFiles } from "../../lib/connectors/node-files.js";
import { s3Blobs } from "../../lib/connectors/s3-blobs.js";
import { blobsConformance } from "../../lib/testing/conformance/blobs.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

describe("blobs in memory", () => {
  blobsConformance(test, async () => memoryBlobs().blobs);
});

describe("blobs in files", () => {
  const made: string[] = [];
  afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));
  const newFolder = async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-blobs-"));
    made.push(folder);
    return folder;
  };
  blobsConformance(test, async () => fileBlobs(nodeFiles(), await newFolder()));

  it("what was put outlives a crash of the machine, whole", async () => {
    const { files, crash } = memoryFiles();
    await fileBlobs(files, "/blobs").put("a/object", Buffer.from("all of it"));
    crash();
    expect(Buffer.from((await fileBlobs(files, "/blobs").get("a/object")) ?? []).toString()).toBe("all of it");
  });

  it("keys stay within the folder, whatever they are", async () => {
    const folder = await newFolder();
    const blobs = fileBlobs(nodeFiles(), join(folder, "within"));
    for (const key of ["../outside", "..", ".", "/", "a/../../b", ""]) await blobs.put(key, Buffer.from(key));
    expect(await readdir(folder)).toEqual(["within"]);
    for (const key of ["../outside", "..", ".", "/", "a/../../b", ""])
      expect(Buffer.from((await blobs.get(key)) ?? []).toString()).toBe(key);
  });
});

describe("blobs in S3", () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await openCloud();
  });
  afterAll(() => cloud.close());

  describe("in a bucket of their own", () => {
    blobsConformance(test, async () => s3Blobs(cloud.clients.s3, { bucket: await cloud.createBucket() }));
  });
  describe("beneath a prefix, beside others", () => {
    blobsConformance(test, async () => {
      const bucket = await cloud.createBucket();
      await s3Blobs(cloud.clients.s3, { bucket }).put("other/object", new Uint8Array(1));
      return s3Blobs(cloud.clients.s3, { bucket, prefix: "ours/" });
    });
  });
});
