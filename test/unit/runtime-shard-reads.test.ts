import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import { type Millis, millis } from "../../lib/model/ids.js";
import type { Position } from "../../lib/model/shards.js";
import type { Log, LogCursor, LogRead, LogRecord, LogStart } from "../../lib/ports/log.js";
import { type Fetched, readShard, recordsMax, type ShardCursor } from "../../lib/runtime/shard-reads.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { now } from "./checkpoint-samples.js";
import { virtualClock } from "./runtime-world.js";

const day = 24 * 3_600_000;
const shardId = "shardId-000000000000";
const options = { name: "flights", stream: "acme-flights", retentionMillis: day };
const horizon: Position = { kind: "horizon", readTo: null };
const past = (sequenceNumber: string, readTo: Millis = now): Position => ({
  kind: "after",
  sequenceNumber,
  sub: null,
  readTo,
});

type State = ShardCursor & { readonly entry: { readonly shardId: string }; caughtUp: boolean };
const fresh = (): State => ({
  entry: { shardId },
  cursor: null,
  lastReadAt: millis(0),
  verified: false,
  caughtUp: false,
});

const record = (sequenceNumber: string): LogRecord => ({
  sequenceNumber,
  partitionKey: "k",
  data: new Uint8Array([1]),
  arrivedAt: now,
});
const records = (...numbers: readonly string[]): LogRead => ({
  kind: "records",
  records: numbers.map(record),
  next: "on",
  behindMillis: 0,
  serverNow: now,
});

/** A log that answers as it is told, and remembers when and how it was asked. */
function scripted(script: {
  readonly cursors?: readonly (LogCursor | StreamError)[];
  readonly reads?: readonly (LogRead | StreamError)[];
}) {
  const clock = virtualClock();
  const cursors = [...(script.cursors ?? [])];
  const reads = [...(script.reads ?? [])];
  const asked: { readonly what: "cursor" | "read"; readonly of: unknown; readonly at: number }[] = [];
  const answer = <T>(given: T | StreamError): T => {
    if (given instanceof StreamError) throw given;
    return given;
  };
  const { log: base } = memoryLog(clock);
  const log: Log = {
    ...base,
    async cursor(_stream, _shard, start: LogStart) {
      asked.push({ what: "cursor", of: start, at: clock.now() - now });
      return answer(cursors.shift() ?? { kind: "cursor", cursor: "c" });
    },
    async read(_stream, cursor, limit) {
      asked.push({ what: "read", of: [cursor, limit], at: clock.now() - now });
      return answer(reads.shift() ?? records());
    },
  };
  const times = (what: "cursor" | "read") => asked.filter((one) => one.what === what).map((one) => one.at);
  return { clock, log, asked, times };
}

const never = new AbortController().signal;
/** Those behind the position. */
const numbers = ({ read, skip }: Fetched) =>
  read.kind === "records" ? read.records.slice(skip).map((one) => one.sequenceNumber) : [];
const read = (world: Pick<ReturnType<typeof scripted>, "clock" | "log">, shard: State, position: Position) =>
  readShard(world.log, world.clock, options, shard, position, never);
const trouble = (n: number) => new StreamError("transient", `trouble ${n}`);

describe("pace", () => {
  it("a shard is read five times a second at most, the first time at once", async () => {
    const world = scripted({ reads: Array.from({ length: 40 }, (_, i) => records(`${i + 1}`)) });
    const shard = fresh();
    for (let i = 0; i < 40; i++) await read(world, shard, horizon);
    const times = world.times("read");
    expect(times[0]).toBe(0);
    for (let i = 5; i < 40; i++) expect(Number(times[i]) - Number(times[i - 5])).toBeGreaterThanOrEqual(1_000);
    // A pace of one read in ten seconds would hold the limit too.
    expect(times[39]).toBe(39 * 200);
    expect(world.asked.filter(({ what }) => what === "read").map(({ of }) => of)).toContainEqual(["on", recordsMax]);
  });

  it("a shard where nothing is left is read more slowly", async () => {
    const world = scripted({});
    const shard = { ...fresh(), caughtUp: true };
    for (let i = 0; i < 5; i++) await read(world, shard, horizon);
    expect(world.times("read")).toEqual([0, 500, 1_000, 1_500, 2_000]);
  });

  it("time that passed anyway is no pause", async () => {
    const world = scripted({});
    const shard = fresh();
    await read(world, shard, horizon);
    await world.clock.sleep(10_000);
    await read(world, shard, horizon);
    expect(world.times("read")).toEqual([0, 10_000]);
  });
});

describe("what passes", () => {
  it("an expired cursor is made anew at the position", async () => {
    const world = scripted({ reads: [records("5"), { kind: "expired" }, records("5", "6")] });
    const shard = fresh();
    expect(numbers(await read(world, shard, horizon))).toEqual(["5"]);
    expect(numbers(await read(world, shard, past("5")))).toEqual(["6"]);
    expect(world.asked.filter(({ what }) => what === "cursor").map(({ of }) => of)).toEqual([
      { kind: "horizon" },
      { kind: "at", sequenceNumber: "5" },
    ]);
  });

  it("cursors that are expired as soon as they are made are told, after a limit and at the pace of reads", async () => {
    const world = scripted({ reads: Array(20).fill({ kind: "expired" }) });
    await expect(read(world, fresh(), horizon)).rejects.toMatchObject({ kind: "transient" });
    expect(world.times("read")).toEqual(Array.from({ length: 10 }, (_, i) => i * 200));
  });

  it("throttling is waited for, however long, a second each time", async () => {
    const throttled = { kind: "throttled" } as const;
    const world = scripted({ cursors: Array(30).fill(throttled), reads: [...Array(30).fill(throttled), records("1")] });
    expect(numbers(await read(world, fresh(), horizon))).toEqual(["1"]);
    expect(world.clock.now() - now).toBe(60_000);
  });

  it("nine troubles in a row pass, wherever they are", async () => {
    const cursors = [1, 2, 3, 4].map(trouble);
    const world = scripted({ cursors, reads: [...[5, 6, 7, 8, 9].map(trouble), records("1")] });
    expect(numbers(await read(world, fresh(), horizon))).toEqual(["1"]);
  });

  it("the tenth trouble is told", async () => {
    const world = scripted({ reads: Array.from({ length: 20 }, (_, i) => trouble(i + 1)) });
    await expect(read(world, fresh(), horizon)).rejects.toThrow("trouble 10");
    expect(world.times("read")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((second) => second * 1_000));
  });

  it.each(["invalid", "corrupt", "bug", "fenced"] as const)("an error of kind %s is told at once", async (kind) => {
    const world = scripted({ reads: [new StreamError(kind, "no"), records("1")] });
    await expect(read(world, fresh(), horizon)).rejects.toMatchObject({ kind, message: "no" });
  });

  it("N4 a session that ends begins no read, and waits for none", async () => {
    const world = scripted({});
    const stop = new AbortController();
    const shard = { ...fresh(), lastReadAt: millis(now + 3_600_000) };
    const reading = readShard(world.log, world.clock, options, shard, horizon, stop.signal);
    stop.abort();
    await expect(reading).rejects.toMatchObject({ kind: "fenced" });
    expect(world.asked).toEqual([]);
    expect(world.clock.now()).toBe(now);
  });
});

describe("P1 what is at the position", () => {
  const late = millis(now - day + 999);
  const inTime = millis(now - day + 1_000);

  it("P1 it is read AT its sequence number, and that record is dropped", async () => {
    const world = scripted({ reads: [records("9", "10", "11")] });
    expect(numbers(await read(world, fresh(), past("9")))).toEqual(["10", "11"]);
    expect(world.asked[0]?.of).toEqual({ kind: "at", sequenceNumber: "9" });
  });

  it("P1 where the record is there no clock is asked", async () => {
    const world = scripted({ reads: [records("9", "10")] });
    expect(numbers(await read(world, fresh(), past("9", late)))).toEqual(["10"]);
  });

  it("P1 it is gone, but readTo is inside the retention: nothing is missing", async () => {
    const world = scripted({ reads: [records("12", "13")] });
    expect(numbers(await read(world, fresh(), past("9", inTime)))).toEqual(["12", "13"]);
  });

  it("P1 what lies before the position is not taken again; numbers are compared as integers", async () => {
    const world = scripted({ reads: [records("7", "8", "10", "100", "9000000000000000001")] });
    const position = past("9000000000000000000");
    expect(numbers(await read(world, fresh(), position))).toEqual(["9000000000000000001"]);
    const short = scripted({ reads: [records("7", "8", "10", "100")] });
    expect(numbers(await read(short, fresh(), past("9")))).toEqual(["10", "100"]);
  });

  it("P1 gone and past the retention: refused, with source, shard, position, stream and retention", async () => {
    const world = scripted({ reads: [records("12")] });
    const reading = read(world, fresh(), past("9", late));
    await expect(reading).rejects.toMatchObject({ kind: "invalid" });
    const message = await reading.catch((error: Error) => error.message);
    for (const part of ['source "flights"', `shard ${shardId}`, "sequence number 9", '"acme-flights"', "24 h", "P1"])
      expect(message).toContain(part);
    expect(message).toContain(new Date(late).toISOString());
    expect(message).toContain(new Date(now).toISOString());
  });

  it("P1 empty, but behind: nothing is known yet, the next read tells", async () => {
    const behind = { ...records(), behindMillis: 5 } as LogRead;
    const there = scripted({ reads: [behind, behind, records("9", "10")] });
    const shard = fresh();
    const batches = [1, 2, 3].map(() => () => read(there, shard, past("9", late)));
    const found: string[][] = [];
    for (const next of batches) found.push(numbers(await next()));
    expect(found).toEqual([[], [], ["10"]]);
    const gone = scripted({ reads: [behind, records("12")] });
    const other = fresh();
    await read(gone, other, past("9", late));
    await expect(read(gone, other, past("9", late))).rejects.toMatchObject({ kind: "invalid" });
  });

  it("P1 empty with nothing behind: the record is gone, and readTo decides", async () => {
    expect(numbers(await read(scripted({}), fresh(), past("9", inTime)))).toEqual([]);
    await expect(read(scripted({}), fresh(), past("9", late))).rejects.toMatchObject({ kind: "invalid" });
  });

  it("P1 it is dropped once: later reads go on behind it", async () => {
    const world = scripted({ reads: [records("9", "10"), records("11")] });
    const shard = fresh();
    await read(world, shard, past("9"));
    expect(numbers(await read(world, shard, past("10")))).toEqual(["11"]);
    expect(world.times("cursor")).toHaveLength(1);
  });

  it("P1 is checked at every read, also of a position that was there once", async () => {
    const world = scripted({
      reads: [records("9"), { ...records("12"), serverNow: millis(now + day + 1) } as LogRead],
    });
    const shard = fresh();
    await read(world, shard, past("9"));
    await expect(read(world, shard, past("9"))).rejects.toThrow("sequence number 9");
  });

  it.each<readonly [string, Position]>([
    ["beginning", { kind: "beginning", readTo: late }],
    ["timestamp", { kind: "timestamp", at: now, readTo: late }],
  ])("P1 a %s promises what arrived since readTo", async (kind, position) => {
    await expect(read(scripted({}), fresh(), position)).rejects.toThrow(`its ${kind}`);
    const good = { ...position, readTo: inTime } as Position;
    expect(numbers(await read(scripted({ reads: [records("1")] }), fresh(), good))).toEqual(["1"]);
  });

  it("P0 the horizon promises what is there, and nothing before it is checked", async () => {
    const old = { ...records("70"), serverNow: millis(now + 400 * day) } as LogRead;
    expect(numbers(await read(scripted({ reads: [old] }), fresh(), horizon))).toEqual(["70"]);
  });

  it("P1 a shard that the stream does not have any more is no empty shard", async () => {
    const world = scripted({ cursors: [{ kind: "absent" }] });
    const reading = read(world, fresh(), past("9"));
    await expect(reading).rejects.toMatchObject({ kind: "invalid" });
    await expect(reading).rejects.toThrow(`stream "acme-flights" has no shard ${shardId} any more`);
  });
});
