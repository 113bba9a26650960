import type { PipelineOptions } from "tidemark";
import { describe, expect, it } from "vitest";
import { desired, now } from "./checkpoint-samples.js";
import { countingFlights } from "./counting-flights.js";
import { cloud } from "./runtime-world.js";

const minutes = (n: number) => n * 60_000;

function running(made: ReturnType<typeof countingFlights>, options: Parameters<typeof cloud>[1] = {}) {
  const world = cloud(made, options);
  world.stream.createStream("flights", 1);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  let puts = 0;
  return {
    ...world,
    put(airport: string) {
      puts++;
      return world.stream.put("flights", airport, Buffer.from(JSON.stringify({ airport })));
    },
    puts: () => puts,
    counted: () => world.tables.items("airports").reduce((sum, item) => sum + Number(item.flights), 0),
  };
}

const quick: PipelineOptions = { checkpoint: { interval: "1s" } };

describe("C3 bounded input", () => {
  it.each([0, 20, 100, 200, 300, 700])(
    "C3 B4 finishes in its first generation, whenever the last record comes (way of %i ms)",
    async (latency) => {
      for (const gap of [100, 300, 700, 1_300]) {
        const end = now + 8_000;
        const world = running(countingFlights(quick, end), { way: () => latency });
        for (let i = 0; i < 4; i++) world.put("ATL");
        await world.wish();
        for (let i = 0; i * gap < 9_000; i++) {
          await world.clock.sleep(gap);
          if (world.clock.now() < end) world.put("BOS");
        }
        const head = await world.until((found) => found.endedAt !== null, minutes(5));
        expect({ gap, status: head?.status, generation: head?.generation }).toEqual({
          gap,
          status: "finished",
          generation: 1,
        });
        expect(world.counted()).toBe(world.puts());
      }
    },
  );
});

describe("C3 stop", () => {
  it.each([0, 100, 400])("C3 a pipeline that is to stop commits all and rests (way of %i ms)", async (latency) => {
    const world = running(countingFlights(quick), { way: () => latency });
    await world.wish();
    for (let i = 0; i < 20; i++) {
      world.put("ATL");
      await world.clock.sleep(130);
    }
    await world.until((found) => found.completed !== null, minutes(1));
    await world.wish(desired({ state: "stopped" }), 1);
    const head = await world.until((found) => found.endedAt !== null, minutes(5));
    expect(head).toMatchObject({ status: "stopped", generation: 1, failures: [] });
    expect(world.counted()).toBe(20);
    expect(world.outcomes.at(-1)).toMatchObject({ kind: "done" });
  });
});

describe("N1 hand-overs", () => {
  it.each([0, 60])(
    "N1 sessions of ten minutes hand over for most of an hour, and count every record once (way of %i ms)",
    async (latency) => {
      const world = running(countingFlights({}), { way: () => latency, lifetime: minutes(10) });
      await world.wish();
      for (let i = 0; i < 150; i++) {
        world.put(i % 2 === 0 ? "ATL" : "BOS");
        await world.until(() => false, 20_000);
      }
      await world.until(() => false, minutes(1));
      expect(await world.head()).toMatchObject({ generation: 1, failures: [] });
      expect(world.outcomes.length).toBeGreaterThanOrEqual(4);
      expect(world.outcomes.every((one) => one.kind === "handover")).toBe(true);
      expect(world.counted()).toBe(150);
    },
  );
});

describe("K3 resharding", () => {
  it("K3 children that an old list does not show yet are read soon after it does, though nothing else comes", async () => {
    const world = running(countingFlights(quick));
    await world.wish();
    world.put("ATL");
    await world.until((found) => found.completed !== null, minutes(1));
    const [shard] = (await world.shards()).map(({ shardId }) => shardId);
    world.stream.split("flights", shard ?? "");
    world.stream.answerOldShards("flights", 3);
    world.put("ATL");
    world.put("BOS");
    await world.until(() => false, minutes(2));
    expect(world.counted()).toBe(3);
  });
});

it("B1 B5 what was cut for an aborted checkpoint is in the next one, though no record came since", async () => {
  let slow = true;
  const way = (method: string, what: unknown) => {
    const isAck = method === "swap" && (what as { readonly name: string }).name.startsWith("ack/");
    if (!isAck || !slow) return 0;
    slow = false;
    return 70_000;
  };
  const world = running(countingFlights(quick), { way });
  await world.wish();
  world.put("ATL");
  const aborted = await world.until((found) => found.consecutiveAborts === 1, minutes(2));
  expect(aborted).toMatchObject({ completed: null, generation: 1 });
  await world.until((found) => found.completed !== null, minutes(2));
  await world.until(() => false, 5_000);
  const found = await world.head();
  expect(found).toMatchObject({ generation: 1, consecutiveAborts: 0 });
  expect(found?.completed?.checkpointId).toBeGreaterThan(1);
  expect(world.counted()).toBe(1);
  expect(world.outcomes).toEqual([]);
});
