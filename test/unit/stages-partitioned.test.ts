import { dynamoTable, json, kinesisSource, list, type PipelineOptions, pipeline } from "tidemark";
import { describe, expect, it } from "vitest";
import { readGenerationRecord } from "../../lib/checkpoint/store.js";
import { sparable } from "../../lib/pipeline/partitioned.js";
import { cutStages } from "../../lib/pipeline/stages.js";
import { desired } from "./checkpoint-samples.js";
import { minutes, type Numbered, running } from "./stages-world.js";

const byKey = (record: Numbered) => record.key;

/** As the pipeline of many tasks, but for what the source says of its producer. */
const remembering = (
  options: PipelineOptions,
  { partitionedBy = byKey, keyedBy = byKey }: { partitionedBy?: typeof byKey; keyedBy?: typeof byKey } = {},
) =>
  pipeline("p", { checkpoint: { interval: "1s" }, parallelism: 4, ...options }, (flow) =>
    flow
      .from(
        "numbers",
        kinesisSource({ stream: "flights", codec: json<Numbered>(), start: "trim-horizon", partitionedBy }),
      )
      .filter(({ n }) => n > 0)
      .keyBy(keyedBy)
      .process("remember", {
        state: { numbers: list<number>() },
        onRecord({ n }, { key, state }) {
          state.numbers.add(n);
          return { key, numbers: [...state.numbers.get()] };
        },
      })
      .to("keys", dynamoTable({ table: "keys", key: ["key"] })),
  );

describe("K1 what the plan says", () => {
  it("an operator that is keyed by the very function may be spared its exchange, behind filters alone", () => {
    expect(sparable(remembering({}).plan)).toEqual([{ operator: "remember", source: "numbers", keyBy: 2 }]);
    expect(sparable(remembering({}, { keyedBy: (record) => record.key }).plan)).toEqual([]);
    const mapped = pipeline("p", {}, (flow) =>
      flow
        .from("numbers", kinesisSource({ stream: "s", codec: json<Numbered>(), partitionedBy: byKey }))
        .map((record) => ({ ...record, key: record.key.toUpperCase() }))
        .keyBy(byKey)
        .reduce("last", (_, b) => b)
        .to("keys", dynamoTable({ table: "keys", key: ["key"] })),
    );
    expect(sparable(mapped.plan)).toEqual([]);
  });

  it("is one stage where it is spared, and two where it is not; the fingerprint says nothing of it", () => {
    const { plan } = remembering({});
    expect(cutStages(plan, ["remember"]).stages.map(({ tasks }) => tasks)).toEqual([4]);
    expect(cutStages(plan, ["remember"]).edges).toEqual([]);
    expect(cutStages(plan).stages).toHaveLength(2);
    expect(remembering({}, { keyedBy: (record) => record.key }).plan.fingerprint).toBe(plan.fingerprint);
  });
});

describe("K2 sessions", () => {
  const stagesOf = async (world: ReturnType<typeof running>) => {
    const head = await world.head();
    if (head === null) throw new Error("it never ran");
    const { stages, reason } = await readGenerationRecord(world.store, head);
    return { stages: stages.map(({ tasks }) => tasks), reason };
  };
  const notes = async (world: ReturnType<typeof running>) => (await world.store.registers.list("p", "note/")).length;

  it("count every record once without any frame, where each shard lies within one task's key groups", async () => {
    const world = running(remembering({}), { way: () => 20 });
    await world.wish();
    for (let i = 0; i < 20; i++) {
      world.put(10, 23);
      await world.until(() => false, 300);
      if (i % 7 === 6) await world.crash();
    }
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect((await stagesOf(world)).stages).toEqual([4]);
    expect(await notes(world)).toBe(0);
  });

  it("use an exchange where the shards lie otherwise", async () => {
    const world = running(remembering({}), { shards: 3 });
    await world.wish();
    world.put(100, 23);
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect((await stagesOf(world)).stages).toEqual([3, 4]);
    expect(await notes(world)).toBeGreaterThan(0);
  });

  it("open a generation with an exchange when two tasks' shards are merged, and spare it again when that is split", async () => {
    const world = running(remembering({}), { way: () => 20 });
    await world.wish();
    const put = async () => {
      for (let i = 0; i < 5; i++) {
        world.put(20, 23);
        await world.until(() => false, 300);
      }
    };
    await put();
    const [, first, second] = (await world.shards()).map(({ shardId }) => shardId);
    const merged = world.stream.merge("flights", String(first), String(second));
    await put();
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect(await stagesOf(world)).toEqual({ stages: [3, 4], reason: "rescale" });
    expect((await world.head())?.failures).toEqual([]);
    world.stream.split("flights", merged);
    await put();
    await world.settled();
    await world.until(({ completed }) => (completed?.checkpointId ?? 0) % 7 === 0, minutes(1));
    const again = { id: "again", kind: "restart", from: null, sinks: {}, dropped: [] } as const;
    await world.wish(desired({ request: again }), 1);
    await put();
    await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect((await stagesOf(world)).stages).toEqual([4]);
  });

  it("fail where a record lies in another key's shard, and say what to do", async () => {
    const world = running(remembering({}, { partitionedBy: shout, keyedBy: shout }));
    await world.wish();
    world.put(50, 23);
    const head = await world.until(({ status }) => status === "failed", minutes(5));
    expect(head?.failures.at(-1)).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("Leave partitionedBy out of the source"),
    });
    expect(world.rows().size).toBe(0);
  });
});

const shout = (record: Numbered) => `${record.key}!`;
