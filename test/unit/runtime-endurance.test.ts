// What a pipeline must bear for long: tables slower than its input, restores that take minutes, cuts that fail beside writes under way.
import { dynamoTable, json, kinesisSource, list, type PipelineOptions, pipeline, value } from "tidemark";
import { expect, it } from "vitest";
import { desired } from "./checkpoint-samples.js";
import { cloud, type Way } from "./runtime-world.js";

interface Order {
  readonly id: string;
  readonly item?: string;
  readonly emit?: true;
}
const source = () => kinesisSource({ stream: "flights", codec: json<Order>(), start: "trim-horizon" });
const isPut: (...of: Parameters<Way>) => boolean = (method, what) =>
  method === "put" && typeof what === "object" && what !== null && "item" in what;
const writing = (delivery: "held" | "eager", options: PipelineOptions) =>
  pipeline("p", options, (flow) =>
    flow
      .from("flights", source())
      .keyBy((order) => order.id)
      .process("id", {
        state: { n: value(0) },
        onRecord: (order, { state }) => {
          state.n.set(1);
          return { id: order.id };
        },
      })
      .to(
        "orders",
        delivery === "eager"
          ? dynamoTable({ table: "orders", key: ["id"], delivery, stableKeys: true })
          : dynamoTable({ table: "orders", key: ["id"] }),
      ),
  );
function running(made: Parameters<typeof cloud>[0], options: Parameters<typeof cloud>[1] = {}) {
  const world = cloud(made, options);
  world.stream.createStream("flights", 1);
  world.tables.createTable("orders", [{ name: "id", type: "string" }]);
  const put = (order: Order) => void world.stream.put("flights", order.id, Buffer.from(JSON.stringify(order)));
  return { ...world, put, items: () => world.tables.items("orders") };
}

it("B1 N1 a table slower than the input: sessions hand over, and all is written", async () => {
  const options = { checkpoint: { interval: "2s", timeout: "5s" }, session: { reserve: "20s" } } as const;
  const world = running(writing("held", options), { way: (m, w) => (isPut(m, w) ? 1_000 : 0), lifetime: 120_000 });
  await world.wish();
  let [kill, ended, killed, n] = [world.clock.now() + 120_000, 0, 0, 0];
  for (let t = 0; t < 1_500; t++) {
    for (let i = 0; t < 300 && i < 60; i++) world.put({ id: `o${n++}` });
    await world.clock.sleep(1_000);
    if (world.outcomes.length !== ended) kill = world.clock.now() + 120_000;
    ended = world.outcomes.length;
    if (world.clock.now() < kill) continue;
    killed++; // Lambda kills at the deadline
    await world.crash();
    kill = world.clock.now() + 120_000;
  }
  expect({ killed, items: world.items().length }).toEqual({ killed: 0, items: n });
}, 100_000);

it("B3 eager: a table that takes 100 rows a second completes checkpoints", async () => {
  const world = running(writing("eager", { checkpoint: { interval: "10s" } }), {
    way: (m, w) => (isPut(m, w) ? 160 : 0),
  });
  for (let n = 0; n < 8_000; n++) world.put({ id: `o${n}` });
  await world.wish();
  await world.until(() => world.items().length === 8_000, 600_000);
  expect({ items: world.items().length, generation: (await world.head())?.generation }).toEqual({
    items: 8_000,
    generation: 1,
  });
}, 100_000);

it("R4 B1 a session that restores or commits for long is left alone, and then stops", async () => {
  const world = running(writing("held", { checkpoint: { interval: "2s" } }), {
    way: (m, w) => (isPut(m, w) ? 1_000 : 0),
  });
  for (let n = 0; n < 8_000; n++) world.put({ id: `o${n}` });
  await world.wish();
  await world.until((head) => head.completed !== null, 60_000);
  await world.clock.sleep(3_000);
  await world.crash();
  await world.clock.sleep(3_000);
  await world.wish(desired({ state: "stopped" }), 1);
  expect(await world.until((head) => head.endedAt !== null, 20 * 60_000)).toMatchObject({
    status: "stopped",
    generation: 2,
  });
}, 100_000);

it.each([0, 6_000])(
  "B2 a row is what it was when it was emitted, wherever the cut falls (pause of %i ms)",
  async (pause) => {
    const made = pipeline("p", { checkpoint: { interval: "2s" } }, (flow) =>
      flow
        .from("flights", source())
        .keyBy((order) => order.id)
        .process("id", {
          state: { items: list<string>() },
          onRecord: (order, { state, key }) => {
            state.items.add(order.item ?? "");
            return order.emit ? { id: key, items: state.items.get() } : undefined;
          },
        })
        .to("orders", dynamoTable({ table: "orders", key: ["id"] })),
    );
    const world = running(made);
    world.put({ id: "x", item: "a" });
    world.put({ id: "x", item: "b", emit: true });
    await world.wish();
    if (pause > 0) await world.clock.sleep(pause);
    world.put({ id: "x", item: "c" });
    await world.clock.sleep(1_000);
    await world.until(() => world.items().length > 0, 30_000);
    expect(world.items()).toEqual([{ id: "x", items: ["a", "b"] }]);
  },
);

it("N4 a cut that throws while eager rows are on their way leaves no rejection unhandled", async () => {
  const unhandled: unknown[] = [];
  const before = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (error) => void unhandled.push(String(error)));
  const made = pipeline("p", { checkpoint: { interval: "4s" } }, (flow) => {
    const orders = flow
      .from("flights", source())
      .keyBy((order) => order.id)
      .process("id", {
        state: { n: value(0) },
        onRecord: (order, { state, key }) => {
          state.n.set(1);
          return { id: key, item: order.item ?? "" };
        },
      });
    orders.to("early", dynamoTable({ table: "orders", key: ["id"], delivery: "eager", stableKeys: true }));
    // A row that the cut refuses: more than 400 KB
    orders
      .filter((row) => row.id === "bad")
      .map((row) => ({ id: row.id, body: "x".repeat(500_000) }))
      .to("late", dynamoTable({ table: "orders", key: ["id"] }));
  });
  const world = running(made, { way: (m, w) => (isPut(m, w) ? 1_000 : 0) });
  await world.wish();
  world.put({ id: "first" });
  await world.clock.sleep(3_000);
  for (let n = 0; n < 100; n++) world.put({ id: `o${n}` });
  await world.clock.sleep(800);
  for (let n = 0; n < 100; n++) world.put({ id: `p${n}` });
  world.put({ id: "bad" });
  await world.until((head) => head.endedAt !== null, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.removeAllListeners("unhandledRejection");
  for (const listener of before) process.on("unhandledRejection", listener);
  expect(unhandled).toEqual([]);
});
