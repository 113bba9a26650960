// R2, W2: a replay whose supervisor is killed at any call leaves the old generation, or the new one.
import { dynamoTable, pipeline } from "tidemark";
import { describe, expect, it } from "vitest";
import { readGenerationRecord, readManifest, swapDesired } from "../../lib/checkpoint/store.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { millis } from "../../lib/model/ids.js";
import { runSupervisor } from "../../lib/runtime/supervisor.js";
import { desired } from "./checkpoint-samples.js";
import { cutPorts } from "./cut-ports.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

const counting = pipeline("p", salesOptions, (flow) =>
  countSales(flow).to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
);

async function running() {
  const world = cloud(counting);
  for (const table of ["shops", "shops-v2"]) world.tables.createTable(table, [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 1);
  const { sell } = salesInto(world);
  await world.wish(desired());
  const older = await sell(9);
  const newer = await sell(9);
  const request = {
    id: "replay",
    kind: "restore",
    from: older,
    sinks: { shops: { kind: "redirect", suffix: "v2" } },
    dropped: [],
  } as const;
  const sum = (table: string) => world.tables.items(table).reduce((all, { n }) => all + Number(n), 0);
  return { ...world, sell, older, newer, wanted: desired({ request }), sum };
}

/** The replay is asked for, and a supervisor tries to carry it out that is killed at this call. Whether it was. */
async function killedAt(world: Awaited<ReturnType<typeof running>>, call: number, when: "before" | "after") {
  const cut = cutPorts(world.deployment.world, { call, when });
  await swapDesired(world.store, 1, world.wanted);
  const supervised = runSupervisor(
    { ...world.deployment, world: cut.world },
    { pipeline: "p", report: null },
    { deadline: millis(world.clock.now() + 60_000) },
  ).then(() => "ended" as const);
  const outcome = await Promise.race([supervised, cut.died]);
  // What was sent in its last moment takes effect.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return outcome === "died";
}

describe("R2 W2 a replay", () => {
  it.each(["before", "after"] as const)(
    "killed %s each of its calls leaves the old generation or the new one, and is carried out once",
    { timeout: 120_000 },
    async (when) => {
      const generations = new Set<number>();
      let died = true;
      let call = 0;
      while (died) {
        call++;
        const world = await running();
        const shown = world.sum("shops");
        died = await killedAt(world, call, when);
        const head = (await world.head()) as Head;
        generations.add(head.generation);
        const record = await readGenerationRecord(world.store, head);
        if (head.generation === 1) expect(head).toMatchObject({ completed: world.newer, left: [], status: "running" });
        else {
          expect(head).toMatchObject({
            generation: 2,
            completed: world.older,
            origin: world.older,
            left: [world.newer],
          });
          expect(record).toMatchObject({ reason: "replay", requestId: "replay", sinks: world.wanted.request?.sinks });
        }
        // Whichever it is, it can be restored.
        await readManifest(world.store, head.incarnation, head.completed as CheckpointRef);

        // The schedule calls the next supervisor.
        await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, 300_000);
        await world.sell(3);
        expect(await world.head()).toMatchObject({ generation: 2, failures: [], left: [world.newer] });
        expect(world.sum("shops")).toBe(shown);
        expect(world.sum("shops-v2")).toBe(21);
      }
      expect(call).toBeGreaterThan(10);
      expect(generations).toEqual(new Set([1, 2]));
    },
  );

  it("R2 sessions of the generation that a replay has left complete and show nothing more", async () => {
    const world = await running();
    const shown = world.sum("shops");
    // They read on until they look at the head: what they cut for then is no checkpoint any more.
    for (let i = 0; i < 5; i++) world.stream.put("flights", `z${i}`, Buffer.from(JSON.stringify({ shop: "s0" })));
    await swapDesired(world.store, 1, world.wanted);
    await world.clock.sleep(999);
    const call = { pipeline: "p", report: null };
    await runSupervisor(world.deployment, call, { deadline: millis(world.clock.now() + 60_000) });
    const opened = (await world.head()) as Head;
    expect(opened.generation).toBe(2);
    await world.until(() => false, 60_000);
    const after = world.sum("shops");
    // One checkpoint of the old generation may have been complete before: all of it, or nothing.
    expect([shown, shown + 5]).toContain(after);
    await world.sell(3);
    expect(world.sum("shops")).toBe(after);
    expect(world.sum("shops-v2")).toBe(26);
  });
});
