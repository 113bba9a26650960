// R7 with real sessions: a pipeline that lost its table goes on exactly, and is never begun anew by accident.
import { describe, expect, it } from "vitest";
import { checkNeverRan } from "../../lib/checkpoint/incarnations.js";
import { planRecovery, recover } from "../../lib/checkpoint/recover.js";
import { readHead, swapDesired } from "../../lib/checkpoint/store.js";
import { millis } from "../../lib/model/ids.js";
import { desired, request } from "./checkpoint-samples.js";
import { countingFlights } from "./counting-flights.js";
import { cloud } from "./runtime-world.js";

const counting = countingFlights({ checkpoint: { interval: "1s", retained: 2 } });

async function running() {
  const world = cloud(counting);
  world.stream.createStream("flights", 2);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  let puts = 0;
  const put = () => {
    const airport = `A${puts++ % 7}`;
    world.stream.put("flights", airport, Buffer.from(JSON.stringify({ airport })));
  };
  const flow = async (records: number) => {
    for (let i = 0; i < records; i++) {
      put();
      await world.clock.sleep(97);
    }
  };
  await world.wish();
  return {
    ...world,
    put,
    flow,
    puts: () => puts,
    counted: () => world.tables.items("airports").reduce((sum, item) => sum + Number(item.flights), 0),
    loseTable: async () => {
      for (const { name } of await world.store.registers.list("p", ""))
        await world.store.registers.remove({ group: "p", name });
    },
    rests: () => world.until(() => false, 10_000),
  };
}
const again = (id: string) => desired({ request: request({ id }) });
const options = { incarnation: null, checkpoint: null, fingerprint: counting.plan.fingerprint, library: "0.1.0" };

describe("R7 a head that is lost", () => {
  it.each([0, 1, 2, 3, 4])("R7 R6 W1 is rebuilt from the bucket, and every record counts once (%i)", async (n) => {
    const world = await running();
    await world.flow(30 + 13 * n);
    await world.until((head) => head.completed !== null, 60_000);
    await world.flow(11 * n);
    const before = await world.head();
    await world.loseTable();
    await world.flow(5);
    await world.rests();
    const recovery = await planRecovery(world.store, options);
    const head = await recover(world.store, recovery);
    expect(head.incarnation).toBe(before?.incarnation);
    expect(head.generation).toBeGreaterThan(before?.generation ?? 0);
    await world.flow(5);
    await world.rests();
    // It rests until somebody starts it.
    expect(await world.head()).toEqual(head);
    await world.wish(again("r2"));
    await world.flow(20);
    await world.until(
      (now) => now.status === "running" && (now.completed?.checkpointId ?? 0) > head.nextCheckpointId,
      60_000,
    );
    await world.rests();
    expect(await world.head()).toMatchObject({ status: "running", failures: [], generation: head.generation + 1 });
    expect(world.counted()).toBe(world.puts());
  });

  it("R7 the head alone: nothing is opened before somebody asks, though what was desired is still there", async () => {
    const world = await running();
    await world.flow(40);
    await world.until((head) => head.completed !== null, 60_000);
    await world.store.registers.remove({ group: "p", name: "head" });
    await world.rests();
    const head = await recover(world.store, await planRecovery(world.store, options));
    await world.rests();
    expect(await world.head()).toEqual(head);
    await swapDesired(world.store, 1, again("r2"));
    await world.until((now) => now.status === "running", 120_000);
    await world.flow(10);
    await world.rests();
    expect(world.counted()).toBe(world.puts());
  });
});

describe("R7 begun anew", () => {
  it("R7 a pipeline with checkpoints in the bucket and no head is not: it would count its input twice", async () => {
    const world = await running();
    await world.flow(40);
    await world.until((head) => head.completed !== null, 60_000);
    await world.rests();
    const counted = world.counted();
    await world.loseTable();
    await world.wish(again("r2"));
    await world.until(() => false, millis(180_000));
    expect(await readHead(world.store)).toBeNull();
    expect(world.counted()).toBe(counted);
    await expect(checkNeverRan(world.store)).rejects.toThrow(
      /has checkpoints in the bucket .*no head.*"tidemark recover".*give the pipeline another name/,
    );
  });

  it("R7 one that never completed a checkpoint may be", async () => {
    const world = cloud(counting);
    await world.store.blobs.put("p/0a0b0c0d0e0f/00000001/000000000001/0.0/state-base-s1", Buffer.of(1));
    world.stream.createStream("flights", 1);
    world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
    await world.wish();
    expect(await world.until((head) => head.status === "running", 60_000)).toMatchObject({ generation: 1 });
  });
});
