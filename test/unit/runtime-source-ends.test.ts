import { json } from "tidemark";
import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import { millis } from "../../lib/model/ids.js";
import type { Position, SourceTable } from "../../lib/model/shards.js";
import { now } from "./checkpoint-samples.js";
import { day, first, fourth, idle, reading, second, third, world } from "./source-world.js";

const open = <P extends Position>(position: P) => ({ kind: "open", position }) as const;
const endAt = (length: number) => ({ end: { at: new Date(now + length) } });

describe("where reading begins and stands", () => {
  it("P0 the horizon becomes the beginning at the first empty read, and is checked from then on", async () => {
    const here = world(1);
    const one = reading(here, await here.table());
    expect(one.positions()).toEqual({ [first]: { kind: "open", position: { kind: "horizon", readTo: null } } });
    await one.step();
    expect(one.positions()).toEqual({ [first]: open({ kind: "beginning", readTo: now }) });
    expect(one.reader.changed).toBe(false);
    const late = reading(here, await here.table(one.positions()));
    await here.clock.sleep(day + 1_000);
    await expect(late.step()).rejects.toThrow("its beginning");
  });

  it("P0 an empty read with something behind promises nothing", async () => {
    const here = world(1);
    here.put("a");
    await here.clock.sleep(5_000);
    here.control.answerEmpty(1);
    const one = reading(here, await here.table());
    await one.step();
    expect(one.positions()).toEqual({ [first]: open({ kind: "horizon", readTo: null }) });
    expect(one.reader.behindMillis).toBe(5_000);
    expect(one.reader.idle).toBe(false);
  });

  it("P0 a start by time takes what arrived then or later, and stays a time until a record is taken", async () => {
    const here = world(1);
    here.put("before");
    await here.clock.sleep(10_000);
    const at = millis(here.clock.now());
    const begin = open({ kind: "timestamp" as const, at, readTo: at });
    const one = reading(here, await here.table({ [first]: begin }));
    await here.clock.sleep(2_000);
    await one.step();
    expect(one.positions()[first]).toEqual(open({ ...begin.position, readTo: millis(at + 2_000) }));
    const again = reading(here, await here.table({ [first]: begin }));
    const { sequenceNumber } = here.put("at it");
    await again.until(() => again.taken.length > 0);
    expect(again.bodies()).toEqual(["at it"]);
    const position = { kind: "after", sequenceNumber, sub: null, readTo: millis(at + 2_000) } as const;
    expect(again.positions()).toEqual({ [first]: open(position) });
    expect(again.reader.changed).toBe(true);
  });

  it("P0 a start at a time that is yet to come waits for it, and takes nothing that arrives before", async () => {
    const here = world(1);
    const at = millis(here.clock.now() + 10_000);
    const one = reading(here, await here.table({ [first]: open({ kind: "timestamp", at, readTo: at }) }));
    const reads = one.until(() => one.taken.length > 0);
    await here.clock.sleep(2_000);
    here.put("too early");
    await here.clock.sleep(13_000);
    here.put("then");
    await reads;
    expect(one.bodies()).toEqual(["then"]);
  });

  it("B1 a position whose readTo is older than a tenth of the retention is a change; one never promised is none", async () => {
    const here = world(2);
    const old = open({ kind: "beginning", readTo: now });
    const one = reading(here, await here.table({ [first]: old }));
    expect(one.reader.stale(millis(now + day / 10))).toBe(false);
    expect(one.reader.stale(millis(now + day / 10 + 1))).toBe(true);
    const other = reading(here, await here.table());
    expect(other.reader.stale(millis(now + 400 * day))).toBe(false);
  });

  it("what does not decode is told with source, shard, number and codec, and never the body", async () => {
    const here = world(1);
    const { sequenceNumber } = here.put('{"secret": hush');
    const one = reading(here, await here.table(), { codec: json() as never });
    const error: unknown = await one.step().catch((thrown) => thrown);
    expect(error).toMatchObject({ kind: "invalid" });
    const { message } = error as StreamError;
    for (const part of ['"in"', first, `sequence number ${sequenceNumber}:`, "codec json", "not JSON"])
      expect(message).toContain(part);
    expect(`${message} ${String((error as StreamError).cause)}`).not.toMatch(/secret|hush/);
  });

  it("an error of a codec of somebody's own is not quoted either", async () => {
    const here = world(1);
    here.put("secret");
    const decode = (data: Uint8Array): never => {
      throw new Error(`cannot read ${Buffer.from(data).toString()}`);
    };
    const codec = { name: "own", decode, encode: () => new Uint8Array() };
    const one = reading(here, await here.table(), { codec });
    await expect(one.step()).rejects.toThrow(/it does not decode \(codec own\)$/);
  });
});

describe("bounded input", () => {
  it("a record at the end or after it is not taken; readTo is that of the last one taken", async () => {
    const here = world(1);
    here.put("a");
    await here.clock.sleep(999);
    const { sequenceNumber } = here.put("just before");
    await here.clock.sleep(1);
    here.put("at the end");
    here.put("after");
    const one = reading(here, await here.table(), endAt(1_000));
    expect(one.reader.finished).toBe(false);
    await one.step();
    expect(one.bodies()).toEqual(["a", "just before"]);
    expect(one.positions()[first]).toEqual(
      open({ kind: "after", sequenceNumber, sub: null, readTo: millis(now + 999) }),
    );
    expect(one.reader.finished).toBe(true);
    expect(one.reader.idle).toBe(true);
    one.pump();
    await here.clock.sleep(10_000);
    expect(here.calls).toHaveLength(1);
  });

  it("nothing before the end: the position stays where it was", async () => {
    const here = world(1);
    await here.clock.sleep(5_000);
    here.put("after");
    const one = reading(here, await here.table(), endAt(1_000));
    await one.step();
    expect(one.positions()[first]).toEqual(open({ kind: "horizon", readTo: null }));
    expect([one.bodies(), one.reader.finished, one.reader.changed]).toEqual([[], true, false]);
  });

  it("it ends by the server's time when all is read, not before, and not while anything is behind", async () => {
    const here = world(1);
    here.put("a");
    const one = reading(here, await here.table(), endAt(4_500));
    await one.until(() => one.reader.idle);
    expect(one.reader.finished).toBe(false);
    await one.until(() => one.reader.finished);
    // The server tells its time in whole seconds.
    expect(here.clock.now()).toBeGreaterThanOrEqual(now + 5_000);
    expect(one.bodies()).toEqual(["a"]);
    const other = world(1);
    other.put("a");
    await other.clock.sleep(10_000);
    other.control.answerEmpty(1);
    const behind = reading(other, await other.table(), endAt(4_500));
    await behind.step();
    expect(behind.reader.finished).toBe(false);
    await behind.until(() => behind.reader.finished);
    expect(behind.bodies()).toEqual(["a"]);
  });

  it("K3 the end of a split shard is not the end of the input: its children may hold records before it", async () => {
    const here = world(1);
    here.put("a");
    here.control.split("s", first);
    here.put("b");
    await here.clock.sleep(5_000);
    const one = reading(here, await here.table({}, [first]), endAt(1_000));
    await one.step();
    expect([one.reader.finished, one.reader.idle]).toEqual([false, false]);
    one.reader.enter(await here.table(one.positions()));
    expect([one.reader.finished, one.reader.idle]).toEqual([false, false]);
    await one.until(() => one.reader.finished);
    expect(one.bodies()).toEqual(["a", "b"]);
  });

  /** Two shards, of which the second has records past the end, are merged; the first is read to its end. */
  async function mergedPastTheEnd() {
    const here = world(2);
    for (const key of ["a", "b", "c"]) here.put(key);
    await here.clock.sleep(5_000);
    for (let i = 0; here.control.records("s", second).at(-1)?.arrivedAt !== here.clock.now(); i++)
      here.put(`late ${i}`);
    here.control.merge("s", first, second);
    const one = reading(here, await here.table({}, [first, second]), endAt(1_000));
    return { here, one };
  }

  it("K3 a merge's child that begins past the end is not waited for", async () => {
    const { here, one } = await mergedPastTheEnd();
    here.control.answerOldShards("s", 2);
    await one.until(() => one.reader.finished);
    expect(one.bodies().toSorted()).toEqual(["a", "b", "c"]);
    const lists = here.calls.filter(({ method }) => method === "shards").map(({ at }) => at - 5_000);
    expect(lists).toEqual([0, 1_000, 2_000]);
  });

  it("K3 the list of shards is looked at once at a time, and its troubles pass", async () => {
    const { here, one } = await mergedPastTheEnd();
    here.troubles.shards.push(...Array(2).fill(new StreamError("transient", "busy")));
    await one.step();
    await one.step();
    for (let i = 0; i < 5; i++) one.pump();
    await here.clock.sleep(500);
    expect(here.calls.filter(({ method }) => method === "shards")).toHaveLength(3);
    await one.until(() => one.reader.finished);
  });

  it("K3 a child that does not come from a shard that ended is waited for", async () => {
    const here = world(2);
    here.put("a", "a");
    await here.clock.sleep(5_000);
    const { shardId } = here.put("late", "a");
    const other = shardId === first ? second : first;
    here.control.split("s", other);
    const one = reading(here, await here.table({}, [first, second]), endAt(1_000));
    for (let i = 0; i < 6; i++) await one.step();
    expect(here.calls.filter(({ method }) => method === "shards").length).toBeGreaterThanOrEqual(2);
    expect(one.reader.finished).toBe(false);
  });
});

describe("K3 finished shards", () => {
  const finished = (readTo: number) => ({
    kind: "finished",
    generation: 3,
    producer: 2,
    sent: {},
    readTo: millis(readTo),
  });

  it("K3 P1 the end of a shard is its entry, with the readTo of before, and it is read no more", async () => {
    const here = world(1);
    here.put("a");
    const begin = open({ kind: "beginning", readTo: millis(now - 7) });
    const one = reading(here, await here.table({ [first]: begin }));
    await here.clock.sleep(3_000);
    here.control.split("s", first);
    await one.step();
    expect(one.bodies()).toEqual(["a"]);
    expect(one.positions()).toEqual({ [first]: finished(now - 7) });
    expect(one.reader.changed).toBe(true);
    one.pump();
    await here.clock.sleep(5_000);
    expect(here.calls).toHaveLength(1);
  });

  it("P1 where nothing was promised its last record speaks, and of an empty one the server's time", async () => {
    const here = world(2);
    here.put("a", "a");
    const { shardId } = here.put("b", "a");
    await here.clock.sleep(3_000);
    for (const shard of [first, second]) here.control.split("s", shard);
    const one = reading(here, await here.table({}, [first, second]));
    await one.step();
    await one.step();
    const other = shardId === first ? second : first;
    expect(one.positions()).toEqual({ [shardId]: finished(now), [other]: finished(now + 3_000) });
  });

  it("K3 not idle before the children are in; they are read from their beginning", async () => {
    const here = world(2);
    here.put("a");
    here.control.split("s", first);
    const one = reading(here, await here.table({}, [first, second]));
    await one.until(() => one.positions()[first]?.kind === "finished" && one.positions()[second]?.kind === "open");
    for (let i = 0; i < 4; i++) await one.step();
    expect(one.reader.idle).toBe(false);
    for (let i = 0; i < 20; i++) here.put(`k${i}`);
    const table: SourceTable = await here.table({
      [first]: one.positions()[first] ?? open({ kind: "horizon", readTo: null }),
    });
    one.reader.enter(table);
    await one.until(() => one.taken.length >= 21);
    await idle(one);
    expect(new Set(one.bodies())).toEqual(new Set(["a", ...Array.from({ length: 20 }, (_, i) => `k${i}`)]));
    expect(one.bodies()).toHaveLength(21);
    expect(Object.keys(one.positions())).toEqual([first, second, third, fourth]);
  });

  it("K3 a position of ours is newer than the table's; a finished entry that it has dropped goes, an open one stays", async () => {
    const here = world(2);
    here.put("a", "a");
    const { shardId } = here.put("b", "a");
    const one = reading(here, await here.table());
    await idle(one);
    const before = one.positions();
    one.reader.enter(await here.table());
    expect(one.positions()).toEqual(before);
    const other = shardId === first ? second : first;
    here.control.split("s", other);
    await one.until(() => one.positions()[other]?.kind === "finished");
    one.reader.enter(await here.table({}, [third, fourth]));
    expect(Object.keys(one.positions()).toSorted()).toEqual([shardId, third, fourth].toSorted());
  });
});
