import type { PipelineOptions } from "tidemark";
import { describe, expect, it } from "vitest";
import { desired, now } from "./checkpoint-samples.js";
import { minutes, remembering, running, same } from "./stages-world.js";

describe("many tasks", () => {
  it.each([2, 3, 8])(
    "E1 E2 B4 records of all shards reach their keys' tasks, at parallelism %s",
    async (parallelism) => {
      const world = running(remembering({ parallelism }));
      await world.wish();
      for (let i = 0; i < 20; i++) {
        world.put(25);
        await world.until(() => false, 400);
      }
      const head = await world.settled();
      expect(world.rows()).toEqual(world.expected);
      expect(head).toMatchObject({ generation: 1, failures: [] });
      expect(head?.completed?.checkpointId).toBeGreaterThan(3);
    },
  );

  it("E3 E4 crashes at any moment lose nothing and repeat nothing", async () => {
    const world = running(remembering({ parallelism: 3 }), { way: () => 20 });
    await world.wish();
    for (let i = 0; i < 40; i++) {
      world.put(10);
      await world.until(() => false, 150 + 37 * (i % 11));
      if (i % 5 === 4) await world.crash();
    }
    const head = await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect(head?.generation).toBeGreaterThan(4);
  });

  it("N1 tasks hand over, each in its own time", async () => {
    const world = running(
      remembering({ parallelism: 2, session: { reserve: "20s" }, checkpoint: { interval: "2s", timeout: "5s" } }),
      { lifetime: 90_000 },
    );
    await world.wish();
    for (let i = 0; i < 30; i++) {
      world.put(10);
      await world.until(() => false, 10_000);
    }
    const head = await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect(head).toMatchObject({ generation: 1, failures: [] });
    expect(world.outcomes.filter(({ kind }) => kind === "handover").length).toBeGreaterThan(6);
  });

  /** One schedule of records and crashes; what every key remembers at the end. */
  async function crashing(checkpoint: PipelineOptions["checkpoint"]) {
    const world = running(remembering({ parallelism: 3, checkpoint: { interval: "1s", ...checkpoint } }), {
      way: () => 20,
    });
    await world.wish();
    for (let i = 0; i < 40; i++) {
      world.put(10);
      await world.until(() => false, 150 + 37 * (i % 11));
      if (i % 5 === 4) await world.crash();
    }
    const isComplete = () =>
      [...world.expected].every(([key, numbers]) => numbers.every((n) => world.rows().get(key)?.includes(n)));
    const head = await world.until(isComplete, minutes(3));
    expect(head?.generation).toBeGreaterThan(4);
    const counted = [...world.rows().values()].reduce((sum, numbers) => sum + numbers.length, 0);
    return { counted, put: 400, isComplete: isComplete() };
  }

  it("B2 on one schedule of crashes: unaligned and aligned count each record once, at-least-once counts some twice", {
    timeout: 180_000,
  }, async () => {
    expect(await crashing({})).toEqual({ counted: 400, put: 400, isComplete: true });
    expect(await crashing({ alignment: "aligned" })).toEqual({ counted: 400, put: 400, isComplete: true });
    const { counted, isComplete } = await crashing({ mode: "at-least-once" });
    expect(isComplete).toBe(true);
    expect(counted).toBeGreaterThan(400);
  });

  it.each([
    [1, 4],
    [4, 1],
  ])(
    "E4 K2 a deployment goes from parallelism %s to %s, and back, with frames in flight",
    { timeout: 120_000 },
    async (from, to) => {
      const [few, many] = [remembering({ parallelism: from }), remembering({ parallelism: to })];
      const world = running(remembering({ parallelism: from }), { way: () => 20 });
      await world.wish();
      for (let i = 1; i <= 4; i++) {
        for (let j = 0; j < 5; j++) {
          world.put(20);
          await world.until(() => false, 210);
        }
        const { code } = world.deploy(i % 2 === 1 ? many : few);
        await world.wish(
          desired({ code, request: { id: `r${i}`, kind: "restart", from: null, sinks: {}, dropped: [] } }),
          i,
        );
        await world.until(({ generation }) => generation > i, minutes(1));
      }
      await world.settled();
      expect(world.rows()).toEqual(world.expected);
      expect((await world.head())?.failures).toEqual([]);
    },
  );

  it("K3 shards split and merge at any moment, with crashes between, and each key's records keep their order", async () => {
    const world = running(remembering({ parallelism: 3 }), { way: () => 20, shards: 3 });
    await world.wish();
    for (let i = 0; i < 24; i++) {
      world.put(12, 17);
      await world.until(() => false, 240);
      const open = (await world.shards()).filter(
        ({ shardId }, _, all) => !all.some(({ parents }) => parents.includes(shardId)),
      );
      const [first, second] = open.toSorted((a, b) => (BigInt(a.hashKeys[0]) < BigInt(b.hashKeys[0]) ? -1 : 1));
      if (i % 6 === 2 && first !== undefined) world.stream.split("flights", first.shardId);
      if (i % 6 === 5 && first !== undefined && second !== undefined)
        world.stream.merge("flights", first.shardId, second.shardId);
      if (i % 7 === 6) await world.crash();
    }
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
  });

  it("P0 K3 as in FLINK-37627: shards that split and merge while a checkpoint is pending, and while a generation restores, lose no record", {
    timeout: 120_000,
  }, async () => {
    const world = running(remembering({ parallelism: 3 }), { way: () => 60, shards: 3 });
    await world.wish();
    const reshard = async (kind: "split" | "merge") => {
      const all = await world.shards();
      const open = all.filter(({ shardId }) => !all.some(({ parents }) => parents.includes(shardId)));
      const [first, second] = open.toSorted((a, b) => (BigInt(a.hashKeys[0]) < BigInt(b.hashKeys[0]) ? -1 : 1));
      if (kind === "split" && first !== undefined) world.stream.split("flights", first.shardId);
      if (kind === "merge" && first !== undefined && second !== undefined)
        world.stream.merge("flights", first.shardId, second.shardId);
    };
    for (let round = 0; round < 8; round++) {
      world.put(15, 17);
      await world.until(({ pending }) => pending !== null, minutes(1));
      await reshard(round % 2 === 0 ? "split" : "merge");
      world.put(15, 17);
      const { generation = 0 } = (await world.head()) ?? {};
      await world.crash();
      await world.until((head) => head.generation > generation, minutes(1));
      // The sessions of the new generation read what they start from.
      await world.clock.sleep(50 * (round % 4));
      await reshard(round % 2 === 0 ? "merge" : "split");
      world.put(15, 17);
    }
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
  });

  it("K2 one key that has nearly all records holds nobody up", async () => {
    const world = running(remembering({ parallelism: 4 }), { way: () => 20 });
    await world.wish();
    for (let i = 0; i < 20; i++) {
      world.put(200, 1);
      world.put(20, 20);
      await world.until(() => false, 300);
    }
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect(await world.head()).toMatchObject({ generation: 1, failures: [] });
  });

  it("B4 bounded input is finished when all tasks have taken all, whatever is in flight at its end", async () => {
    const world = running(remembering({ parallelism: 4 }, { end: new Date(Number(now) + 12_000) }), { way: () => 30 });
    await world.wish();
    for (let i = 0; i < 20; i++) {
      world.put(10);
      await world.until(() => false, 500);
    }
    const head = await world.until(({ endedAt }) => endedAt !== null, minutes(2));
    expect(head).toMatchObject({ status: "finished", failures: [] });
    expect(world.rows()).toEqual(world.expected);
  });

  it("N2 N3 all tasks sleep or none, with nothing in flight, and records wake them", async () => {
    const world = running(remembering({ parallelism: 3, idle: { suspendAfter: "3s" } }), { way: () => 20 });
    await world.wish();
    for (let round = 0; round < 3; round++) {
      world.put(30);
      const head = await world.until(
        ({ status }) => status === "suspended" && same(world.rows(), world.expected),
        minutes(5),
      );
      expect(head).toMatchObject({ status: "suspended", failures: [] });
      expect(world.rows()).toEqual(world.expected);
    }
  });
});
