// Compiled, never run: each @ts-expect-error is a mistake that the compiler must tell.
import { deleted, dynamoTable, json, kinesisSource, pipeline, type Sink, text } from "tidemark";
import { faulty, memoryRegisters, runPipeline } from "tidemark/testing";
import { z } from "zod";

type Equal<A, B> = (<G>() => G extends A ? 1 : 2) extends <G>() => G extends B ? 1 : 2 ? true : false;
const same = <A, B>(equal: Equal<A, B>): boolean => equal;

const Order = z.object({ id: z.string(), amount: z.number().default(0) });
const orders = pipeline("orders", {}, (flow) => {
  const all = flow.from("orders", kinesisSource({ stream: "orders", codec: json(Order) }));
  const lines = flow.from("lines", kinesisSource({ stream: "lines", codec: text }));
  return [
    all
      .map(({ id, amount }) => ({ id, cents: amount * 100 }))
      .to("totals", dynamoTable({ table: "totals", key: ["id"] })),
    lines.map((line) => ({ line })).to("texts", dynamoTable({ table: "texts", key: ["line"] })),
    all
      .keyBy(({ id }) => id)
      .process("open", {
        state: {},
        onRecord: ({ amount }, { key }) => (amount > 0 ? { id: key, amount } : deleted({ id: key })),
      })
      .to("open", dynamoTable({ table: "open", key: ["id"] })),
  ];
});

// Input and rows by name: what the codecs decode, and what the sinks take.
const run = await runPipeline(orders, { orders: [{ id: "a", amount: 1 }], lines: ["x"] }, { crashes: 2, seed: 1 });
same<typeof run.sinks.totals, readonly { id: string; cents: number }[]>(true);
same<typeof run.sinks.texts, readonly { line: string }[]>(true);
// A deletion is no row that a reader sees.
same<typeof run.sinks.open, readonly { id: string; amount: number }[]>(true);
run.sinks.totals[0]?.cents satisfies number | undefined;
// @ts-expect-error no such sink
run.sinks.total;
// @ts-expect-error a source is missing
runPipeline(orders, { orders: [] });
// @ts-expect-error a misspelt source
runPipeline(orders, { orders: [], lines: [], line: [] });
// @ts-expect-error a record as the codec decodes it has an amount
runPipeline(orders, { orders: [{ id: "a" }], lines: [] });
// @ts-expect-error records are arrays
runPipeline(orders, { orders: { id: "a", amount: 1 }, lines: [] });
// @ts-expect-error a misspelt option
runPipeline(orders, { orders: [], lines: [] }, { crash: 1 });
runPipeline(orders, { orders: [], lines: [] }, { partitionKeys: { orders: (order) => order.id } });
// @ts-expect-error an order has no such field
runPipeline(orders, { orders: [], lines: [] }, { partitionKeys: { orders: (order) => order.name } });

// A build callback that returns nothing: names are not known, and everything goes.
declare const sink: Sink<string>;
const untyped = pipeline("untyped", {}, (flow) => {
  flow.from("in", kinesisSource({ stream: "in", codec: text })).to("out", sink);
});
const some = await runPipeline(untyped, { in: ["a"] });
some.sinks.out satisfies readonly unknown[] | undefined;

// The ports that are given, and no others.
const { world } = faulty({ registers: memoryRegisters().registers }, { seed: 1, rates: { lost: 0.1 } });
world.registers.list("group", "");
// @ts-expect-error there are no blobs
world.blobs;
// @ts-expect-error a misspelt rate
faulty({}, { seed: 1, rates: { loss: 0.1 } });
