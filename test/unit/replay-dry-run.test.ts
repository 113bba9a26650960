// W2: what a dry run counts, and refuses.
import { dynamoTable, pipeline } from "tidemark";
import { expect, it } from "vitest";
import { readManifest } from "../../lib/checkpoint/store.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { DryRunOutput } from "../../lib/runtime/dry-run-output.js";
import { dryRowsIn } from "../../lib/runtime/restore.js";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

const counting = (parallelism: number) =>
  pipeline("p", { ...salesOptions, parallelism }, (flow) =>
    countSales(flow).to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
  );

it.each([
  [1, 2],
  [2, 1],
])(
  "W2 E4 rows of a dry run are counted on where parallelism %i becomes %i, though another stage has the sink",
  async (before, after) => {
    const world = cloud(counting(before));
    world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
    world.stream.createStream("flights", 2);
    const { sell } = salesInto(world, 20);
    const counted = async () => {
      const { incarnation, completed } = (await world.head()) as Head;
      const { tasks } = await readManifest(world.store, incarnation, completed as CheckpointRef);
      return dryRowsIn(tasks).shops;
    };
    await world.wish(desired());
    const from = await sell(20);
    const dry = { id: "dry", kind: "restore", from, sinks: { shops: { kind: "dry-run" } }, dropped: [] } as const;
    expect(await world.ask(desired({ request: dry }), 1)).toBeNull();
    await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, 60_000);
    await sell(20);
    await world.until(() => false, 20_000);
    expect(await counted()).toBe(20);
    const { code } = world.deploy(counting(after));
    const again = { id: "again", kind: "restart", from: null, sinks: {}, dropped: [] } as const;
    expect(await world.ask(desired({ code, request: again }), 2)).toBeNull();
    await world.until(({ generation, completed }) => generation === 3 && completed?.generation === 3, 60_000);
    await sell(20);
    await world.until(() => false, 20_000);
    expect(await counted()).toBe(40);
  },
);

it("W2 W3 a dry run refuses a row of an eager sink that has another key than the operator before it", () => {
  const sink = dynamoTable({
    table: "live",
    key: ["shop"],
    delivery: "eager",
    stableKeys: true,
  });
  const writer = { delivery: "eager", writer: { put: async () => undefined } } as never;
  const output = new DryRunOutput("live", sink as never, writer, 0);
  output.add({ shop: "a" }, "a");
  expect(() => output.add({ shop: "b" }, "a")).toThrow(/sink "live" writes at once.*another key.*\(W3\)/);
  expect(output.rows).toBe(1);
});
