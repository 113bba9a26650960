import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { s3Objects } from "../../lib/connectors/s3-objects.js";
import { bucket, type Running, startS3, startWithBucket } from "./s3-fixture.js";

let s3: Running;
beforeAll(async () => {
  s3 = await startWithBucket();
});
afterAll(() => s3.stop());

const put = (Rules: LifecycleRule[], Bucket = bucket) =>
  s3.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
const get = async (Bucket = bucket) =>
  (await s3.client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules;
const remove = () => s3.client.send(new DeleteBucketLifecycleCommand({ Bucket: bucket }));
const none = { name: "NoSuchLifecycleConfiguration" };

const whole: LifecycleRule = {
  ID: "whole",
  Status: "Enabled",
  Filter: { And: { Prefix: "a&b/", Tags: [{ Key: "k", Value: "<v>" }], ObjectSizeGreaterThan: 5 } },
  Expiration: { Days: 7 },
  Transitions: [{ Days: 1, StorageClass: "GLACIER" }],
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
};

describe("the lifecycle configuration of a bucket", () => {
  it("is kept as it was put, replaced whole, and removed", async () => {
    await expect(get()).rejects.toMatchObject(none);
    await put([whole, { Status: "Disabled", Filter: { Prefix: "" }, Expiration: { Days: 1 } }]);
    expect(await get()).toEqual([
      whole,
      { ID: "rule-2", Status: "Disabled", Filter: { Prefix: "" }, Expiration: { Days: 1 } },
    ]);
    await put([{ ID: "other", Status: "Enabled", Prefix: "old/", Expiration: { Date: new Date("2030-01-01") } }]);
    expect(await get()).toMatchObject([{ ID: "other", Prefix: "old/" }]);
    await remove();
    await remove();
    await expect(get()).rejects.toMatchObject(none);
  });

  it.each([
    ["no rule", [], "MalformedXML"],
    ["no action", [{ Status: "Enabled", Filter: { Prefix: "" } }], "InvalidRequest"],
    ["another status", [{ ...whole, Status: "On" as "Enabled" }], "MalformedXML"],
    ["neither filter nor prefix", [{ Status: "Enabled", Expiration: { Days: 1 } }], "MalformedXML"],
    ["one ID twice", [whole, whole], "InvalidArgument"],
  ] as const)("with %s is refused", async (_, rules, name) => {
    await expect(put([...rules] as LifecycleRule[])).rejects.toMatchObject({ name });
    await expect(get()).rejects.toMatchObject(none);
  });

  it("of a bucket that does not exist is refused", async () => {
    await expect(get("no-such-bucket")).rejects.toMatchObject({ name: "NoSuchBucket" });
    await expect(put([whole], "no-such-bucket")).rejects.toMatchObject({ name: "NoSuchBucket" });
  });

  it("outlives the server", async () => {
    const folder = mkdtempSync(join(tmpdir(), "s3-lifecycle-"));
    const first = await startS3(folder);
    expect((await first.raw("PUT", "/kept")).status).toBe(200);
    const Bucket = "kept";
    const rules = { LifecycleConfiguration: { Rules: [whole] } };
    await first.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, ...rules }));
    await first.stop();
    for (let round = 0; round < 2; round++) {
      const next = await startS3(folder);
      const found = await next.client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      expect(found.Rules).toEqual([whole]);
      await next.stop();
    }
    rmSync(folder, { recursive: true });
  });
});

describe("what of the rules concerns objects without tags", () => {
  it("is what expires them, or moves them to where they cannot be copied from", async () => {
    const rule = (ID: string, more: Partial<LifecycleRule>): LifecycleRule => ({
      ID,
      Status: "Enabled",
      Filter: { Prefix: `${ID}/` },
      ...more,
    });
    const Expiration = { Days: 30 };
    await put([
      rule("days", { Expiration }),
      rule("date", { Expiration: { Date: new Date("2030-02-03T00:00:00Z") } }),
      rule("archive", { Transitions: [{ Days: 3, StorageClass: "DEEP_ARCHIVE" }] }),
      rule("and", { Filter: { And: { Prefix: "and/", ObjectSizeLessThan: 9 } }, Expiration }),
      rule("all", { Filter: { Prefix: "" }, Expiration }),
      rule("off", { Status: "Disabled", Expiration }),
      rule("tag", { Filter: { Tag: { Key: "a", Value: "b" } }, Expiration }),
      rule("tags", { Filter: { And: { Prefix: "x/", Tags: [{ Key: "a", Value: "b" }] } }, Expiration }),
      rule("colder", { Transitions: [{ Days: 30, StorageClass: "GLACIER_IR" }] }),
      rule("old", { NoncurrentVersionExpiration: { NoncurrentDays: 1 } }),
      rule("uploads", { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }),
    ]);
    const found = await s3Objects(s3.client).rules(bucket);
    await remove();
    expect(found).toEqual({
      kind: "known",
      rules: [
        { id: "days", prefix: "days/", effect: "expires objects after 30 days" },
        { id: "date", prefix: "date/", effect: "expires objects on 2030-02-03" },
        { id: "archive", prefix: "archive/", effect: "moves objects to DEEP_ARCHIVE" },
        { id: "and", prefix: "and/", effect: "expires objects after 30 days" },
        { id: "all", prefix: "", effect: "expires objects after 30 days" },
      ],
    });
  });
});
