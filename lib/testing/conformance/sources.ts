import assert from "node:assert/strict";
import type { Codec } from "../../model/codecs.js";
import { StreamError } from "../../model/errors.js";
import type { Log, LogRecord } from "../../ports/log.js";
import { horizon, type LogCase, logCase } from "./log-case.js";
import type { Test } from "./suite.js";

/** A source with records that stay as they are, for each test: at least three in one of its shards. */
export interface OpenSource {
  readonly log: Log;
  readonly stream: string;
  readonly codec: Codec<unknown>;
}

interface Case extends OpenSource {
  readonly readAll: LogCase["readAll"];
  readonly cursor: LogCase["cursor"];
  readonly read: LogCase["read"];
  /** Of each shard, all records. */
  readonly all: ReadonlyMap<string, readonly LogRecord[]>;
}

type It = (name: string, run: (given: Case) => Promise<void>) => void;

/**
 * What exactly-once asks of every source: reading again, from whatever position, gives the same records. Reads only, so that it
 * may be run on a stream or file with data of your own.
 */
export function sourceConformance(test: Test, open: () => Promise<OpenSource>): void {
  const it: It = (name, run) => test(name, async () => run(await caseOf(await open())));
  descriptions(it);
  replays(it);
  values(it);
}

async function caseOf(opened: OpenSource): Promise<Case> {
  const unused = () => Promise.reject(new StreamError("bug", "the tests of a source write nothing"));
  const steps = logCase({
    log: opened.log,
    createStream: unused,
    put: unused,
    split: unused,
    merge: unused,
    passTime: unused,
  });
  const { readAll, cursor, read } = steps;
  const all = new Map<string, readonly LogRecord[]>();
  for (const { shardId } of await opened.log.shards(opened.stream))
    all.set(shardId, (await readAll(opened.stream, shardId, horizon)).records);
  const most = Math.max(...[...all.values()].map((records) => records.length));
  assert.ok(most >= 3, `the test needs three records in a shard of "${opened.stream}", and finds ${most} at most`);
  return { ...opened, readAll, cursor, read, all };
}

function descriptions(it: It): void {
  it("K3 is described the same each time", async ({ log, stream }) => {
    const [first, second] = [await log.describe(stream), await log.describe(stream)];
    assert.ok(first.kind === "found" && second.kind === "found");
    assert.equal(second.arn, first.arn);
    assert.equal(second.createdAt, first.createdAt);
    assert.ok(first.retentionMillis > 0);
  });

  it("K2 has shards that share the hash space", async ({ log, stream }) => {
    const listed = await log.shards(stream);
    const parents = new Set(listed.flatMap((shard) => shard.parents));
    const open = listed.filter((shard) => !parents.has(shard.shardId));
    const ranges = open.map(({ hashKeys }) => hashKeys.map(BigInt)).sort(([a = 0n], [b = 0n]) => (a < b ? -1 : 1));
    let next = 0n;
    for (const [first, last] of ranges) {
      assert.equal(first, next, "a gap between shards, or two for one hash");
      next = (last ?? 0n) + 1n;
    }
    assert.equal(next, 2n ** 128n);
  });

  it("is absent under another name", async ({ log, stream }) => {
    assert.equal((await log.describe(`${stream}-of-another-name`)).kind, "absent");
  });
}

function replays(it: It): void {
  it("gives the same records each time", async ({ stream, readAll, all }) => {
    for (const [shardId, records] of all)
      assert.deepEqual((await readAll(stream, shardId, horizon)).records, records, shardId);
  });

  it("has sequence numbers that grow, as integers", async ({ all }) => {
    for (const records of all.values()) {
      for (const [index, record] of records.entries()) {
        const before = records[index - 1];
        assert.match(record.sequenceNumber, /^\d+$/);
        if (before !== undefined) assert.ok(BigInt(record.sequenceNumber) > BigInt(before.sequenceNumber));
      }
    }
  });

  it("P1 gives the record at a position first, and all that follow, whatever the position", async (given) => {
    const { stream, readAll, all } = given;
    for (const [shardId, records] of all) {
      for (const [index, { sequenceNumber }] of records.entries()) {
        const again = await readAll(stream, shardId, { kind: "at", sequenceNumber });
        assert.deepEqual(again.records, records.slice(index), `${shardId} from ${sequenceNumber}`);
      }
    }
  });

  it("gives the same records in small reads, from one cursor to the next", async ({ stream, cursor, read, all }) => {
    for (const [shardId, records] of all) {
      const found: LogRecord[] = [];
      let next: string | null = await cursor(stream, shardId, horizon);
      while (next !== null && found.length < records.length) {
        const answer: Awaited<ReturnType<Case["read"]>> = await read(stream, next, 2);
        found.push(...answer.records);
        next = answer.next;
      }
      assert.deepEqual(found, records);
    }
  });

  it("gives the same records from one cursor twice", async ({ stream, cursor, read, all }) => {
    for (const shardId of all.keys()) {
      const at = await cursor(stream, shardId, horizon);
      assert.deepEqual((await read(stream, at)).records, (await read(stream, at)).records);
    }
  });
}

function values(it: It): void {
  it("has records that the codec reads, the same each time, and writes back", async ({ codec, all }) => {
    for (const { data } of [...all.values()].flat()) {
      const value = codec.decode(data);
      assert.deepEqual(codec.decode(data), value);
      assert.deepEqual(codec.decode(codec.encode(value)), value);
    }
  });
}
