import { json, kinesisSource, pipeline, type Sink, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { storedExchange } from "../../lib/checkpoint/exchange.js";
import { noteName } from "../../lib/checkpoint/names.js";
import { prepareRecord } from "../../lib/checkpoint/opening.js";
import { writeManifest } from "../../lib/checkpoint/store.js";
import type { Ack, CheckpointRef, Range } from "../../lib/model/checkpoints.js";
import type { Lane } from "../../lib/model/frames.js";
import type { Desired, GenerationRecord } from "../../lib/model/head.js";
import { checkpointId, generation, sessionId, taskId } from "../../lib/model/ids.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { ack, desired, head, incarnation, manifest, record, request } from "./checkpoint-samples.js";
import { memoryStore } from "./checkpoint-worlds.js";
import { sink } from "./task-samples.js";

type Order = { readonly shop: string };

/** Orders counted by shop, by so many tasks. */
const counting = (parallelism: number, name = "count") =>
  pipeline("p", { parallelism }, (flow) =>
    flow
      .from("flights", kinesisSource({ stream: "flights", codec: json<Order>(), start: "trim-horizon" }))
      .keyBy(({ shop }) => shop)
      .process(name, { state: { n: value(0) }, onRecord: (_, { key }) => ({ shop: key }) })
      .to("out", sink() as Sink<Order>),
  );

/** A stream of so many shards, and a pipeline that is to be opened on it. */
function world(shards: number) {
  const { store, clock } = memoryStore();
  const { log, control } = memoryLog(clock);
  control.createStream("flights", shards);
  return {
    store,
    log,
    open: (
      made: ReturnType<typeof counting>,
      origin: CheckpointRef | null = null,
      over: { readonly previous?: GenerationRecord; readonly wish?: Desired } = {},
    ) =>
      prepareRecord(
        { store, log, plan: made.plan, library: "0.1.0", bindStream: (name) => name },
        origin === null ? null : head({ completed: origin }),
        over.previous ?? null,
        over.wish ?? desired(),
        { reason: "start", origin, incarnation },
      ),
  };
}

const tasksOf = ({ stages }: GenerationRecord) => stages.map(({ tasks }) => tasks);

describe("K2 the stages of a generation", () => {
  it("K2 with a parallelism of 1 all runs in one task", async () => {
    const { stages } = await world(3).open(counting(1));
    expect(stages).toEqual([{ name: "main", tasks: 1, operators: ["count"] }]);
  });

  it.each([
    [1, 4, 1],
    [3, 4, 3],
    [5, 4, 4],
  ])("K2 of %i shards, at a parallelism of %i, %i tasks read", async (shards, parallelism, reading) => {
    const { stages } = await world(shards).open(counting(parallelism));
    expect(stages).toEqual([
      { name: "sources", tasks: reading, operators: [] },
      { name: "count", tasks: parallelism, operators: ["count"] },
    ]);
  });

  it("K2 a shard that was read to its end needs no task; the last one leaves one", async () => {
    const at = world(3);
    const first = await at.open(counting(4));
    const flights = first.shards?.flights;
    if (flights === undefined) throw new Error("no table");
    const end = {
      kind: "finished",
      generation: generation(1),
      producer: 0,
      sent: {},
      readTo: at.store.clock.now(),
    } as const;
    const ended = async (count: number) => {
      const shards = flights.shards.map((entry, i) => (i < count ? { ...entry, at: end } : entry));
      const previous = record({ shards: { flights: { ...flights, shards } } });
      const origin = await writeManifest(at.store, manifest({ shards: { flights: { ...flights, shards } } }));
      return [tasksOf(await at.open(counting(4), null, { previous })), tasksOf(await at.open(counting(4), origin))];
    };
    expect(await ended(1)).toEqual([
      [2, 4],
      [2, 4],
    ]);
    expect(await ended(3)).toEqual([
      [1, 4],
      [1, 4],
    ]);
  });
});

describe("P1 the frames that a checkpoint names", () => {
  const range = (over: Partial<Range> = {}): Range => ({
    edge: "count",
    generation: generation(1),
    producer: 0,
    from: 1,
    to: null,
    keyGroups: [0, 127],
    ...over,
  });
  const lane: Lane = { incarnation, generation: generation(1), edge: "count", producer: 0 };
  const note = { epoch: checkpointId(0), session: sessionId("s1"), records: 0, slices: [], bytes: null };

  /** A checkpoint of two tasks of which one has sent so many frames, all of them there, and the other expects some. */
  async function sent(count: number, expected: readonly Range[], over: Partial<Ack> = {}) {
    const at = world(1);
    for (let n = 1; n <= count; n++) await storedExchange(at.store).put(lane, { n, ...note });
    const { shards } = await at.open(counting(2));
    const tasks = [
      ack({ checkpointId: checkpointId(1), sent: { count }, ...over }),
      ack({ checkpointId: checkpointId(1), task: taskId(1, 0), expected }),
    ];
    const origin = await writeManifest(at.store, manifest({ shards: shards ?? {}, tasks }));
    const lose = (n: number) => at.store.registers.remove({ group: "p", name: noteName(lane, n) });
    return { ...at, origin, lose };
  }

  it("P1 all there: the generation is opened", async () => {
    const at = await sent(5, [range({ from: 2 })]);
    await expect(at.open(counting(2), at.origin)).resolves.toMatchObject({ origin: at.origin });
  });

  it.each([2, 4, 5])("P1 frame %i is gone: nothing is opened, and the message names it", async (n) => {
    const at = await sent(5, [range({ from: 2 })]);
    await at.lose(n);
    await expect(at.open(counting(2), at.origin)).rejects.toMatchObject({
      kind: "corrupt",
      message: expect.stringMatching(
        new RegExp(`checkpoint 1: frame ${n} of task 0 of generation 1 on the edge "count" is gone`),
      ),
    });
  });

  it("P1 G1 frames that were taken, or sent after the checkpoint, may be gone", async () => {
    const at = await sent(5, [range({ from: 3 })], { sent: { count: 4 } });
    for (const n of [1, 2, 5]) await at.lose(n);
    await expect(at.open(counting(2), at.origin)).resolves.toMatchObject({ origin: at.origin });
  });

  it("P1 of consumers that are not equally far the slowest counts", async () => {
    const slow = range({ from: 3, keyGroups: [64, 127] });
    const fast = range({ from: 5, keyGroups: [0, 63] });
    for (const expected of [
      [slow, fast],
      [fast, slow],
    ]) {
      const at = await sent(5, expected);
      await at.lose(3);
      await expect(at.open(counting(2), at.origin)).rejects.toMatchObject({ kind: "corrupt" });
    }
  });

  it("P1 a lane of hundreds of frames is looked through to its end", async () => {
    const at = await sent(600, [range()]);
    await expect(at.open(counting(2), at.origin)).resolves.toMatchObject({ origin: at.origin });
    await at.lose(600);
    await expect(at.open(counting(2), at.origin)).rejects.toThrow("frame 600");
  });

  it("P1 those of an older generation that are still expected count too", async () => {
    const older = range({ generation: generation(1), from: 2, to: 3 });
    const at = await sent(3, []);
    const { shards } = await at.open(counting(2));
    const tasks = [ack({ generation: generation(2), expected: [older] })];
    const second = await writeManifest(
      at.store,
      manifest({ generation: generation(2), checkpointId: checkpointId(2), shards: shards ?? {}, tasks }),
    );
    await expect(at.open(counting(2), second)).resolves.toMatchObject({ origin: second });
    await at.lose(3);
    await expect(at.open(counting(2), second)).rejects.toThrow("frame 3");
  });

  it("P2 E4 records are on their way to an operator that the plan has not, unless it was dropped by name", async () => {
    const at = await sent(5, [range({ from: 2 })]);
    await at.lose(3);
    const renamed = counting(2, "sum");
    await expect(at.open(renamed, at.origin)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/on their way to operator "count", which the plan has not/),
    });
    const wish = desired({ request: request({ id: "r2", dropped: ["count"] }) });
    await expect(at.open(renamed, at.origin, { wish })).resolves.toMatchObject({ dropped: ["count"] });
  });

  it("P2 E4 what was on its way and is taken needs no operator", async () => {
    const at = await sent(5, [range({ from: 6 })]);
    await expect(at.open(counting(2, "sum"), at.origin)).resolves.toMatchObject({ origin: at.origin });
  });
});
