import type { PipelineOptions } from "tidemark";
import { describe, expect, it } from "vitest";
import { readManifest } from "../../lib/checkpoint/store.js";
import { wishRunning, wishStopped } from "../../lib/checkpoint/wishes.js";
import type { Head } from "../../lib/model/head.js";
import { sha256 } from "../../lib/model/sha256.js";
import { now, version } from "./checkpoint-samples.js";
import { countingFlights } from "./counting-flights.js";
import { cloud } from "./runtime-world.js";

const minute = 60_000;
const hour = 60 * minute;

/** It sleeps after half a minute. */
const counting = (options: PipelineOptions, end: number | null) =>
  countingFlights({ checkpoint: { interval: "1s" }, idle: { suspendAfter: "30s" }, ...options }, end);

function running(
  options: PipelineOptions = {},
  cloudOptions: Parameters<typeof cloud>[1] = {},
  end: number | null = null,
) {
  const world = cloud(counting(options, end), cloudOptions);
  world.stream.createStream("flights", 1);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  let puts = 0;
  const counted = () => world.tables.items("airports").reduce((sum, item) => sum + Number(item.flights), 0);
  const rests = (head: Head) => head.status === "suspended";
  return {
    ...world,
    put(airport = `A${puts % 7}`) {
      puts++;
      return world.stream.put("flights", airport, Buffer.from(JSON.stringify({ airport })));
    },
    counted,
    /** All that was put is counted, and the pipeline sleeps. */
    async sleeps(within = 3 * minute): Promise<Head> {
      const head = await world.until(rests, within);
      if (head === null) throw new Error("no head");
      expect({ status: head.status, failures: head.failures }).toEqual({ status: "suspended", failures: [] });
      expect(counted()).toBe(puts);
      return head;
    },
  };
}

describe("N2 N3 a pipeline that sleeps when nothing comes", () => {
  it.each([0, 100, 400])(
    "N2 N3 sleeps, is not invoked, wakes for records, and counts each once (way of %i ms)",
    async (way) => {
      const world = running({}, { way: () => way });
      for (let i = 0; i < 20; i++) world.put();
      await world.wish();
      const first = await world.sleeps();
      const ended = world.outcomes.length;
      await world.until(() => false, hour);
      expect(world.outcomes).toHaveLength(ended);
      expect(await world.head()).toEqual(first);
      for (let nights = 1; nights <= 3; nights++) {
        world.put();
        const head = await world.until(({ status }) => status === "running", 2 * minute);
        expect(head).toMatchObject({ generation: first.generation + nights, failures: [] });
        world.put();
        await world.sleeps();
      }
    },
  );

  it("N2 N3 P1 a quiet sleep that is longer than the retention loses nothing", async () => {
    const world = running();
    world.put();
    await world.wish();
    await world.until(({ status }) => status === "running", minute);
    world.stream.setRetention("flights", 10 * minute);
    await world.sleeps();
    await world.until(() => false, hour);
    world.put();
    expect(await world.until(({ status }) => status !== "suspended", 2 * minute)).toMatchObject({ status: "running" });
    await world.sleeps();
    expect(world.counted()).toBe(2);
  });

  it("N3 K3 a shard that is split and merged while it sleeps is read to the last record", async () => {
    const world = running();
    for (let i = 0; i < 10; i++) world.put();
    await world.wish();
    await world.sleeps();
    const [shard] = await world.shards();
    const [left, right] = world.stream.split("flights", shard?.shardId ?? "");
    for (let i = 0; i < 20; i++) world.put();
    world.stream.merge("flights", left, right);
    for (let i = 0; i < 20; i++) world.put();
    await world.until(({ status }) => status === "running", 2 * minute);
    await world.sleeps(10 * minute);
  });

  it("N2 sessions live shorter than it is to be idle before it sleeps: the checkpoints carry the time on", async () => {
    const options: PipelineOptions = { idle: { suspendAfter: "20m" } };
    const world = running(options, { lifetime: 5 * minute });
    world.put();
    await world.wish();
    const begun = world.clock.now();
    const head = await world.sleeps(hour);
    expect(world.clock.now() - begun).toBeGreaterThan(20 * minute);
    expect(world.outcomes.filter(({ kind }) => kind === "handover").length).toBeGreaterThan(3);
    expect(head.generation).toBe(1);
  });

  it("N2 records that come more often than that keep it awake", async () => {
    const world = running();
    await world.wish();
    for (let i = 0; i < 20; i++) {
      world.put();
      const head = await world.until(({ status }) => status !== "running", 20_000);
      expect(head?.status).toBe("running");
    }
  });

  it("N3 bounded input: it sleeps before the end of its input, wakes at it, and finishes", async () => {
    const end = now + 20 * minute;
    const world = running({}, {}, end);
    for (let i = 0; i < 5; i++) world.put();
    await world.wish();
    await world.sleeps();
    await world.until(() => false, 5 * minute);
    world.put();
    await world.until(({ status }) => status === "running", 2 * minute);
    await world.sleeps();
    const finished = await world.until(({ status }) => status === "finished", 30 * minute);
    expect(finished).toMatchObject({ status: "finished", generation: 3, failures: [] });
    expect(world.clock.now()).toBeGreaterThanOrEqual(end);
    expect(world.counted()).toBe(6);
  });

  it("N2 it never sleeps where nobody said so", async () => {
    const world = running({ idle: "never" });
    world.put();
    await world.wish();
    const head = await world.until(({ status }) => status === "suspended", hour);
    expect(head?.status).toBe("running");
  });
});

describe("N3 what people want of a pipeline that sleeps", () => {
  it("N3 a stop, and a start later, which goes on where it was", async () => {
    const world = running();
    for (let i = 0; i < 5; i++) world.put();
    await world.wish();
    const asleep = await world.sleeps();
    const ended = world.outcomes.length;
    await wishStopped(world.store);
    const stopped = await world.until(({ status }) => status === "stopped", 2 * minute);
    expect(stopped).toMatchObject({ status: "stopped", generation: asleep.generation, completed: asleep.completed });
    world.put();
    await world.until(() => false, 10 * minute);
    expect(await world.head()).toEqual(stopped);
    expect(world.outcomes).toHaveLength(ended);
    await wishRunning(world.store, { functionVersion: version, fingerprint: sha256("plan") }, "again");
    const awake = await world.until(({ status }) => status === "running", 2 * minute);
    expect(awake).toMatchObject({ generation: asleep.generation + 1, origin: asleep.completed });
    await world.sleeps();
  });

  it("N2 the checkpoint with which it sleeps says so, and its ack is of an idle task", async () => {
    const world = running();
    world.put();
    await world.wish();
    const { completed, incarnation } = await world.sleeps();
    if (completed === null) throw new Error("nothing is complete");
    const manifest = await readManifest(world.store, incarnation, completed);
    expect(manifest).toMatchObject({ andThen: "suspend", tasks: [{ idle: true, finished: false }] });
  });
});
