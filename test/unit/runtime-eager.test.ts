import { deleted, dynamoTable, json, kinesisSource, type PipelineOptions, pipeline, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { cloud, type Way } from "./runtime-world.js";

interface Order {
  readonly shop: string;
  readonly n: number;
  /** The shop closes: its row goes. */
  readonly closes?: true;
}
const minutes = (n: number) => n * 60_000;

/** Sums orders by shop. */
const summing = (delivery: "held" | "eager", options: PipelineOptions = { checkpoint: { interval: "2s" } }) =>
  pipeline("p", options, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<Order>(), start: "trim-horizon" }))
      .keyBy((order) => order.shop)
      .process("sum", {
        state: { sum: value(0) },
        onRecord(order, { key, state }) {
          if (order.closes) {
            state.sum.clear();
            return deleted({ shop: key });
          }
          state.sum.update((sum) => sum + order.n);
          return { shop: key, sum: state.sum.get() };
        },
      })
      .to(
        "shops",
        delivery === "eager"
          ? dynamoTable({ table: "shops", key: ["shop"], delivery, stableKeys: true })
          : dynamoTable({ table: "shops", key: ["shop"] }),
      ),
  );

function running(delivery: "held" | "eager", options: Parameters<typeof cloud>[1] = {}) {
  const world = cloud(summing(delivery), options);
  world.stream.createStream("flights", 1);
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  const items = () => world.tables.items("shops");
  return {
    ...world,
    put: (shop: string, n: number, more: Partial<Order> = {}) =>
      void world.stream.put("flights", shop, Buffer.from(JSON.stringify({ shop, n, ...more }))),
    items,
    /** As a reader finds them, who leaves tombstones out. */
    shops: () =>
      Object.fromEntries(items().flatMap((item) => (item["~deleted"] === true ? [] : [[item.shop, item.sum]]))),
  };
}
/** How long puts take, as a function of how many there were. */
const putsTake = (length: (put: number) => number): Way => {
  let puts = 0;
  return (method, what) =>
    method === "put" && typeof what === "object" && (what as { readonly table?: string }).table === "shops"
      ? length(++puts)
      : 0;
};

describe("W3 eager, in sessions", () => {
  it("W3 rows are seen before their checkpoint; held ones only with it", async () => {
    for (const delivery of ["eager", "held"] as const) {
      const isAck: Way = (method, what) =>
        method === "swap" && (what as { name: string }).name.startsWith("ack/") ? 10_000 : 0;
      const world = running(delivery, { way: isAck });
      await world.wish();
      for (const n of [1, 2, 3]) world.put("a", n);
      await world.until(() => false, 3_000);
      expect([delivery, (await world.head())?.completed, world.shops()]).toEqual([
        delivery,
        null,
        delivery === "eager" ? { a: 6 } : {},
      ]);
      await world.until((head) => head.completed !== null, minutes(1));
      await world.until(() => false, 8_000);
      expect([delivery, world.shops()]).toEqual([delivery, { a: 6 }]);
    }
  });

  it("B3 all that came before the cut is written before the ack", async () => {
    const seen: unknown[] = [];
    const slow = putsTake(() => 4_000);
    const world = running("eager", {
      way: (method, what) => {
        if (method === "swap" && (what as { name: string }).name.startsWith("ack/")) seen.push(world.shops());
        return slow(method, what);
      },
    });
    await world.wish();
    for (let n = 1; n <= 40; n++) world.put(`s${n % 20}`, n);
    await world.until((head) => head.completed !== null, minutes(2));
    expect(seen).toEqual([
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`s${i}`, i === 0 ? 60 : 2 * i + 20])),
    ]);
  });

  it("W1 what a dead process has under way arrives late, and replaces nothing newer; every order counts once", async () => {
    // Every fourth put is on its way for twenty seconds.
    const world = running("eager", { way: putsTake((put) => (put % 4 === 0 ? 20_000 : 0)) });
    await world.wish();
    let sum = 0;
    for (let n = 1; n <= 60; n++) {
      world.put(n % 2 === 0 ? "a" : "b", n);
      sum += n;
      await world.until(() => false, 700);
      if (n % 6 === 0) await world.crash();
    }
    await world.until(() => false, minutes(3));
    const head = await world.head();
    expect(head?.generation).toBeGreaterThan(5);
    expect(world.shops()).toEqual({ a: 930, b: 900 });
    expect(sum).toBe(1_830);
  });

  it("N1 W1 sessions hand over for an hour: rows stay the newest", async () => {
    const world = running("eager", { lifetime: minutes(10) });
    await world.wish();
    for (let n = 1; n <= 120; n++) {
      world.put("a", n);
      await world.until(() => false, 30_000);
      expect(world.shops()).toEqual({ a: (n * (n + 1)) / 2 });
    }
    expect(await world.head()).toMatchObject({ generation: 1, failures: [] });
    expect(world.outcomes.length).toBeGreaterThanOrEqual(5);
  });
});

describe("W4 deletions, in sessions", () => {
  it.each(["held", "eager"] as const)("W4 of a %s sink leave a tombstone; the key may come again", async (delivery) => {
    const world = running(delivery);
    await world.wish();
    world.put("a", 1);
    world.put("b", 1);
    await world.until(() => false, 6_000);
    world.put("a", 0, { closes: true });
    await world.until(() => false, 6_000);
    expect(world.items()).toEqual([
      { shop: "a", "~deleted": true, "~expires": expect.any(Number) },
      { shop: "b", sum: 1 },
    ]);
    const [{ "~expires": expires }] = world.items() as [{ "~expires": number }];
    expect(expires).toBeGreaterThan(world.clock.now() / 1_000 + 86_400 - 60);
    world.put("a", 5);
    await world.until(() => false, 6_000);
    expect(world.items()).toEqual([
      { shop: "a", sum: 5 },
      { shop: "b", sum: 1 },
    ]);
  });

  it.each(["held", "eager"] as const)(
    "W4 a row that a dead process has under way cannot bring back what was deleted since (%s)",
    async (delivery) => {
      const world = running(delivery, { way: putsTake((put) => (put === 1 ? 60_000 : 0)) });
      await world.wish();
      world.put("a", 1);
      // The put is under way: eager at once, held once its checkpoint is complete.
      await world.until(() => false, 8_000);
      expect(world.items()).toEqual([]);
      await world.crash();
      world.put("a", 0, { closes: true });
      await world.until(() => false, 15_000);
      expect(world.items()).toMatchObject([{ shop: "a", "~deleted": true }]);
      await world.until(() => false, minutes(2));
      expect(world.items()).toMatchObject([{ shop: "a", "~deleted": true }]);
      expect(world.shops()).toEqual({});
    },
  );
});
