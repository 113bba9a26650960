// The sink on S3's own answers: rules, missing and refused buckets, and what a reader finds.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type LifecycleRule,
  ListMultipartUploadsCommand,
  PutBucketLifecycleConfigurationCommand,
} from "@aws-sdk/client-s3";
import { jsonLines, s3Files } from "tidemark";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { awsClients } from "../../lib/connectors/clients.js";
import { s3Objects } from "../../lib/connectors/s3-objects.js";
import { systemClock } from "../../lib/ports/clock.js";
import type { Objects } from "../../lib/ports/objects.js";
import { permitFor } from "../../lib/testing/conformance/sink-permits.js";
import { type Cloud, openCloud } from "../conformance/aws-cloud.js";
import { sinkResources } from "../unit/sink-samples.js";

let cloud: Cloud;
beforeAll(async () => {
  cloud = await openCloud();
});
afterAll(() => cloud.close());

interface Row {
  readonly n: number;
}

function writerOf(bucket: string, objects: Objects = s3Objects(cloud.clients.s3)) {
  const sink = s3Files<Row>({ bucket, prefix: "rows", format: jsonLines({ compression: "gzip" }), rollBytes: 1_024 });
  if (sink.delivery !== "two-phase") throw new Error("it is not two-phase");
  const stage = { task: "out-i-0.0-", session: "out-i-0.0-1-s" };
  return sink.open(sinkResources({ objects, stage, clock: systemClock, bind: (_, name) => name }));
}

const setRules = (Bucket: string, ...Rules: LifecycleRule[]) =>
  cloud.clients.s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));

const enabled = (Prefix: string, more: Partial<LifecycleRule>): LifecycleRule => ({
  ID: "tidy",
  Status: "Enabled",
  Filter: { Prefix },
  ...more,
});

describe("C4 lifecycle rules of the bucket", () => {
  it("C4 one that would expire what is staged is refused at the start, by its name", async () => {
    const bucket = await cloud.createBucket();
    for (const prefix of ["", "rows/", "rows/_tidemark/"]) {
      await setRules(bucket, enabled(prefix, { Expiration: { Days: 7 } }));
      await expect(writerOf(bucket).check()).rejects.toMatchObject({
        kind: "invalid",
        message: expect.stringContaining(`lifecycle rule "tidy" expires objects after 7 days beneath "${prefix}"`),
      });
    }
    await setRules(bucket, enabled("other/", { Expiration: { Days: 7 } }));
    await writerOf(bucket).check();
  });

  // FLINK-40595: a rule aborted the uploads of parts that a checkpoint listed, before the commit completed them.
  it("FLINK-40595 nothing between preparation and commit is an upload that a rule could abort", async () => {
    const bucket = await cloud.createBucket();
    await setRules(bucket, enabled("", { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }));
    const writer = writerOf(bucket);
    await writer.check();
    const rows = Array.from({ length: 5_000 }, (_, n) => ({ n }));
    for (const row of rows) writer.write(row);
    const prepared = (await writer.seal("out-1")?.prepare())?.prepared ?? null;
    const open = await cloud.clients.s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(open.Uploads ?? []).toEqual([]);
    const objects = s3Objects(cloud.clients.s3);
    const staged: number[] = [];
    for await (const { size } of objects.list(bucket, "rows/_tidemark/staged/")) staged.push(size);
    const { files } = prepared as unknown as { readonly files: readonly { readonly bytes: number }[] };
    expect(staged.toSorted()).toEqual(files.map(({ bytes }) => bytes).toSorted());
    expect(staged.length).toBeGreaterThan(1);
    await writer.commit(prepared, permitFor(9));
    const shown: string[] = [];
    for await (const { key } of objects.list(bucket, "rows/out-")) shown.push(key);
    expect(shown).toHaveLength(staged.length);
  });
});

describe("a bucket that cannot be used", () => {
  it("does not exist", async () => {
    await expect(writerOf("no-such-bucket").check()).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(
        /S3 bucket "no-such-bucket".*does not exist in this account and region; create it/,
      ),
    });
  });

  it.each([
    ["refused", 403, "AccessDenied", /access denied; the role needs s3:GetObject, s3:PutObject/],
    ["in another region", 301, "PermanentRedirect", /it is in another region; set AWS_REGION to that/],
  ])("is %s", async (_, status, code, message) => {
    const server = createServer((request, response) => {
      request.resume();
      const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as S3 says it</Message></Error>`;
      response.writeHead(status, { "content-type": "application/xml", "content-length": Buffer.byteLength(body) });
      response.end(request.method === "HEAD" ? undefined : body);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    const credentials = { accessKeyId: "a", secretAccessKey: "b" };
    const clients = awsClients({ endpoint: `http://127.0.0.1:${port}`, region: "us-east-1", credentials });
    const checked = writerOf("theirs", s3Objects(clients.s3)).check();
    await expect(checked).rejects.toMatchObject({ kind: "invalid", message: expect.stringMatching(message) });
    clients.destroy();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
});
