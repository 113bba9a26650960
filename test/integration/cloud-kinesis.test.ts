import { createCipheriv } from "node:crypto";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";
import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  type ListShardsCommandOutput,
  MergeShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { getRecords, getShardIterator } from "../../lib/local/cloud/kinesis-reads.js";
import { openKinesisStore, type RecordsDb, untilSettled } from "../../lib/local/cloud/kinesis-store.js";
import { type EmbeddedCloud, startCloud } from "../../lib/local/cloud/server.js";
import { shardLimits } from "../../lib/local/cloud/shard-limits.js";
import { failure, type Http, kinesisAt } from "./cloud-clients.js";
import { bytes, first, iterator, newStream, put, read, text, valuesFrom } from "./cloud-streams.js";

const middleOfHashes = (2n ** 127n).toString();

let cloud: EmbeddedCloud;
beforeAll(async () => {
  cloud = await startCloud({ port: 0, data: null });
});
afterAll(() => cloud.close());

describe.each<Http>(["HTTP/1.1", "HTTP/2"])("embedded Kinesis over %s", (http) => {
  let kinesis: KinesisClient;
  beforeAll(() => {
    kinesis = kinesisAt(cloud.endpoint, http);
  });
  afterAll(() => kinesis.destroy());

  it("gives records back by sequence number", async () => {
    const stream = await newStream(kinesis, 1);
    const [, second] = await put(kinesis, stream, ["a", "b", "c"]);
    expect(await valuesFrom(kinesis, stream, { type: "TRIM_HORIZON" })).toEqual(["a", "b", "c"]);
    expect(await valuesFrom(kinesis, stream, { type: "AT_SEQUENCE_NUMBER", sequence: String(second) })).toEqual([
      "b",
      "c",
    ]);
    expect(await valuesFrom(kinesis, stream, { type: "AFTER_SEQUENCE_NUMBER", sequence: String(second) })).toEqual([
      "c",
    ]);
    expect(await valuesFrom(kinesis, stream, { type: "LATEST" })).toEqual([]);
  });

  it("pages without a gap or a double, and tells how far behind a reader is", async () => {
    const stream = await newStream(kinesis, 1);
    const values = Array.from({ length: 25 }, (_, index) => `v${index}`);
    await put(kinesis, stream, values);
    const seen: string[] = [];
    const behind: number[] = [];
    let next: string | undefined = await iterator(kinesis, stream, first, { type: "TRIM_HORIZON" });
    while (next !== undefined && seen.length < values.length) {
      const answer: Awaited<ReturnType<typeof read>> = await read(kinesis, next, 10);
      seen.push(...(answer.Records ?? []).map((record) => text(record.Data)));
      behind.push(Number(answer.MillisBehindLatest));
      next = answer.NextShardIterator;
    }
    expect(seen).toEqual(values);
    expect(behind.map((ms) => ms > 0)).toEqual([true, true, false]);
  });

  it("reads at a time: from the first record that is late enough", async () => {
    const stream = await newStream(kinesis, 1);
    const sequences = await put(kinesis, stream, ["a", "b"]);
    await pause(20);
    const between = new Date();
    await pause(20);
    await put(kinesis, stream, ["c", "d"]);
    expect(sequences).toHaveLength(2);
    expect(await valuesFrom(kinesis, stream, { type: "AT_TIMESTAMP", at: between })).toEqual(["c", "d"]);
    const longAgo = new Date(Date.now() - 3_600_000);
    expect(await valuesFrom(kinesis, stream, { type: "AT_TIMESTAMP", at: longAgo })).toEqual(["a", "b", "c", "d"]);
  });

  it("reads at a time with nothing later: from the next record on, in an empty shard too", async () => {
    const stream = await newStream(kinesis, 1);
    const inEmpty = await iterator(kinesis, stream, first, { type: "AT_TIMESTAMP", at: new Date() });
    await put(kinesis, stream, ["before"]);
    await pause(10);
    const atEnd = await iterator(kinesis, stream, first, { type: "AT_TIMESTAMP", at: new Date() });
    await put(kinesis, stream, ["after"]);
    expect((await read(kinesis, inEmpty)).Records?.map((record) => text(record.Data))).toEqual(["before", "after"]);
    expect((await read(kinesis, atEnd)).Records?.map((record) => text(record.Data))).toEqual(["after"]);
  });

  it("keeps the lineage of a split and a merge, and ends closed shards", async () => {
    const stream = await newStream(kinesis, 1);
    await put(kinesis, stream, ["old"]);
    await kinesis.send(
      new SplitShardCommand({ StreamName: stream, ShardToSplit: first, NewStartingHashKey: middleOfHashes }),
    );
    const [left, right] = ["shardId-000000000001", "shardId-000000000002"];
    await kinesis.send(
      new MergeShardsCommand({ StreamName: stream, ShardToMerge: String(left), AdjacentShardToMerge: String(right) }),
    );
    const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: stream }));
    expect(
      Shards.map(({ ShardId, ParentShardId, AdjacentParentShardId }) => [
        ShardId,
        ParentShardId,
        AdjacentParentShardId,
      ]),
    ).toEqual([
      [first, undefined, undefined],
      [left, first, undefined],
      [right, first, undefined],
      ["shardId-000000000003", left, right],
    ]);
    const seen: string[] = [];
    let next: string | undefined = await iterator(kinesis, stream, first, { type: "TRIM_HORIZON" });
    let children: (string | undefined)[] = [];
    for (let call = 0; next !== undefined && call < 10; call += 1) {
      const answer: Awaited<ReturnType<typeof read>> = await read(kinesis, next);
      seen.push(...(answer.Records ?? []).map((record) => text(record.Data)));
      children = (answer.ChildShards ?? []).map(({ ShardId }) => ShardId);
      next = answer.NextShardIterator;
      if (next !== undefined) await pause(400);
    }
    expect(next).toBeUndefined();
    expect(seen).toEqual(["old"]);
    expect(children).toEqual([left, right]);
  });

  it("lists shards page by page, and those that a filter keeps", async () => {
    const stream = await newStream(kinesis, 5);
    const pages: (string | undefined)[][] = [];
    let token: string | undefined;
    do {
      const where: { NextToken: string } | { StreamName: string } =
        token === undefined ? { StreamName: stream } : { NextToken: token };
      const page: ListShardsCommandOutput = await kinesis.send(new ListShardsCommand({ ...where, MaxResults: 2 }));
      pages.push((page.Shards ?? []).map(({ ShardId }) => ShardId));
      token = page.NextToken;
    } while (token !== undefined);
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(new Set(pages.flat()).size).toBe(5);
    await kinesis.send(
      new MergeShardsCommand({ StreamName: stream, ShardToMerge: first, AdjacentShardToMerge: "shardId-000000000001" }),
    );
    const kept = async (ShardFilter: { Type: "AT_LATEST" | "AT_TRIM_HORIZON" | "AFTER_SHARD_ID"; ShardId?: string }) =>
      (await kinesis.send(new ListShardsCommand({ StreamName: stream, ShardFilter }))).Shards?.map(({ ShardId }) =>
        Number(ShardId?.slice(-2)),
      );
    expect(await kept({ Type: "AT_LATEST" })).toEqual([2, 3, 4, 5]);
    expect(await kept({ Type: "AT_TRIM_HORIZON" })).toEqual([0, 1, 2, 3, 4]);
    expect(await kept({ Type: "AFTER_SHARD_ID", ShardId: "shardId-000000000003" })).toEqual([4, 5]);
    const both = kinesis.send(new ListShardsCommand({ StreamName: stream, NextToken: "nonsense" }));
    expect((await failure(both)).name).toBe("InvalidArgumentException");
    expect((await failure(kinesis.send(new ListShardsCommand({ NextToken: "nonsense" })))).name).toBe(
      "InvalidArgumentException",
    );
  });

  it("takes a stream's ARN for its name", async () => {
    const stream = await newStream(kinesis, 1);
    const { StreamDescriptionSummary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: stream }));
    const StreamARN = String(StreamDescriptionSummary?.StreamARN);
    expect(StreamARN).toBe(`arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`);
    const { ShardId } = await kinesis.send(new PutRecordCommand({ StreamARN, PartitionKey: "a", Data: bytes("a") }));
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({ StreamARN, ShardId, ShardIteratorType: "TRIM_HORIZON" }),
    );
    expect((await kinesis.send(new GetRecordsCommand({ StreamARN, ShardIterator }))).Records).toHaveLength(1);
  });

  it("answers with at most 10 MiB, and refuses requests over the service's limits", async () => {
    const stream = await newStream(kinesis, 1);
    const megabyte = new Uint8Array(1024 * 1024 - 8);
    for (let call = 0; call < 3; call += 1) {
      const Records = Array.from({ length: 5 }, (_, index) => ({ PartitionKey: `${index}`, Data: megabyte }));
      await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records }));
    }
    const got = await read(kinesis, await iterator(kinesis, stream, first, { type: "TRIM_HORIZON" }));
    expect(got.Records).toHaveLength(10);
    expect(got.MillisBehindLatest).toBeGreaterThan(0);
    expect((await read(kinesis, String(got.NextShardIterator))).Records).toHaveLength(5);
    const records = (count: number, Data: Uint8Array) =>
      kinesis.send(
        new PutRecordsCommand({
          StreamName: stream,
          Records: Array.from({ length: count }, () => ({ PartitionKey: "k", Data })),
        }),
      );
    expect((await failure(records(501, bytes("x")))).name).toBe("ValidationException");
    expect((await failure(records(1, new Uint8Array(1024 * 1024 + 1)))).name).toBe("ValidationException");
    expect((await failure(records(11, megabyte))).name).toBe("InvalidArgumentException");
  });

  it("refuses an iterator that is older than five minutes", async () => {
    const stream = await newStream(kinesis, 1);
    const [sequence] = await put(kinesis, stream, ["a"]);
    const old = agedIterator({ stream, sequence: String(sequence), ageMs: 301_000 });
    expect((await failure(read(kinesis, old))).name).toBe("ExpiredIteratorException");
    const young = agedIterator({ stream, sequence: String(sequence), ageMs: 290_000 });
    expect((await read(kinesis, young)).Records).toHaveLength(1);
  });

  it("says which operations it does not have", async () => {
    const call = kinesis.send(
      new RegisterStreamConsumerCommand({ StreamARN: "arn:aws:kinesis:x:1:stream/s", ConsumerName: "c" }),
    );
    expect(await failure(call)).toMatchObject({
      name: "UnknownOperationException",
      message: expect.stringContaining("embedded cloud"),
    });
  });

  it("answers a deletion when the stream is gone, so that its name is free", async () => {
    const stream = await newStream(kinesis, 1);
    await put(kinesis, stream, ["a"]);
    await kinesis.send(new DeleteStreamCommand({ StreamName: stream }));
    expect((await failure(kinesis.send(new DescribeStreamCommand({ StreamName: stream })))).name).toBe(
      "ResourceNotFoundException",
    );
    await kinesis.send(new CreateStreamCommand({ StreamName: stream, ShardCount: 1 }));
    expect(await valuesFrom(kinesis, stream, { type: "TRIM_HORIZON" })).toEqual([]);
  });
});

describe("an iterator at a time", () => {
  it("passes no record over that is being put", async () => {
    const { emulator, store } = await openKinesisStore(null);
    await emulator.perform("CreateStream", { StreamName: "s", ShardCount: 1 }, store);
    await untilSettled(store, "s");
    // A put first takes its sequence numbers, and then, here after a while, writes its records.
    const slow = {
      ...store,
      getStreamDb(name: string): RecordsDb {
        const db = store.getStreamDb(name);
        return { ...db, batch: (operations, ...rest) => setTimeout(() => db.batch(operations, ...rest), 50) };
      },
    };
    const Timestamp = Date.now() / 1_000;
    const Records = [{ PartitionKey: "k", Data: "AAAA" }];
    const putting = emulator.perform("PutRecords", { StreamName: "s", Records }, slow);
    await pause(20);
    const from = { StreamName: "s", ShardId: first, ShardIteratorType: "AT_TIMESTAMP", Timestamp };
    const iterating = await getShardIterator({ emulator, store }, from, Date.now());
    expect((await putting).status).toBe(200);
    const { body } = await getRecords({ emulator, store }, { ...iterating.body }, shardLimits("none"), Date.now());
    expect(body?.Records).toHaveLength(1);
    await store.db.close();
  });
});

// An iterator as the emulator makes it, of an earlier time.
function agedIterator(of: { readonly stream: string; readonly sequence: string; readonly ageMs: number }): string {
  const { ITERATOR_PWD_KEY, ITERATOR_PWD_IV } = createRequire(import.meta.url)("kinesalite/db") as Record<
    string,
    Buffer
  >;
  const made = String(Date.now() - of.ageMs).padStart(14, "0");
  const plain = [made, of.stream, first, of.sequence, "0".repeat(36)].join("/");
  const cipher = createCipheriv("aes-256-cbc", ITERATOR_PWD_KEY as Buffer, ITERATOR_PWD_IV as Buffer);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]), cipher.update(plain, "utf8"), cipher.final()]).toString(
    "base64",
  );
}
