import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import { now } from "./checkpoint-samples.js";
import { type At, day, first, idle, reading, second, shardOf, third, type World, world } from "./source-world.js";

describe("fairness", () => {
  it("of many shards none waits for a full one, and all are read to the end", async () => {
    const here = world(16);
    for (let i = 0; i < 400; i++) here.put(`hot ${i}`, "hot");
    for (let i = 0; i < 300; i++) here.put(`k${i}`);
    const one = reading(here, await here.table());
    await idle(one);
    expect(one.bodies().toSorted()).toEqual(
      [...Array(400).keys()]
        .map((i) => `hot ${i}`)
        .concat([...Array(300).keys()].map((i) => `k${i}`))
        .toSorted(),
    );
    const hot = one.taken.find(({ body }) => body === "hot 0")?.shard;
    const lastOthers = one.taken.findLastIndex(({ shard }) => shard !== hot);
    const hotBefore = one.taken.slice(0, lastOthers).filter(({ shard }) => shard === hot).length;
    const rounds = Math.max(
      ...[...Array(16).keys()].map((n) => (shardOf(n) === hot ? 0 : here.control.records("s", shardOf(n)).length)),
    );
    expect(hotBefore).toBeLessThanOrEqual(10 * (Math.ceil(rounds / 10) + 1));
  });

  it("of each shard at most one read is under way, or one batch waits", async () => {
    const here = world(3);
    for (let i = 0; i < 200; i++) here.put(`k${i}`);
    const one = reading(here, await here.table());
    for (let i = 0; i < 5; i++) one.pump();
    for (let i = 0; i < 5; i++) {
      await here.clock.sleep(1_000);
      one.pump();
    }
    expect(here.calls.map(({ shard }) => shard)).toEqual([first, second, third]);
    expect(one.reader.holding()).toEqual([first, second, third]);
    one.consume(second);
    one.consume(second);
    expect(one.taken).toHaveLength(10);
    one.pump();
    await here.clock.sleep(1_000);
    expect(here.calls.map(({ shard }) => shard)).toEqual([first, second, third, second]);
  });

  it("each shard is read five times a second at most, and twice when nothing is left", async () => {
    const here = world(3, 2);
    for (let i = 0; i < 90; i++) here.put(`k${i}`);
    const one = reading(here, await here.table());
    await one.until(() => one.reader.idle && here.clock.now() > now + 20_000);
    for (const shard of [first, second, third]) {
      const times = here.calls.filter((call) => call.shard === shard).map(({ at }) => at);
      const gaps = times.slice(1).map((at, i) => at - Number(times[i]));
      expect(Math.min(...gaps)).toBe(200);
      expect(gaps.slice(-20).every((gap) => gap >= 500)).toBe(true);
    }
  });
});

it("many shards that wait are no leak: the session's log has no warning of it", async () => {
  const warnings: Error[] = [];
  const heard = (warning: Error) => void warnings.push(warning);
  process.on("warning", heard);
  const here = world(40);
  await idle(reading(here, await here.table()));
  await new Promise(setImmediate);
  process.off("warning", heard);
  expect(warnings).toEqual([]);
});

describe("every record once, in the order of its shard", () => {
  const all = (here: World) =>
    [first, second].map((shard) => here.control.records("s", shard).map(({ data }) => Buffer.from(data).toString()));
  const perShard = (taken: ReturnType<typeof reading>["taken"]) =>
    [first, second].map((shard) => taken.filter((one) => one.shard === shard).map(({ body }) => body));
  const filled = () => {
    const here = world(2, 3);
    for (let i = 0; i < 70; i++) here.put(`k${i}`);
    return here;
  };
  const disturbed: readonly (readonly [string, (here: World) => void])[] = [
    ["cursors expire", (here) => here.control.expireCursors()],
    ["reads are throttled", (here) => here.control.throttle(3)],
    ["reads find nothing", (here) => here.control.answerEmpty(2)],
    ["reads fail", (here) => here.troubles.read.push(...Array(4).fill(new StreamError("transient", "busy")))],
    ["records before the position go", (here) => here.control.trim("s", here.clock.now())],
  ];

  it.each(disturbed)("P1 although %s", async (what, disturb) => {
    const here = filled();
    const expected = all(here);
    const one = reading(here, await here.table());
    const isTrim = what.startsWith("records");
    for (let i = 0; one.taken.length < 70; i++) {
      if (i > 500) throw new Error(`stuck at ${one.taken.length}`);
      if (!isTrim && i % 3 === 1) disturb(here);
      await one.step();
    }
    if (isTrim) disturb(here);
    here.put("last");
    await one.until(() => one.taken.length >= 71);
    await idle(one);
    expect(perShard(one.taken).flat().toSorted()).toEqual([...expected.flat(), "last"].toSorted());
    expect(perShard(one.taken.filter(({ body }) => body !== "last"))).toEqual(expected);
  });

  it("P1 wherever a session ends, its successor goes on at the positions", async () => {
    const here = filled();
    const expected = all(here);
    let at: Record<string, At> = {};
    const taken: ReturnType<typeof reading>["taken"] = [];
    for (let session = 0; taken.length < 70; session++) {
      if (session > 200) throw new Error(`stuck at ${taken.length}`);
      const one = reading(here, await here.table(at));
      for (let i = 0; i < 1 + (session % 3); i++) await one.step();
      at = one.positions();
      taken.push(...one.taken);
    }
    expect(perShard(taken)).toEqual(expected);
    expect(Math.max(...taken.map(({ sequenceNumber }) => sequenceNumber.length))).toBe(3);
    expect(Math.min(...taken.map(({ sequenceNumber }) => sequenceNumber.length))).toBe(1);
  });

  it("P1 positions that were trimmed go on while readTo is inside the retention, and are refused after it", async () => {
    const here = filled();
    const one = reading(here, await here.table());
    await idle(one);
    const at = one.positions();
    await here.clock.sleep(day - 10_000);
    const late = reading(here, await here.table(at));
    here.put("last");
    await late.until(() => late.taken.length > 0);
    expect(late.bodies()).toEqual(["last"]);
    await here.clock.sleep(20_000);
    const tooLate = reading(here, await here.table(at));
    await expect(idle(tooLate)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("sequence number"),
    });
    expect(tooLate.taken).toEqual([]);
  });
});
