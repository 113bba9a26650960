// What happens at the edges of what stages may be: chains that are fused, values that fill a frame, a stream that meets itself.
import { createHash } from "node:crypto";
import { dynamoTable, json, kinesisSource, list, type PipelineOptions, pipeline, type Stream, value } from "tidemark";
import { expect, it } from "vitest";
import { millis } from "../../lib/model/ids.js";
import { endsWithin } from "../../lib/runtime/past-end.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { runPipeline } from "../../lib/testing/run/run-pipeline.js";
import { desired } from "./checkpoint-samples.js";
import { virtualClock } from "./runtime-world.js";
import { minutes, type Numbered, running } from "./stages-world.js";

const source = () => kinesisSource({ stream: "flights", codec: json<Numbered>(), start: "trim-horizon" });
const table = dynamoTable({ table: "keys", key: ["key"] });

/** So long, and of so little order, that frames lie in the bucket, where reading them takes time. */
const padding = (n: number) =>
  Array.from({ length: 60 }, (_, part) => createHash("sha512").update(`${n}/${part}`).digest("base64")).join("");

/** Two operators one after the other, by the same key: each key's numbers must reach the second one in their order. */
const chained = (options: PipelineOptions) =>
  pipeline("p", { checkpoint: { interval: "1s" }, ...options }, (flow) =>
    flow
      .from("numbers", source())
      .keyBy((record) => record.key)
      .process("first", {
        state: { numbers: list<number>() },
        onRecord(record, { state }) {
          state.numbers.add(record.n);
          return { key: record.key, n: record.n, padding: padding(record.n) };
        },
      })
      .keyBy((record) => record.key)
      .process("remember", {
        state: { numbers: list<number>() },
        onRecord({ n }, { key, state }) {
          state.numbers.add(n);
          return { key, numbers: [...state.numbers.get()] };
        },
      })
      .to("keys", table),
  );

it("E4 operators that are fused: the last one takes what was on its way to it before the first one gives it more", {
  timeout: 120_000,
}, async () => {
  const slowly = (method: string, what: unknown) => {
    if (method !== "get") return 20;
    return String(what).includes("/frames/remember/") ? 3_000 : String(what).includes("/frames/first/") ? 900 : 20;
  };
  const [one, many] = [chained({ parallelism: 1 }), chained({ parallelism: 3 })];
  const world = running(chained({ parallelism: 3 }), { way: slowly });
  await world.wish();
  for (let i = 1; i <= 4; i++) {
    for (let j = 0; j < 16; j++) {
      world.put(20, 10, padding(j));
      await world.until(() => false, 210);
    }
    const { code } = world.deploy(i % 2 === 1 ? one : many);
    const request = { id: `r${i}`, kind: "restart", from: null, sinks: {}, dropped: [] } as const;
    await world.wish(desired({ code, request }), i);
    await world.until(({ generation }) => generation > i, minutes(1));
  }
  await world.settled();
  expect(world.rows()).toEqual(world.expected);
  expect((await world.head())?.failures).toEqual([]);
});

const wide = (record: Numbered) => ({ ...record, text: "x".repeat(3 * 1024 * 1024) });
type Numbers = Stream<Numbered, { readonly numbers: Numbered }>;
const widenings: readonly (readonly [how: string, widen: (numbers: Numbers) => Numbers])[] = [
  ["however large the values are that one slice of work gives", (numbers) => numbers.map(wide)],
  [
    "though answers of calls come all at once",
    (numbers) => numbers.mapAsync("widen", { concurrency: 60, timeout: "5s" }, async (record) => wide(record)),
  ],
];

it.each(widenings)("E5 a frame is closed when it is full, %s", async (_how, widen) => {
  const widened = pipeline("p", { checkpoint: { interval: "1s" }, parallelism: 2 }, (flow) =>
    widen(flow.from("numbers", source()))
      .keyBy((record) => record.key)
      .process("remember", {
        state: { count: value(0) },
        onRecord(_, { key, state }) {
          state.count.update((n) => n + 1);
          return { key, numbers: [state.count.get()] };
        },
      })
      .to("keys", table),
  );
  const world = running(widened, { shards: 2 });
  await world.wish();
  world.put(60, 1);
  const head = await world.until(() => world.rows().get("k0")?.[0] === 60, minutes(2));
  expect(head?.failures).toEqual([]);
  expect(world.rows()).toEqual(new Map([["k0", [60]]]));
});

it("K3 whether the input ends within another task's shard: an empty read with something behind it is followed", async () => {
  const clock = virtualClock();
  const { log, control } = memoryLog(clock);
  control.createStream("s", 1);
  const [shard] = await log.shards("s");
  const asked = (end: number) => endsWithin(log, "s", String(shard?.shardId), millis(end));
  const end = clock.now() + 5_000;
  control.put("s", "a", Buffer.from("before"));
  expect(await asked(end)).toBe(false);
  await clock.sleep(10_000);
  control.put("s", "a", Buffer.from("past it"));
  await clock.sleep(10_000);
  control.answerEmpty(3);
  expect(await asked(end)).toBe(true);
});

it.each([1, 3])(
  "a stream that is connected with itself gives each record to the left side first, at parallelism %s",
  async (parallelism) => {
    const twice = pipeline("p", { checkpoint: { interval: "1s" }, parallelism }, (flow) => {
      const keyed = flow.from("numbers", source()).keyBy((record) => record.key);
      return keyed
        .connect(keyed)
        .process("both", {
          state: { seen: list<string>() },
          onLeft({ n }, { key, state }) {
            state.seen.add(`l${n}`);
            return { key, seen: [...state.seen.get()] };
          },
          onRight({ n }, { key, state }) {
            state.seen.add(`r${n}`);
            return { key, seen: [...state.seen.get()] };
          },
        })
        .to("keys", table);
    });
    const numbers = Array.from({ length: 9 }, (_, n) => ({ key: `k${n % 2}`, n }));
    const { sinks } = await runPipeline(twice, { numbers }, { crashes: 1, seed: 2 });
    const of = (rest: number) => numbers.filter(({ n }) => n % 2 === rest).flatMap(({ n }) => [`l${n}`, `r${n}`]);
    expect([...sinks.keys].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: "k0", seen: of(0) },
      { key: "k1", seen: of(1) },
    ]);
  },
);
