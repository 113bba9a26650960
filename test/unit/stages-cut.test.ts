import { dynamoTable, json, kinesisSource, list, type PipelineOptions, pipeline } from "tidemark";
import { expect, it } from "vitest";
import { minutes, type Numbered, running } from "./stages-world.js";

/** Behind the exchange each record's row waits for a call: what is taken of a frame is taken over seconds. */
const calling = (call: () => Promise<void>, checkpoint: PipelineOptions["checkpoint"]) =>
  pipeline("p", { parallelism: 2, checkpoint: { interval: "1s", ...checkpoint } }, (flow) =>
    flow
      .from("numbers", kinesisSource({ stream: "flights", codec: json<Numbered>(), start: "trim-horizon" }))
      .keyBy((record) => record.key)
      .process("remember", {
        state: { numbers: list<number>() },
        onRecord({ n }, { key, state }) {
          state.numbers.add(n);
          return { key, numbers: [...state.numbers.get()] };
        },
      })
      .mapAsync("ask", { concurrency: 1, timeout: "5s" }, async (row) => {
        await call();
        return row;
      })
      .to("keys", dynamoTable({ table: "keys", key: ["key"] })),
  );

it.each(["unaligned", "aligned"] as const)(
  "B2 %s, a cut comes between two frames, never in one: of a frame that was begun nothing is lost by a crash",
  { timeout: 120_000 },
  async (alignment) => {
    let sleep = async (_: number): Promise<void> => undefined;
    let calls = 0;
    const world = running(
      calling(
        () => {
          calls += 1;
          return sleep(40);
        },
        { alignment },
      ),
    );
    sleep = (length) => world.clock.sleep(length);
    await world.wish();
    for (let i = 0; i < 12; i++) {
      // All of one moment come in one frame of each producer, which takes a second or more; so a checkpoint comes meanwhile.
      world.put(60);
      const completed = (await world.head())?.completed?.checkpointId ?? 0;
      await world.until((head) => (head.completed?.checkpointId ?? 0) > completed, minutes(1));
      await world.crash();
    }
    const head = await world.settled();
    expect(world.rows()).toEqual(world.expected);
    expect(head?.generation).toBeGreaterThan(10);
    expect(calls).toBeGreaterThanOrEqual(12 * 60);
  },
);
