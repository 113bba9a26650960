import { expect, it } from "vitest";
import { readManifest } from "../../lib/checkpoint/store.js";
import { uncommittedMax } from "../../lib/checkpoint/triggers.js";
import type { Committable } from "../../lib/model/checkpoints.js";
import { countingFlights } from "./counting-flights.js";
import { cloud } from "./runtime-world.js";

const counting = countingFlights({ checkpoint: { interval: "1s" } });

it("C1 B1 where a commit takes thirty times as long as the interval, checkpoints wait for it, and lists stay short", async () => {
  const world = cloud(counting, { way: (_, what) => (isPut(what) ? 30_000 : 0) });
  world.stream.createStream("flights", 1);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  await world.wish();
  const listed: number[] = [];
  const completed = new Set<number>();
  let puts = 0;
  for (const end = world.clock.now() + 300_000; world.clock.now() < end; puts++) {
    world.stream.put("flights", "ATL", Buffer.from('{"airport":"ATL"}'));
    await world.clock.sleep(500);
    const head = await world.head();
    if (head?.completed == null || completed.has(head.completed.checkpointId)) continue;
    completed.add(head.completed.checkpointId);
    const { tasks } = await readManifest(world.store, head.incarnation, head.completed);
    for (const { committables } of tasks) {
      if ("kind" in committables) throw new Error("the list is so long that it lies in the bucket");
      listed.push(new Set((committables as readonly Committable[]).map((item) => item.checkpointId)).size);
    }
  }
  // Those that the rule allows, the one that it let begin, and one more whose news the task had not told.
  expect(Math.max(...listed)).toBeLessThanOrEqual(uncommittedMax + 2);
  expect(Math.max(...listed)).toBeGreaterThan(1);
  // Thirty seconds a commit: it goes on, neither stuck nor with a checkpoint a second.
  expect(completed.size).toBeGreaterThan(10);
  expect(completed.size).toBeLessThan(100);
  await world.until(() => world.tables.items("airports").some((item) => item.flights === puts), 120_000);
  expect(world.tables.items("airports")).toMatchObject([{ airport: "ATL", flights: puts }]);
  expect(await world.head()).toMatchObject({ failures: [], generation: 1 });
});

const isPut = (what: unknown): boolean => typeof what === "object" && what !== null && "item" in what;
