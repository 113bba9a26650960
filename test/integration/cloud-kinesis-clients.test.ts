import { setTimeout as pause } from "node:timers/promises";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { decode, encode } from "cbor-x";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddedCloud, startCloud } from "../../lib/local/cloud/server.js";
import { kinesisAt, stockKinesisAt } from "./cloud-clients.js";
import { bytes, first, iterator, newStream, put, read, valuesFrom } from "./cloud-streams.js";

let cloud: EmbeddedCloud;
beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
});
afterAll(() => cloud.close());

describe("embedded Kinesis with the service's limits", () => {
  it("throttles the sixth read of a second, and records over 1,000 a second and shard", async () => {
    const limited = await startCloud({ port: 0, data: null, limits: "real" });
    const kinesis = kinesisAt(limited.endpoint, "HTTP/1.1");
    try {
      await kinesis.send(new CreateStreamCommand({ StreamName: "slow", ShardCount: 1 }));
      const from = await iterator(kinesis, "slow", first, { type: "TRIM_HORIZON" });
      const reads = await Promise.allSettled(Array.from({ length: 6 }, () => read(kinesis, from)));
      const refused = reads.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason.name] : []));
      expect(refused).toEqual(["ProvisionedThroughputExceededException"]);
      const Records = Array.from({ length: 400 }, (_, index) => ({ PartitionKey: `${index}`, Data: bytes("x") }));
      const puts = await Promise.all(
        [1, 2, 3].map(() => kinesis.send(new PutRecordsCommand({ StreamName: "slow", Records }))),
      );
      const failed = puts.flatMap((answer) =>
        (answer.Records ?? []).filter(({ ErrorCode }) => ErrorCode !== undefined),
      );
      expect(failed).toHaveLength(200);
      expect(failed[0]?.ErrorCode).toBe("ProvisionedThroughputExceededException");
      await pause(1_100);
      expect((await read(kinesis, from)).Records).toHaveLength(1_000);
    } finally {
      kinesis.destroy();
      await limited.close();
    }
  });
});

describe("clients of the embedded Kinesis that speak CBOR", () => {
  it("see the same records as those that speak JSON", async () => {
    const kinesis = kinesisAt(cloud.endpoint, "HTTP/1.1");
    const stream = await newStream(kinesis, 1);
    const put = await inCbor("PutRecord", { StreamName: stream, PartitionKey: "k", Data: Buffer.from("by cbor") });
    expect(
      await valuesFrom(kinesis, stream, { type: "AT_SEQUENCE_NUMBER", sequence: String(put.SequenceNumber) }),
    ).toEqual(["by cbor"]);
    const ShardIterator = await iterator(kinesis, stream, first, { type: "TRIM_HORIZON" });
    const { Records } = (await inCbor("GetRecords", { ShardIterator })) as { Records: Record<string, unknown>[] };
    expect(Buffer.from(Records[0]?.Data as Uint8Array).toString()).toBe("by cbor");
    expect(Math.abs(Number(Records[0]?.ApproximateArrivalTimestamp) - Date.now())).toBeLessThan(60_000);
    kinesis.destroy();
  });

  async function inCbor(operation: string, input: Record<string, unknown>): Promise<Record<string, unknown>> {
    const headers = {
      "content-type": "application/x-amz-cbor-1.1",
      "x-amz-target": `Kinesis_20131202.${operation}`,
      authorization: "AWS4-HMAC-SHA256 x",
    };
    const answer = await fetch(cloud.endpoint, {
      method: "POST",
      headers,
      body: encode(input) as Uint8Array<ArrayBuffer>,
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, headers["content-type"]]);
    return decode(new Uint8Array(await answer.arrayBuffer()));
  }
});

describe("stock clients of the embedded Kinesis", () => {
  it("need an endpoint, a region and any keys", async () => {
    const kinesis = stockKinesisAt(cloud.endpoint);
    const stream = await newStream(kinesis, 1);
    await put(kinesis, stream, ["a"]);
    expect(await valuesFrom(kinesis, stream, { type: "TRIM_HORIZON" })).toEqual(["a"]);
    kinesis.destroy();
  });
});
