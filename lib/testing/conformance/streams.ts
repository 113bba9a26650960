import assert from "node:assert/strict";
import { entriesMax, type StreamEntry, type Streams } from "../../ports/streams.js";
import { bytesOf, type Test } from "./suite.js";

/** A record as a reader has it. */
export interface ReadRecord extends StreamEntry {
  readonly shardId: string;
  readonly sequenceNumber: string;
}

export interface OpenStreams {
  readonly streams: Streams;
  /** Makes a stream of so many shards under a new name, and answers with it. */
  createStream(shards: number): Promise<string>;
  /** All records, those of a shard in their order. */
  records(stream: string): Promise<readonly ReadRecord[]>;
}

type It = (name: string, run: (given: OpenStreams) => Promise<void>) => void;

/** What every implementation of Streams must do. */
export function streamsConformance(test: Test, open: () => Promise<OpenStreams>): void {
  const it: It = (name, run) => test(name, async () => run(await open()));
  describes(it);
  puts(it);
}

function describes(it: It): void {
  it("a stream is found, another is absent", async ({ streams, createStream }) => {
    assert.deepEqual(await streams.describe(await createStream(1)), { kind: "found" });
    assert.deepEqual(await streams.describe("no-such-stream"), { kind: "absent" });
  });

  it("a put into an absent stream is invalid, and names it", async ({ streams }) => {
    await assert.rejects(streams.put("no-such-stream", [{ partitionKey: "a", data: bytesOf("a") }]), {
      name: "StreamError",
      kind: "invalid",
      message: /"no-such-stream".*does not exist/,
    });
  });
}

function puts(it: It): void {
  it("records come back as they were put, where and as what the answers say", async (given) => {
    const stream = await given.createStream(2);
    const keys = ["a", "é b", "x".repeat(256), "\u{1f600}"];
    const entries = Array.from({ length: 40 }, (_, n) => ({
      partitionKey: keys[n % keys.length] ?? "",
      data: Uint8Array.from({ length: n }, (_byte, index) => (index * 7) % 256),
    }));
    const answers = await given.streams.put(stream, entries);
    assert.equal(answers.length, entries.length);
    const records = await given.records(stream);
    assert.equal(records.length, entries.length);
    for (const [index, answer] of answers.entries()) {
      assert.ok(answer.kind === "put");
      const record = records.find(({ sequenceNumber }) => sequenceNumber === answer.sequenceNumber);
      assert.equal(record?.shardId, answer.shardId);
      assert.equal(record.partitionKey, entries[index]?.partitionKey);
      assert.deepEqual(Buffer.from(record.data), Buffer.from(entries[index]?.data ?? []));
    }
  });

  it("records of one key lie in one shard, and their numbers tell their order", async (given) => {
    const stream = await given.createStream(3);
    for (let times = 0; times < 3; times++)
      await given.streams.put(
        stream,
        Array.from({ length: 30 }, (_, n) => ({ partitionKey: `key ${n % 5}`, data: bytesOf(`${times} ${n}`) })),
      );
    const records = await given.records(stream);
    for (let key = 0; key < 5; key++) {
      const own = records.filter(({ partitionKey }) => partitionKey === `key ${key}`);
      assert.equal(own.length, 18);
      assert.equal(new Set(own.map(({ shardId }) => shardId)).size, 1);
      const numbers = own.map(({ sequenceNumber }) => BigInt(sequenceNumber));
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => (a < b ? -1 : 1)),
      );
    }
  });

  it("as many as a call takes are put at once", async ({ streams, createStream, records }) => {
    const stream = await createStream(1);
    const entries = Array.from({ length: entriesMax }, (_, n) => ({ partitionKey: `${n}`, data: bytesOf(`${n}`) }));
    const answers = await streams.put(stream, entries);
    assert.equal(answers.filter(({ kind }) => kind === "put").length, entriesMax);
    assert.equal((await records(stream)).length, entriesMax);
  });
}
