import { dynamoTable, fileSink, json, kinesisSource, pipeline, type Sink, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { desired, request } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

const minutes = (n: number) => n * 60_000;
type Row = { readonly shop: string; readonly n: number };

/** Counts by shop, into a sink of that name. */
const counting = (name: string, sink: Sink<Row>, interval: "1s" | "1m" = "1s") =>
  pipeline("p", { checkpoint: { interval } }, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<{ shop: string }>(), start: "trim-horizon" }))
      .keyBy(({ shop }) => shop)
      .process("count", {
        state: { n: value(0) },
        onRecord(_order, { key, state }) {
          state.n.update((n) => n + 1);
          return { shop: key, n: state.n.get() };
        },
      })
      .to(name, sink),
  );
const table = () => dynamoTable({ table: "shops", key: ["shop"] });

describe("C2 a sink that a checkpoint has output for", () => {
  const wrong: readonly (readonly [string, ReturnType<typeof counting>, RegExp])[] = [
    [
      "was renamed",
      counting("other", table()),
      /output for the sink "shops", which the pipeline does not have\. Put the sink back/,
    ],
    [
      "delivers otherwise",
      counting("shops", fileSink({ folder: "/out" })),
      /"shops", which was held then and is two-phase now/,
    ],
  ];

  it.each(wrong)("C2 R2 %s: the start is refused, and what runs goes on", async (_, made, message) => {
    const world = cloud(counting("shops", table()));
    world.stream.createStream("flights", 1);
    world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
    const put = () => void world.stream.put("flights", "a", Buffer.from('{"shop":"a"}'));
    await world.wish();
    put();
    const before = await world.until((head) => head.completed !== null, minutes(1));
    const deployed = world.deploy(made);
    const said = await world.ask(desired({ ...deployed, request: request({ id: "again" }) }), 1);
    expect(said).toMatchObject({ kind: "invalid", message: expect.stringMatching(message) });
    put();
    await world.until(() => false, 10_000);
    const head = await world.head();
    expect(head).toMatchObject({ generation: 1, status: "running", failures: [] });
    expect(head?.completed?.checkpointId).toBeGreaterThan(before?.completed?.checkpointId ?? 0);
    expect(world.tables.items("shops")).toEqual([{ shop: "a", n: 2 }]);
  });

  it("C2 after a run without input nothing is listed: the sink may have another name", async () => {
    const world = cloud(counting("shops", table(), "1m"));
    world.stream.createStream("flights", 1);
    world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
    const put = () => void world.stream.put("flights", "a", Buffer.from('{"shop":"a"}'));
    const stopped = async (at: number, of: Partial<ReturnType<typeof desired>>) => {
      await world.wish(desired({ ...of, state: "stopped" }), at);
      return world.until((head) => head.status === "stopped", minutes(2));
    };
    await world.wish();
    put();
    await world.until((head) => head.completed !== null, minutes(1));
    put();
    await world.until(() => false, 5_000);
    await stopped(1, {});
    const renamed = world.deploy(counting("other", table(), "1m"));
    const refused = await world.ask(desired({ ...renamed, request: request({ id: "r2" }) }), 2);
    expect(refused).toMatchObject({ kind: "invalid" });
    expect(await world.head()).toMatchObject({ generation: 1, status: "stopped" });
    const back = { ...world.deploy(counting("shops", table(), "1m")), request: request({ id: "r3" }) };
    await world.wish(desired(back), 3);
    await world.until((head) => head.status === "running", minutes(1));
    await stopped(4, back);
    const again = world.deploy(counting("other", table(), "1m"));
    expect(await world.ask(desired({ ...again, request: request({ id: "r4" }) }), 5)).toBeNull();
    put();
    await world.until(() => false, minutes(2));
    expect(world.tables.items("shops")).toEqual([{ shop: "a", n: 3 }]);
  });
});
