// Pipelines of several streams, in one task and in many, with crashes: the real code on memory ports in virtual time.
import { describe, expect, it } from "vitest";
import { dynamoTable, json, kinesisSource, list, pipeline, value } from "../../lib/index.js";
import { runPipeline } from "../../lib/testing/run/run-pipeline.js";

interface Order {
  readonly shop: string;
  readonly cents: number;
}
interface Price {
  readonly shop: string;
  readonly factor: number;
}
const orders: readonly Order[] = Array.from({ length: 120 }, (_, n) => ({ shop: `s${n % 7}`, cents: n }));
const returns: readonly Order[] = Array.from({ length: 40 }, (_, n) => ({ shop: `s${n % 5}`, cents: -n }));
const prices: readonly Price[] = Array.from({ length: 14 }, (_, n) => ({ shop: `s${n % 7}`, factor: n }));
const from = <T>(stream: string) => kinesisSource({ stream, codec: json<T>(), start: "trim-horizon" });
const sumOf = (shop: string, of: readonly Order[]) =>
  of.filter((order) => order.shop === shop).reduce((sum, { cents }) => sum + cents, 0);
const byShop = (a: { readonly shop: string }, b: { readonly shop: string }) => (a.shop < b.shop ? -1 : 1);

describe.each([1, 3])("at parallelism %s", (parallelism) => {
  it("E1 a union has the records of all its streams, each once", async () => {
    const both = pipeline("both", { parallelism, checkpoint: { interval: "1s" } }, (flow) =>
      flow
        .from("orders", from<Order>("orders"))
        .filter(({ cents }) => cents !== 0)
        .union(flow.from("returns", from<Order>("returns")))
        .keyBy(({ shop }) => shop)
        .process("sum", {
          state: { sum: value(0), count: value(0) },
          onRecord({ cents }, { key, state }) {
            state.sum.update((sum) => sum + cents);
            state.count.update((n) => n + 1);
            return { shop: key, sum: state.sum.get(), count: state.count.get() };
          },
        })
        .to("sums", dynamoTable({ table: "sums", key: ["shop"] })),
    );
    const { sinks: outputs } = await runPipeline(both, { orders, returns }, { crashes: 4, seed: 3 });
    const all = [...orders.filter(({ cents }) => cents !== 0), ...returns];
    const shops = [...new Set(all.map(({ shop }) => shop))];
    expect([...outputs.sums].sort(byShop)).toEqual(
      shops
        .map((shop) => ({ shop, sum: sumOf(shop, all), count: all.filter((one) => one.shop === shop).length }))
        .sort(byShop),
    );
  });

  it("E1 both sides of a connect share the state of a key", async () => {
    const joined = pipeline("joined", { parallelism, checkpoint: { interval: "1s" } }, (flow) =>
      flow
        .from("orders", from<Order>("orders"))
        .keyBy(({ shop }) => shop)
        .connect(flow.from("prices", from<Price>("prices")).keyBy(({ shop }) => shop))
        .process("join", {
          state: { cents: list<number>(), factors: list<number>() },
          onLeft({ cents }, { key, state }) {
            state.cents.add(cents);
            return { shop: key, cents: [...state.cents.get()], factors: [...state.factors.get()] };
          },
          onRight({ factor }, { key, state }) {
            state.factors.add(factor);
            return { shop: key, cents: [...state.cents.get()], factors: [...state.factors.get()] };
          },
        })
        .to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
    );
    const { sinks: outputs } = await runPipeline(joined, { orders, prices }, { crashes: 4, seed: 5 });
    expect([...outputs.shops].sort(byShop)).toEqual(
      Array.from({ length: 7 }, (_, n) => ({
        shop: `s${n}`,
        cents: orders.filter(({ shop }) => shop === `s${n}`).map(({ cents }) => cents),
        factors: prices.filter(({ shop }) => shop === `s${n}`).map(({ factor }) => factor),
      })),
    );
  });

  it("E1 three stages: what one operator gives is grouped anew, and counted once", async () => {
    const chained = pipeline("chained", { parallelism, checkpoint: { interval: "1s" } }, (flow) =>
      flow
        .from("orders", from<Order>("orders"))
        .keyBy(({ shop }) => shop)
        .process("tag", {
          state: { n: value(0) },
          onRecord({ cents }, { state }) {
            state.n.update((n) => n + 1);
            return { parity: cents % 2 === 0 ? "even" : "odd", cents };
          },
        })
        .keyBy(({ parity }) => parity)
        .reduce("total", (a, b) => ({ parity: a.parity, cents: a.cents + b.cents }))
        .to("totals", dynamoTable({ table: "totals", key: ["parity"] })),
    );
    const { sinks: outputs } = await runPipeline(chained, { orders }, { crashes: 4, seed: 8 });
    const sum = (rest: number) => orders.reduce((all, { cents }) => all + (cents % 2 === rest ? cents : 0), 0);
    expect([...outputs.totals].sort((a, b) => (a.parity < b.parity ? -1 : 1))).toEqual([
      { parity: "even", cents: sum(0) },
      { parity: "odd", cents: sum(1) },
    ]);
  });
});
