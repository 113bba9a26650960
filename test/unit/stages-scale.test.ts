// As many tasks as are supported, in one process.
import { dynamoTable, json, kinesisSource, list, pipeline } from "tidemark";
import { expect, it } from "vitest";
import { readGenerationRecord } from "../../lib/checkpoint/store.js";
import { minutes, type Numbered, remembering, running } from "./stages-world.js";

const keys = 300;
const shards = 64;

/** One stage: the stream is partitioned as its operator is keyed (K2). */
const spared = (parallelism: number): ReturnType<typeof remembering> => {
  const byKey = (record: Numbered) => record.key;
  return pipeline("p", { parallelism, checkpoint: { interval: "1s" } }, (flow) =>
    flow
      .from(
        "numbers",
        kinesisSource({ stream: "flights", codec: json<Numbered>(), start: "trim-horizon", partitionedBy: byKey }),
      )
      .keyBy(byKey)
      .process("remember", {
        state: { numbers: list<number>() },
        onRecord({ n }, { key, state }) {
          state.numbers.add(n);
          return { key, numbers: [...state.numbers.get()] };
        },
      })
      .to("keys", dynamoTable({ table: "keys", key: ["key"] })),
  );
};

it.each([
  ["two stages of 32 tasks", [32, 32], () => remembering({ parallelism: 32 })],
  ["one stage of 64", [64], () => spared(64)],
] as const)(
  "B4 E2 R4 K2 %s: all die with records in flight, and each record counts once",
  {
    timeout: 240_000,
  },
  async (_, stages, made) => {
    const world = running(made(), { shards });
    await world.wish();
    const put = async (rounds: number) => {
      for (let i = 0; i < rounds; i++) {
        world.put(keys, keys);
        await world.until(() => false, 700);
      }
    };
    await put(2);
    const before = await world.until(({ completed }) => completed !== null, minutes(2));
    if (before === null) return expect.fail("no generation was opened");
    expect((await readGenerationRecord(world.store, before)).stages.map(({ tasks }) => tasks)).toEqual(stages);
    await put(1);
    await world.crash();
    await world.until(({ generation }) => generation > before.generation, minutes(2));
    await put(1);
    const head = await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect(head?.failures).toHaveLength(1);
  },
);
