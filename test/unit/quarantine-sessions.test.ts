import {
  type DeadLetter,
  dynamoTable,
  fileSink,
  json,
  kinesisSource,
  type PipelineOptions,
  pipeline,
  type Sink,
  value,
} from "tidemark";
import { describe, expect, it } from "vitest";
import { desired, request } from "./checkpoint-samples.js";
import { aggregate } from "./kpl-samples.js";
import { cloud } from "./runtime-world.js";

interface Order {
  readonly shop: string;
  readonly n: number;
  readonly fails?: "before" | "call" | "after";
}
const minutes = (n: number) => n * 60_000;

/** Counts orders by shop, and puts aside what fails before, in or after a call. */
function counting(deadLetters: Sink<DeadLetter>) {
  const options: PipelineOptions = { checkpoint: { interval: "1s" }, onBadRecord: "quarantine", deadLetters };
  return pipeline("p", options, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<Order>(), start: "trim-horizon" }))
      .map((order) => {
        if (order.fails === "before") throw new RangeError("before");
        return order;
      })
      .mapAsync("ask", { concurrency: 4, timeout: "5s" }, async (order) => {
        if (order.fails === "call") throw new RangeError("call");
        return order;
      })
      .keyBy((order) => order.shop)
      .process("count", {
        state: { sum: value(0) },
        onRecord(order, { key, state }) {
          state.sum.update((sum) => sum + order.n);
          if (order.fails === "after") throw new RangeError("after");
          return { shop: key, sum: state.sum.get() };
        },
      })
      .to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
  );
}

function running(deadLetters: Sink<DeadLetter>, options: Parameters<typeof cloud>[1] = {}) {
  const world = cloud(counting(deadLetters), options);
  world.stream.createStream("flights", 1);
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  return {
    ...world,
    put: (body: Uint8Array | string | Order) => {
      const data = typeof body === "object" && !(body instanceof Uint8Array) ? JSON.stringify(body) : body;
      return world.stream.put("flights", "key", Buffer.from(data));
    },
    shops: () => Object.fromEntries(world.tables.items("shops").map(({ shop, sum }) => [shop, sum])),
    /** Lines of the files of dead letters, in the order of their checkpoints. */
    lines: async () => {
      const all: DeadLetter[] = [];
      for (const path of world.disk.paths().filter((one) => /^\/dead\/[^.]/.test(one))) {
        const text = Buffer.from((await world.disk.files.read(path)) ?? "").toString("utf8");
        all.push(
          ...text
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line) as DeadLetter),
        );
      }
      return all;
    },
  };
}
const good = (n: number): Order => ({ shop: "a", n });

describe("quarantine, in sessions", () => {
  it("each bad record is one dead letter, through crashes, hand-overs and aggregates; the others count once", async () => {
    const world = running(fileSink({ folder: "/dead" }), { lifetime: minutes(5) });
    await world.wish();
    const bad: {
      readonly sequenceNumber: string;
      readonly sub: number | null;
      readonly step: string;
      readonly body: string;
    }[] = [];
    let sum = 0;
    for (let round = 1; round <= 12; round++) {
      world.put(good(round));
      sum += round;
      const broken = `{ "shop": ${round}`;
      bad.push({ ...world.put(broken), sub: null, step: "decode", body: broken });
      const packed = [JSON.stringify(good(1)), "torn", JSON.stringify({ ...good(7), fails: "after" })];
      const { sequenceNumber } = world.put(aggregate(...packed));
      sum += 1;
      bad.push({ sequenceNumber, sub: 1, step: "decode", body: "torn" });
      bad.push({ sequenceNumber, sub: 2, step: 'operator "count"', body: packed[2] ?? "" });
      for (const [fails, step] of [
        ["before", "map (step 1 of the plan)"],
        ["call", 'operator "ask"'],
      ] as const) {
        const body = JSON.stringify({ ...good(9), fails });
        bad.push({ ...world.put(body), sub: null, step, body });
      }
      await world.until(() => false, 1_300);
      if (round % 3 === 0) await world.crash();
      if (round % 4 === 0) await world.until(() => false, minutes(3));
    }
    await world.until(() => false, minutes(1));
    const lines = await world.lines();
    const told = lines.map(({ sequenceNumber, subSequenceNumber: sub, step, data }) => ({
      sequenceNumber,
      sub,
      step,
      body: Buffer.from(data, "base64").toString(),
    }));
    const inOrder = (all: typeof told) =>
      all.map((one) => JSON.stringify([one.sequenceNumber, one.sub, one.step, one.body])).sort();
    expect(inOrder(told)).toEqual(inOrder(bad));
    expect(new Set(lines.map(({ id }) => id)).size).toBe(bad.length);
    expect(lines[0]).toMatchObject({
      source: "flights",
      arrivedAt: expect.stringMatching(/^1970-01-01T00:\d\d:\d\d\.\d{3}Z$/),
    });
    expect(lines.find(({ step }) => step === "decode")?.cause).toMatch(/is not JSON, wrong at character/);
    expect(world.shops()).toEqual({ a: sum });
    expect((await world.head())?.generation).toBeGreaterThanOrEqual(4);
    expect(world.outcomes.filter(({ kind }) => kind === "handover").length).toBeGreaterThan(0);
    expect(world.logged).toContainEqual({ event: "quarantined", records: expect.any(Number) });
  });

  it("a dead letter is seen with its checkpoint, not before", async () => {
    const world = running(dynamoTable({ table: "dead", key: ["id"] }), {
      way: (method, what) => (method === "swap" && (what as { name: string }).name.startsWith("ack/") ? 3_000 : 0),
    });
    world.tables.createTable("dead", [{ name: "id", type: "string" }]);
    await world.wish();
    const { sequenceNumber, shardId } = world.put("torn");
    while ((await world.head())?.completed === null || (await world.head()) === null) {
      expect(world.tables.items("dead")).toEqual([]);
      await world.clock.sleep(200);
    }
    await world.until(() => false, 3_000);
    expect(world.tables.items("dead")).toMatchObject([
      { id: `flights/${shardId}/${sequenceNumber}`, subSequenceNumber: null },
    ]);
  });
});

describe("a dead-letter sink that refuses", () => {
  it("a record too large for its table: one message, the pipeline fails, its checkpoint stays; another sink goes on exactly", async () => {
    const world = running(dynamoTable({ table: "dead", key: ["id"] }));
    world.tables.createTable("dead", [{ name: "id", type: "string" }]);
    await world.wish();
    world.put(good(1));
    const before = await world.until((found) => found.completed !== null, minutes(1));
    world.put(good(2));
    const large = "x".repeat(320_000);
    world.put(large);
    const head = await world.until((found) => found.status === "failed", minutes(1));
    expect(head).toMatchObject({ status: "failed", generation: 1, completed: before?.completed });
    expect(head?.failures).toMatchObject([
      {
        kind: "invalid",
        message: expect.stringMatching(/^sink "dead-letters": dynamoTable "dead": a row has 42\d{4} bytes, .*S3/),
      },
    ]);
    const deployed = world.deploy(counting(fileSink({ folder: "/dead" })));
    await world.wish(desired({ ...deployed, request: request({ id: "again" }) }), 1);
    await world.until(
      (found) => found.status === "running" && found.completed?.checkpointId !== before?.completed?.checkpointId,
      minutes(2),
    );
    await world.until(() => false, 5_000);
    expect(world.shops()).toEqual({ a: 3 });
    expect((await world.lines()).map(({ data }) => Buffer.from(data, "base64").toString())).toEqual([large]);
  });

  it("its table is absent: told before a record is read", async () => {
    const world = running(dynamoTable({ table: "dead", key: ["id"] }));
    await world.wish();
    world.put("torn");
    const head = await world.until((found) => found.status === "failed", minutes(1));
    expect(head).toMatchObject({ status: "failed", completed: null });
    expect(head?.failures).toMatchObject([
      {
        kind: "invalid",
        message: 'sink "dead-letters": sink table "dead": there is no such table; create it with the key (id: string)',
      },
    ]);
  });
});
