import { describe, expect, it } from "vitest";
import { millis } from "../../lib/model/ids.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const horizon = { kind: "horizon" } as const;

function openLog(shardCount: number) {
  const time = { now: millis(5_000_000_000) };
  const { log, control } = memoryLog({ now: () => time.now });
  control.createStream("flights", shardCount);
  const pass = (length: number) => {
    time.now = millis(time.now + length);
  };
  const cursor = async (shardId: string) => {
    const found = await log.cursor("flights", shardId, horizon);
    if (found.kind !== "cursor") throw new Error(found.kind);
    return found.cursor;
  };
  return { log, control, time, pass, cursor };
}

const hours = 3_600_000;
const [first, second, third] = ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002"] as const;

describe("a log in memory", () => {
  it("numbers records so that comparing them as text goes wrong", () => {
    const { control } = openLog(1);
    const numbers = Array.from({ length: 100 }, () => control.put("flights", "ATL", bytes("x")).sequenceNumber);
    expect(new Set(numbers.map((number) => number.length))).toEqual(new Set([1, 2, 3]));
    expect([...numbers].sort()).not.toEqual(numbers);
  });

  it("no longer lists a closed shard when all of it is past retention", async () => {
    const { log, control, pass } = openLog(1);
    control.put("flights", "ATL", bytes("old"));
    pass(2 * hours);
    expect(control.split("flights", first)).toEqual([second, third]);
    pass(23 * hours);
    expect((await log.shards("flights")).map((shard) => shard.shardId)).toEqual([first, second, third]);
    expect(control.records("flights", first)).toEqual([]);
    pass(2 * hours);
    const left = await log.shards("flights");
    expect(left.map((shard) => [shard.shardId, shard.parents])).toEqual([
      [second, [first]],
      [third, [first]],
    ]);
    expect(await log.cursor("flights", first, horizon)).toEqual({ kind: "absent" });
  });

  it("keeps records for the retention that is set, and loses on demand", () => {
    const { control, time, pass } = openLog(1);
    control.setRetention("flights", 168 * hours);
    control.put("flights", "ATL", bytes("one"));
    pass(100 * hours);
    control.put("flights", "ATL", bytes("two"));
    expect(control.records("flights", first)).toHaveLength(2);
    control.trim("flights", time.now);
    expect(control.records("flights", first).map((record) => record.data)).toEqual([bytes("two")]);
  });

  it("answers badly as often as it is told to", async () => {
    const { log, control, cursor } = openLog(1);
    control.put("flights", "ATL", bytes("one"));
    const at = await cursor(first);
    control.throttle(2);
    expect((await log.cursor("flights", first, horizon)).kind).toBe("throttled");
    expect((await log.read("flights", at, 10)).kind).toBe("throttled");
    control.answerEmpty(1);
    const empty = await log.read("flights", at, 10);
    if (empty.kind !== "records" || empty.next === null) throw new Error("no further cursor");
    expect(empty.records).toEqual([]);
    expect(await log.read("flights", empty.next, 10)).toMatchObject({ records: [{ partitionKey: "ATL" }] });
    control.expireCursors();
    expect((await log.read("flights", empty.next, 10)).kind).toBe("expired");
    expect((await log.read("flights", await cursor(first), 10)).kind).toBe("records");
  });

  it("lists shards without the last split's children as often as it is told to", async () => {
    const { log, control } = openLog(1);
    control.split("flights", first);
    control.answerOldShards("flights", 1);
    expect((await log.shards("flights")).map((shard) => shard.shardId)).toEqual([first]);
    expect((await log.shards("flights")).map((shard) => shard.shardId)).toEqual([first, second, third]);
  });

  it("K3 knows a stream that was made again under its name as another", async () => {
    const { log, control, pass, cursor } = openLog(1);
    const before = await log.describe("flights");
    const old = await cursor(first);
    pass(60_000);
    control.deleteStream("flights");
    expect(await log.describe("flights")).toEqual({ kind: "absent" });
    control.createStream("flights", 1);
    const after = await log.describe("flights");
    expect(before.kind === "found" && after.kind === "found" && after.createdAt - before.createdAt).toBe(60_000);
    expect(await log.read("flights", old, 10)).toEqual({ kind: "expired" });
  });

  it("tells the server's time in whole seconds, never ahead of it", async () => {
    const { log, pass } = openLog(1);
    pass(1_999);
    expect(await log.describe("flights")).toMatchObject({ serverNow: 5_000_001_000 });
  });

  it("gives at most 10 MB at once, and one record in any case", async () => {
    const { log, control, cursor } = openLog(1);
    for (const size of [6, 6, 12]) control.put("flights", "ATL", new Uint8Array(size * 1_000_000));
    let next: string | null = await cursor(first);
    for (const size of [6, 6, 12]) {
      const read = await log.read("flights", next ?? "", 10);
      if (read.kind !== "records") throw new Error(read.kind);
      expect(read.records.map((record) => record.data.byteLength)).toEqual([size * 1_000_000]);
      next = read.next;
    }
  });

  it("refuses to reshard what cannot be", () => {
    const { control } = openLog(3);
    expect(() => control.merge("flights", first, third)).toThrow(/not adjacent/);
    expect(control.merge("flights", second, first)).toBe("shardId-000000000003");
    expect(() => control.split("flights", first)).toThrow(/no open shard/);
    expect(() => control.put("none", "ATL", bytes("x"))).toThrow(/does not exist/);
  });
});

describe("blobs in memory", () => {
  it("R6 remember which names were written with two contents", async () => {
    const { blobs, rewritten } = memoryBlobs();
    await blobs.put("fact", bytes("one"));
    await blobs.put("fact", bytes("one"));
    expect(rewritten()).toEqual([]);
    await blobs.put("fact", bytes("two"));
    expect(rewritten()).toEqual(["fact"]);
  });

  it("P3 can be damaged", async () => {
    const { blobs, corrupt, all } = memoryBlobs();
    await blobs.put("fact", bytes("abc"));
    corrupt("fact", 1);
    expect(await blobs.get("fact")).toEqual(bytes("acc"));
    expect([...all().keys()]).toEqual(["fact"]);
    expect(() => corrupt("fact", 3)).toThrow(/no byte 3/);
  });
});

describe("registers and tables in memory", () => {
  it("show all that they hold", async () => {
    const { registers, all } = memoryRegisters();
    await registers.swap({ group: "b", name: "1" }, null, "x");
    await registers.put({ group: "a", name: "1" }, "y");
    expect(all()).toEqual([
      { key: { group: "a", name: "1" }, register: { version: 1, body: "y" } },
      { key: { group: "b", name: "1" }, register: { version: 1, body: "x" } },
    ]);
    const memory = memoryTables();
    memory.createTable("airports", [{ name: "airport", type: "string" }]);
    const put = { table: "airports", key: ["airport"], version: new Uint8Array(24) };
    await memory.tables.put({ ...put, item: { airport: "ATL", flights: 1 } });
    memory.plant("airports", { airport: "AAA", by: "somebody" });
    expect(memory.items("airports")).toEqual([
      { airport: "AAA", by: "somebody" },
      { airport: "ATL", flights: 1 },
    ]);
    memory.removeItem("airports", { airport: "AAA" });
    expect(memory.items("airports")).toEqual([{ airport: "ATL", flights: 1 }]);
  });

  it("answer on the microtask queue, in the order they were asked", async () => {
    const { registers } = memoryRegisters();
    const { blobs } = memoryBlobs();
    const order: string[] = [];
    setImmediate(() => order.push("later"));
    const asked = [
      registers.swap({ group: "g", name: "n" }, null, "x").then(() => order.push("swap")),
      blobs.put("key", bytes("x")).then(() => order.push("put")),
      registers.read({ group: "g", name: "n" }).then((read) => order.push(`read ${read?.body}`)),
      blobs.get("key").then((got) => order.push(`get ${got?.length}`)),
    ];
    await Promise.all(asked);
    expect(order).toEqual(["swap", "put", "read x", "get 1"]);
  });
});
