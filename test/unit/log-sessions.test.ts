// Sessions with a write-ahead log: the target takes its time, sessions die, tasks become more and fewer.
import {
  json,
  kinesisSource,
  type PipelineOptions,
  pipeline,
  type Segment,
  StreamError,
  writeAheadLog,
} from "tidemark";
import { describe, expect, it } from "vitest";
import { desired, request } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";
import { minutes, type Numbered, same } from "./stages-world.js";

/** Rows of each key, and the last position of each lane, changed in one step. A step takes time, and can be refused. */
function ledger() {
  const rows = new Map<string, number[]>();
  const positions = new Map<string, string>();
  const state = { millis: 0, refuses: false, applied: 0, repeated: 0, closed: 0, opened: 0 };
  const apply = ({ token, rows: some }: Segment<Numbered>) => {
    if (state.refuses) throw new StreamError("invalid", "the account is closed");
    if ((positions.get(token.lane) ?? "") >= token.position) {
      state.repeated++;
      return;
    }
    positions.set(token.lane, token.position);
    state.applied++;
    for (const { key, n } of some) rows.set(key, [...(rows.get(key) ?? []), n]);
  };
  return { rows, positions, state, apply };
}

function logging(target: ReturnType<typeof ledger>, options: PipelineOptions) {
  const log = writeAheadLog<Numbered>({
    kind: "ledger",
    rowsMax: 4,
    open({ clock }) {
      target.state.opened++;
      return {
        async apply(segment) {
          if (target.state.millis > 0) await clock.sleep(target.state.millis);
          target.apply(segment);
        },
        close: async () => void target.state.closed++,
      };
    },
  });
  return pipeline("p", { checkpoint: { interval: "1s" }, ...options }, (flow) =>
    flow
      .from("numbers", kinesisSource({ stream: "flights", codec: json<Numbered>(), start: "trim-horizon" }))
      .keyBy((record) => record.key)
      .process("pass", { state: {}, onRecord: (record) => record })
      .to("ledger", log),
  );
}

function running(target: ReturnType<typeof ledger>, options: PipelineOptions) {
  const world = cloud(logging(target, options), { way: () => 20 });
  world.stream.createStream("flights", 4);
  const expected = new Map<string, number[]>();
  let n = 0;
  // Segments of these lie in the bucket, and not in the ack.
  const padding = "x".repeat(3_000);
  const put = (records: number) => {
    for (let i = 0; i < records; i++) {
      const key = `k${++n % 10}`;
      world.stream.put("flights", key, Buffer.from(JSON.stringify({ key, n, padding })));
      expected.set(key, [...(expected.get(key) ?? []), n]);
    }
  };
  const settled = () => world.until(() => same(target.rows, expected), minutes(10));
  return { ...world, put, expected, settled };
}

describe("C5 a write-ahead log", () => {
  it.each([1, 3])("C2 C5 sessions die with segments half applied, %i tasks", { timeout: 120_000 }, async (tasks) => {
    const target = ledger();
    target.state.millis = 400;
    const world = running(target, { parallelism: tasks });
    await world.wish();
    for (let i = 0; i < 5; i++) {
      world.put(40);
      await world.until(() => false, 2_300);
      await world.crash();
      await world.until(() => false, 1_000);
    }
    target.state.millis = 10;
    await world.settled();
    expect(target.rows).toEqual(world.expected);
    expect(target.state.repeated).toBeGreaterThan(0);
    expect((await world.head())?.generation).toBeGreaterThan(3);
  });

  it.each([
    [3, 1],
    [1, 3],
    [2, 3],
  ])("E4 C2 C5 a deployment goes from parallelism %i to %i, and back", { timeout: 120_000 }, async (from, to) => {
    const target = ledger();
    target.state.millis = 300;
    const world = running(target, { parallelism: from });
    await world.wish();
    for (let i = 1; i <= 4; i++) {
      for (let j = 0; j < 5; j++) {
        world.put(20);
        await world.until(() => false, 410);
      }
      const { code } = world.deploy(logging(target, { parallelism: i % 2 === 1 ? to : from }));
      await world.wish(desired({ code, request: request({ id: `r${i}` }) }), i);
      await world.until(({ generation }) => generation > i, minutes(1));
    }
    target.state.millis = 10;
    await world.settled();
    expect(target.rows).toEqual(world.expected);
    expect((await world.head())?.failures).toEqual([]);
    const generations = [...target.positions.keys()].map((lane) => lane.split("-").at(-2));
    expect(new Set(generations).size).toBeGreaterThan(2);
  });

  it("C2 a target that refuses fails the pipeline with its cause; once it is mended nothing is lost", async () => {
    const target = ledger();
    const world = running(target, { parallelism: 2 });
    await world.wish();
    world.put(40);
    await world.settled();
    target.state.refuses = true;
    world.put(40);
    const failed = await world.until(({ status }) => status === "failed", minutes(5));
    expect(failed?.status).toBe("failed");
    expect(failed?.failures.at(-1)).toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('sink "ledger": ledger: apply: the account is closed'),
    });
    const before = target.state.applied;
    await world.until(() => false, minutes(3));
    expect(target.state.applied).toBe(before);
    target.state.refuses = false;
    await world.wish(desired({ request: request({ id: "again" }) }), 1);
    await world.settled();
    expect(target.rows).toEqual(world.expected);
  });

  it("N4 every session closes what it opened", async () => {
    const target = ledger();
    const world = running(target, { session: { reserve: "10s" }, checkpoint: { interval: "1s", timeout: "5s" } });
    await world.wish();
    world.put(10);
    await world.settled();
    await world.wish(desired({ state: "stopped" }), 1);
    await world.until(({ status }) => status === "stopped", minutes(2));
    await world.until(() => false, 2_000);
    expect(target.state.opened).toBeGreaterThan(0);
    expect(target.state.closed).toBe(target.state.opened);
  });
});
