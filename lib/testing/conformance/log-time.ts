import assert from "node:assert/strict";
import { millis } from "../../model/ids.js";
import { horizon, type It, texts } from "./log-case.js";
import { bytesOf } from "./suite.js";

/** What happens as time passes: cursors expire, records go, readers fall behind. */
export function passingTime(it: It): void {
  oneClock(it);

  it("a cursor expires after five minutes, and a new one goes on", async (given) => {
    const { stream, shardId } = await given.single();
    const { sequenceNumber } = await given.put(stream, "key", bytesOf("one"));
    const cursor = await given.cursor(stream, shardId, horizon);
    await given.passTime(4 * 60_000);
    assert.deepEqual(texts((await given.read(stream, cursor)).records), ["one"]);
    await given.passTime(2 * 60_000);
    assert.deepEqual(await given.log.read(stream, cursor, 10), { kind: "expired" });
    assert.deepEqual(texts((await given.readAll(stream, shardId, { kind: "at", sequenceNumber })).records), ["one"]);
  });

  it("P1 a start at a record that is gone begins with the oldest one later, and does not say so", async (given) => {
    const { stream, shardId } = await given.single();
    const { sequenceNumber } = await given.put(stream, "key", bytesOf("old"));
    await given.passTime(23 * 3_600_000);
    await given.put(stream, "key", bytesOf("young"));
    assert.deepEqual(texts((await given.readAll(stream, shardId, { kind: "at", sequenceNumber })).records), [
      "old",
      "young",
    ]);
    await given.passTime(2 * 3_600_000);
    // Some logs only trim when they are read.
    await given.readAll(stream, shardId, horizon);
    for (const start of [horizon, { kind: "at", sequenceNumber }, { kind: "timestamp", at: millis(0) }] as const) {
      assert.deepEqual(texts((await given.readAll(stream, shardId, start)).records), ["young"], start.kind);
    }
  });

  it("a reader is told how far it is behind, and that it has caught up", async (given) => {
    const { stream, shardId } = await given.single();
    for (const text of ["one", "two", "three"]) await given.put(stream, "key", bytesOf(text));
    await given.passTime(60_000);
    const first = await given.read(stream, await given.cursor(stream, shardId, horizon), 1);
    assert.deepEqual(texts(first.records), ["one"]);
    assert.ok(first.behindMillis >= 59_000, `behind by ${first.behindMillis}`);
    const rest = await given.read(stream, first.next ?? "", 10);
    assert.deepEqual([texts(rest.records), rest.behindMillis], [["two", "three"], 0]);
  });

  it("P0 a start at a time after the last record waits for what comes", async (given) => {
    const { stream, shardId } = await given.single();
    await given.put(stream, "key", bytesOf("before"));
    const [before] = (await given.readAll(stream, shardId, horizon)).records;
    await given.passTime(60_000);
    const at = millis((before?.arrivedAt ?? 0) + 30_000);
    const empty = await given.read(stream, await given.cursor(stream, shardId, { kind: "timestamp", at }));
    assert.deepEqual(empty.records, []);
    await given.put(stream, "key", bytesOf("after"));
    assert.deepEqual(texts((await given.read(stream, empty.next ?? "")).records), ["after"]);
  });
}

/** The server has one clock, by which it judges what it is asked for. */
function oneClock(it: It): void {
  it("P0 a start at a time that is yet to come is put off until then", async (given) => {
    const { stream, shardId } = await given.single();
    const { sequenceNumber } = await given.put(stream, "key", bytesOf("before"));
    const [before] = (await given.readAll(stream, shardId, { kind: "at", sequenceNumber })).records;
    const at = millis((before?.arrivedAt ?? 0) + 60_000);
    assert.deepEqual(await given.log.cursor(stream, shardId, { kind: "timestamp", at }), { kind: "throttled" });
    await given.passTime(90_000);
    await given.put(stream, "key", bytesOf("then"));
    assert.deepEqual(texts((await given.readAll(stream, shardId, { kind: "timestamp", at })).records), ["then"]);
  });

  it("what the server says of its clock is the clock that it judges by", async (given) => {
    const { stream, shardId } = await given.single();
    await given.passTime(600_000);
    await given.put(stream, "key", bytesOf("one"));
    const { arrivedAt } = (await given.readAll(stream, shardId, horizon)).records[0] ?? { arrivedAt: 0 };
    const described = await given.log.describe(stream);
    assert.ok(described.kind === "found");
    // The clock may be told in whole seconds.
    assert.ok(described.serverNow >= arrivedAt - 1_000, `it says ${described.serverNow}, it has ${arrivedAt}`);
  });
}
