import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { millis } from "../../model/ids.js";
import type { LogRecord, LogRecords, LogStart } from "../../ports/log.js";
import { horizon, type It, logCase, type OpenLog, range, texts } from "./log-case.js";
import { passingTime } from "./log-time.js";
import { bytesOf, type Test, textOf, type Without } from "./suite.js";

/**
 * What every implementation of Log must do. Without `streams`: it has shards that end, and records that nobody adds to while they
 * are read, as files do.
 */
export function logConformance(
  test: Test,
  open: () => Promise<OpenLog>,
  without: Without<"streams" | "passing time"> = {},
): void {
  const it: It = (name, run) => test(name, async () => run(logCase(await open())));
  anyLog(it);
  if (without.streams !== undefined) return;
  streams(it);
  reads(it);
  starts(it);
  resharding(it);
  if (without["passing time"] === undefined) passingTime(it);
}

function anyLog(it: It): void {
  it("all records come, in order, with sequence numbers that grow", async (given) => {
    const { stream, shardId } = await given.single();
    const put: string[] = [];
    for (let n = 0; n < 25; n += 1)
      put.push((await given.put(stream, `key ${n}`, bytesOf(`record ${n}`))).sequenceNumber);
    const { records } = await given.readAll(stream, shardId, horizon);
    assert.deepEqual(
      records.map((record) => record.sequenceNumber),
      put,
    );
    assert.deepEqual(
      texts(records),
      put.map((_, n) => `record ${n}`),
    );
    const numbers = put.map(BigInt);
    assert.ok(numbers.every((number, n) => n === 0 || number > (numbers[n - 1] ?? number)));
  });

  it("reading again gives the same records again", async (given) => {
    const { stream, shardId } = await given.single();
    for (const text of ["first", "é\u{1f600}", "third"]) await given.put(stream, "key", bytesOf(text));
    const first = await given.readAll(stream, shardId, horizon);
    assert.deepEqual(await given.readAll(stream, shardId, horizon), first);
    assert.deepEqual(texts(first.records), ["first", "é\u{1f600}", "third"]);
    const [described, again] = [await given.log.describe(stream), await given.log.describe(stream)];
    assert.ok(described.kind === "found" && again.kind === "found");
    assert.deepEqual([described.arn, described.createdAt], [again.arn, again.createdAt]);
  });

  it("a cursor may be read twice", async (given) => {
    const { stream, shardId } = await given.single();
    await given.put(stream, "key", bytesOf("one"));
    const cursor = await given.cursor(stream, shardId, horizon);
    assert.deepEqual((await given.read(stream, cursor)).records, (await given.read(stream, cursor)).records);
  });

  it("P1 a start at a sequence number begins with that record", async (given) => {
    const { stream, shardId } = await given.single();
    const put: string[] = [];
    for (let n = 0; n < 5; n += 1) put.push((await given.put(stream, "key", bytesOf(`${n}`))).sequenceNumber);
    for (const [n, sequenceNumber] of put.entries()) {
      const { records } = await given.readAll(stream, shardId, { kind: "at", sequenceNumber });
      assert.equal(records[0]?.sequenceNumber, sequenceNumber);
      assert.deepEqual(texts(records), ["0", "1", "2", "3", "4"].slice(n));
    }
  });

  it("an absent stream is absent, or invalid where shards of it are asked for; an absent shard is absent", async (given) => {
    const { log } = given;
    assert.deepEqual(await log.describe("no-such-stream"), { kind: "absent" });
    assert.deepEqual(await log.cursor("no-such-stream", "shardId-000000000000", horizon), { kind: "absent" });
    const refused = { name: "StreamError", kind: "invalid", message: /"no-such-stream".*does not exist/ };
    await assert.rejects(log.shards("no-such-stream"), refused);
    const { stream } = await given.single();
    assert.deepEqual(await log.cursor(stream, "shardId-000000000099", horizon), { kind: "absent" });
  });
}

function streams(it: It): void {
  it("a stream is described with its retention, its name in its ARN, and the server's clock", async (given) => {
    const stream = await given.createStream(1);
    const described = await given.log.describe(stream);
    assert.ok(described.kind === "found");
    assert.match(described.arn, new RegExp(`^arn:[^:]+:kinesis:[^:]+:\\d+:stream/${stream}$`));
    assert.equal(described.retentionMillis, 24 * 3_600_000);
    // The clock may be told in whole seconds.
    assert.ok(described.serverNow >= described.createdAt - 1_000);
    assert.ok(described.serverNow <= described.createdAt + 3_600_000);
  });

  it("shards share out the hash space, and records go where the MD5 of their key falls", async (given) => {
    const stream = await given.createStream(3);
    const shards = await given.log.shards(stream);
    let next = 0n;
    for (const shard of shards) {
      assert.deepEqual(shard.parents, []);
      assert.equal(range(shard)[0], next);
      next = (range(shard)[1] ?? 0n) + 1n;
    }
    assert.equal(next, 2n ** 128n);
    for (const key of ["ATL", "ORD", "é\u{1f600}", "a longer partition key"]) {
      const hash = BigInt(`0x${createHash("md5").update(key).digest("hex")}`);
      const owner = shards.find((shard) => (range(shard)[0] ?? 0n) <= hash && hash <= (range(shard)[1] ?? 0n));
      assert.equal((await given.put(stream, key, bytesOf(key))).shardId, owner?.shardId);
    }
  });
}

function reads(it: It): void {
  it("records come page by page, none twice and none left out", async (given) => {
    const { stream, shardId } = await given.single();
    const put: string[] = [];
    for (let n = 0; n < 25; n += 1)
      put.push((await given.put(stream, `key ${n}`, bytesOf(`record ${n}`))).sequenceNumber);

    let next: string | null = await given.cursor(stream, shardId, horizon);
    const records: LogRecord[] = [];
    for (let page = 0; page < 10 && records.length < 25 && next !== null; page += 1) {
      const answer: LogRecords = await given.read(stream, next, 10);
      assert.ok(answer.records.length <= 10);
      records.push(...answer.records);
      next = answer.next;
    }
    assert.deepEqual(
      records.map((record) => record.sequenceNumber),
      put,
    );
    assert.deepEqual(
      records.map((record) => [record.partitionKey, textOf(record.data)]),
      put.map((_, n) => [`key ${n}`, `record ${n}`]),
    );
    const numbers = put.map(BigInt);
    assert.ok(numbers.every((number, n) => n === 0 || number > (numbers[n - 1] ?? number)));
    assert.ok(next !== null, "the shard is open and has no end");
  });

  it("reading again gives the same records again, with any bytes in them", async (given) => {
    const { stream, shardId } = await given.single();
    const data = Uint8Array.from({ length: 256 }, (_, index) => index);
    await given.put(stream, "bytes", data);
    await given.put(stream, "second", bytesOf("second"));
    const first = await given.readAll(stream, shardId, horizon);
    const again = await given.readAll(stream, shardId, horizon);
    assert.deepEqual(again, first);
    assert.equal(Buffer.compare(first.records[0]?.data ?? data.subarray(1), data), 0);
    assert.equal(first.records.length, 2);
  });

  it("an empty shard reads as empty, and goes on to what comes later", async (given) => {
    const { stream, shardId } = await given.single();
    const empty = await given.read(stream, await given.cursor(stream, shardId, horizon));
    assert.deepEqual([empty.records, empty.behindMillis], [[], 0]);
    assert.ok(empty.next !== null && empty.serverNow > 0);
    await given.put(stream, "key", bytesOf("later"));
    assert.deepEqual(texts((await given.read(stream, empty.next)).records), ["later"]);
  });
}

function starts(it: It): void {
  it("P0 a start at a time begins with the first record that arrived then or later", async (given) => {
    const { stream, shardId } = await given.single();
    for (let n = 0; n < 4; n += 1) await given.put(stream, "key", bytesOf(`${n}`));
    const { records } = await given.readAll(stream, shardId, horizon);
    for (const { arrivedAt: at } of records) {
      const found = await given.readAll(stream, shardId, { kind: "timestamp", at });
      assert.deepEqual(texts(found.records), texts(records.filter((record) => record.arrivedAt >= at)));
    }
    const before = millis((records[0]?.arrivedAt ?? 0) - 60_000);
    assert.equal((await given.readAll(stream, shardId, { kind: "timestamp", at: before })).records.length, 4);
  });

  it("P0 a start at a time with nothing later waits for what comes", async (given) => {
    const { stream, shardId } = await given.single();
    const described = await given.log.describe(stream);
    const at = described.kind === "found" ? described.serverNow : millis(0);
    const empty = await given.read(stream, await given.cursor(stream, shardId, { kind: "timestamp", at }));
    assert.deepEqual(empty.records, []);
    await given.put(stream, "key", bytesOf("later"));
    assert.deepEqual(texts((await given.read(stream, empty.next ?? "")).records), ["later"]);
  });
}

function resharding(it: It): void {
  it("K3 a split closes the parent, whose end is null, and its children share its range", async (given) => {
    const { stream, shardId } = await given.single();
    for (const text of ["a", "b", "c"]) await given.put(stream, text, bytesOf(text));
    await given.split(stream, shardId);
    const shards = await given.log.shards(stream);
    const [parent] = shards.filter((shard) => shard.shardId === shardId);
    const children = shards.filter((shard) => shard.parents.join() === shardId);
    assert.equal(shards.length, 3);
    assert.deepEqual([range(children[0])[0], range(children[1])[1]], range(parent));
    assert.equal((range(children[0])[1] ?? 0n) + 1n, range(children[1])[0]);

    for (const text of ["d", "e", "f", "g"]) {
      const { shardId: taker } = await given.put(stream, text, bytesOf(text));
      assert.ok(children.some((child) => child.shardId === taker));
    }
    const old = await given.readAll(stream, shardId, horizon);
    assert.deepEqual([texts(old.records), old.ended], [["a", "b", "c"], true]);
    const rest = await Promise.all(children.map((child) => given.readAll(stream, child.shardId, horizon)));
    assert.ok(rest.every((child) => !child.ended));
    const later = rest.flatMap((child) => child.records);
    assert.deepEqual(texts(later).sort(), ["d", "e", "f", "g"]);
    const last = BigInt(old.records.at(-1)?.sequenceNumber ?? 0);
    assert.ok(later.every((record) => BigInt(record.sequenceNumber) > last));
  });

  it("K3 a merge closes both parents, and its child has both and their range", async (given) => {
    const stream = await given.createStream(2);
    const [left, right] = await given.log.shards(stream);
    for (const text of ["a", "b", "c", "d", "e"]) await given.put(stream, text, bytesOf(text));
    await given.merge(stream, left?.shardId ?? "", right?.shardId ?? "");
    const child = (await given.log.shards(stream)).find((shard) => shard.parents.length > 0);
    assert.deepEqual([...(child?.parents ?? [])].sort(), [left?.shardId, right?.shardId]);
    assert.deepEqual(range(child), [0n, 2n ** 128n - 1n]);
    await given.put(stream, "f", bytesOf("f"));

    const parents = await Promise.all(
      [left, right].map((shard) => given.readAll(stream, shard?.shardId ?? "", horizon)),
    );
    assert.ok(parents.every((parent) => parent.ended));
    assert.deepEqual(texts(parents.flatMap((parent) => parent.records)).sort(), ["a", "b", "c", "d", "e"]);
    const merged = await given.readAll(stream, child?.shardId ?? "", horizon);
    assert.deepEqual([texts(merged.records), merged.ended], [["f"], false]);
  });

  it("a closed shard ends from wherever it is read, without records too", async (given) => {
    const stream = await given.createStream(2);
    const [first, second] = await given.log.shards(stream);
    let last: { readonly shardId: string; readonly sequenceNumber: string } | null = null;
    for (let n = 0; last?.shardId !== first?.shardId; n += 1) last = await given.put(stream, `${n}`, bytesOf("x"));
    for (const shard of [first, second]) await given.split(stream, shard?.shardId ?? "");
    const start: LogStart = { kind: "at", sequenceNumber: last?.sequenceNumber ?? "" };
    const tail = await given.readAll(stream, first?.shardId ?? "", start);
    assert.deepEqual([texts(tail.records), tail.ended], [["x"], true]);
    assert.ok((await given.readAll(stream, second?.shardId ?? "", horizon)).ended);
  });
}
