import { dynamoTable, json, kinesisSource, type PipelineOptions, pipeline, value } from "tidemark";
import { describe, expect, it } from "vitest";
import type { AsyncOptions } from "../../lib/pipeline/stream.js";
import { desk, ticks } from "./async-samples.js";
import { cloud } from "./runtime-world.js";

interface Order {
  readonly shop: string;
  readonly n: number;
}
type Call = (order: Order, signal: AbortSignal) => Promise<Order>;
const minutes = (n: number) => n * 60_000;
const quick: PipelineOptions = { checkpoint: { interval: "1s" } };
const asking: AsyncOptions = { concurrency: 10, timeout: "5s" };

/** Asks about each order, then remembers the orders of a shop in their order. */
function asked(call: Call, options: AsyncOptions = asking, settings: PipelineOptions = quick) {
  const made = pipeline("p", settings, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<Order>(), start: "trim-horizon" }))
      .mapAsync("ask", options, call)
      .keyBy((order) => order.shop)
      .process("orders", {
        state: { all: value<readonly number[]>([]) },
        onRecord(order, { key, state }) {
          state.all.set([...state.all.get(), order.n]);
          return { shop: key, orders: state.all.get() };
        },
      })
      .to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
  );
  return made;
}

function running(made: ReturnType<typeof asked>, options: Parameters<typeof cloud>[1] = {}) {
  const world = cloud(made, options);
  world.stream.createStream("flights", 1);
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  return {
    ...world,
    put: (shop: string, n: number) => world.stream.put("flights", shop, Buffer.from(JSON.stringify({ shop, n }))),
    shops: () => Object.fromEntries(world.tables.items("shops").map(({ shop, orders }) => [shop, orders])),
  };
}
const byNumber = () => {
  const made = desk();
  const call = (order: Order, signal: AbortSignal) => made.call(order.n, signal).then(() => order);
  return { ...made, call };
};

describe("B2 sessions with calls in flight", () => {
  it("B2 a cut waits for them; what they answer is in the checkpoint, once, also after a crash", async () => {
    const { call, at, made } = byNumber();
    const world = running(asked(call, { ...asking, timeout: "25s" }));
    await world.wish();
    world.put("a", 1);
    await world.until((head) => head.pending !== null, minutes(1));
    await world.until(() => false, 8_000);
    const waiting = await world.head();
    expect([waiting?.completed, waiting?.pending?.checkpointId, made()]).toEqual([null, 1, [1]]);
    at(1).answer(1);
    const complete = await world.until((head) => head.completed !== null, minutes(1));
    expect([complete?.completed?.checkpointId, complete?.generation]).toEqual([1, 1]);
    await world.until(() => false, 3_000);
    expect(world.shops()).toEqual({ a: [1] });
    await world.crash();
    world.put("a", 2);
    await world.until((head) => head.generation === 2, minutes(1));
    await world.until(() => made().length > 1, 5_000);
    at(2).answer(2);
    await world.until((head) => (head.completed?.checkpointId ?? 0) > 1, minutes(1));
    await world.until(() => false, 3_000);
    expect([made(), world.shops()]).toEqual([[1, 2], { a: [1, 2] }]);
  });

  it("B2 no more are under way than the bound, however many records wait; all are taken", async () => {
    let [underWay, most] = [0, 0];
    const call: Call = async (order, signal) => {
      most = Math.max(most, ++underWay);
      await world.clock.sleep(100 + (order.n % 7), signal);
      underWay--;
      return order;
    };
    const world = running(asked(call, { ...asking, concurrency: 3 }));
    for (let n = 1; n <= 300; n++) world.put("a", n);
    await world.wish();
    await world.until(() => false, minutes(1));
    expect(most).toBe(3);
    expect(world.shops()).toEqual({ a: Array.from({ length: 300 }, (_, i) => i + 1) });
  });

  it("B2 a crash with calls in flight: they are made again, and their answers count once", async () => {
    const { call, at, made } = byNumber();
    const world = running(asked(call, { ...asking, timeout: "25s" }));
    await world.wish();
    for (const n of [1, 2, 3]) world.put("a", n);
    await world.until(() => made().length === 3, 5_000);
    at(1).answer(1);
    await world.until(() => false, 5_000);
    expect((await world.head())?.completed).toBeNull();
    const late = [at(2), at(3)];
    await world.crash();
    await world.until((head) => head.generation === 2, minutes(1));
    await world.until(() => made().length === 6, 10_000);
    expect(made()).toEqual([1, 2, 3, 1, 2, 3]);
    // The dead process has its answers only now.
    for (const one of late) one.answer(null);
    for (const n of [1, 2, 3]) at(n).answer(n);
    await world.until((head) => head.completed !== null, minutes(1));
    await world.until(() => false, 3_000);
    expect(world.shops()).toEqual({ a: [1, 2, 3] });
  });

  it("N1 B2 sessions hand over for an hour with calls in flight all the time: each record is called for and counted once", async () => {
    let called = 0;
    const call: Call = async (order, signal) => {
      called++;
      await world.clock.sleep(4_000, signal);
      return order;
    };
    const world = running(asked(call, asking, {}), { lifetime: minutes(10) });
    await world.wish();
    for (let n = 1; n <= 360; n++) {
      world.put(n % 2 === 0 ? "a" : "b", n);
      await world.until(() => false, 10_000);
    }
    await world.until(() => false, minutes(1));
    expect(await world.head()).toMatchObject({ generation: 1, failures: [] });
    expect(world.outcomes.length).toBeGreaterThanOrEqual(5);
    expect(world.outcomes.every((one) => one.kind === "handover")).toBe(true);
    const all = Array.from({ length: 360 }, (_, i) => i + 1);
    expect(world.shops()).toEqual({ a: all.filter((n) => n % 2 === 0), b: all.filter((n) => n % 2 !== 0) });
    expect(called).toBe(360);
  });

  it("B2 a call without an answer in time restarts the pipeline from its checkpoint, which calls again", async () => {
    let first = true;
    const signals: AbortSignal[] = [];
    const call: Call = (order, signal) => {
      signals.push(signal);
      const answers = order.n !== 2 || !first;
      if (order.n === 2) first = false;
      return answers ? Promise.resolve(order) : new Promise(() => undefined);
    };
    const world = running(asked(call));
    await world.wish();
    world.put("a", 1);
    await world.until((head) => head.completed !== null, minutes(1));
    world.put("a", 2);
    const head = await world.until((found) => found.generation === 2, minutes(2));
    expect(head?.failures).toMatchObject([{ kind: "transient" }]);
    expect(head?.failures[0]?.message).toMatch(/operator "ask" .* the call had no answer after 5000 ms, its time-out$/);
    await world.until((found) => (found.completed?.checkpointId ?? 0) > 1, minutes(1));
    await world.until(() => false, 3_000);
    expect(world.shops()).toEqual({ a: [1, 2] });
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, false]);
  });

  it("N4 a call that rejects ends the pipeline, as a person must mend it; those beside it are aborted before the session returns", async () => {
    const { call, at } = byNumber();
    const world = running(asked(call));
    await world.wish();
    world.put("a", 0);
    await world.until(() => false, 2_000);
    at(0).answer(0);
    const before = await world.until((found) => found.completed !== null, minutes(1));
    const { sequenceNumber } = world.put("a", 1);
    world.put("a", 2);
    await world.until(() => false, 1_500);
    const other = at(2).signal;
    let returned: boolean | null = null;
    other.addEventListener("abort", () => {
      returned = world.outcomes.length > 0;
    });
    at(1).fail(new Error("no such shop"));
    const head = await world.until((found) => found.status === "failed", minutes(1));
    expect(head).toMatchObject({ status: "failed", generation: 1, completed: before?.completed });
    expect(head?.failures).toMatchObject([
      {
        kind: "invalid",
        message: expect.stringMatching(
          `^operator "ask" failed at the record of source "flights", shard .*, sequence number ${sequenceNumber}: Error: no such shop$`,
        ),
      },
    ]);
    expect([other.aborted, returned]).toEqual([true, false]);
    await ticks();
    expect(world.outcomes).toMatchObject([{ kind: "failed" }]);
  });
});
