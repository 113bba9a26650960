import { afterAll, beforeAll, describe, test } from "vitest";
import { s3Blobs } from "../../lib/connectors/s3-blobs.js";
import { blobsConformance } from "../../lib/testing/conformance/blobs.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

describe("blobs in memory", () => {
  blobsConformance(test, async () => memoryBlobs().blobs);
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
