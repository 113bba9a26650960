import { describe, expect, it } from "vitest";
import type { Range } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, sessionId } from "../../lib/model/ids.js";
import { keyGroupOfKey } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { Exchange } from "../../lib/ports/exchange.js";
import { EdgeInput } from "../../lib/runtime/edge-input.js";
import { EdgeOutput, frameMillis } from "../../lib/runtime/edge-output.js";
import { SentNews } from "../../lib/runtime/lane-news.js";
import { incarnation, memoryExchange, place, pumping, takeRead } from "./edge-world.js";
import type { virtualClock } from "./runtime-world.js";
import { remembering, running } from "./stages-world.js";

function world() {
  const { clock, exchange } = memoryExchange();
  const producing = (
    producer: number,
    from: { sent?: number; epoch?: number; generation?: number; through?: Exchange } = {},
  ) => {
    const lane = { incarnation, generation: generation(from.generation ?? 1), edge: "sum", producer };
    const through = from.through ?? exchange;
    return new EdgeOutput(through, clock, new SentNews(through, lane), {
      lane,
      consumers: [[0, 127]],
      session: sessionId("aa"),
      sent: from.sent ?? 0,
      epoch: checkpointId(from.epoch ?? 0),
    });
  };
  const consumingBy = (through: Exchange, ...ranges: readonly Partial<Range>[]) =>
    new EdgeInput(through, {
      edge: "sum",
      incarnation,
      generation: generation(2),
      ranges: ranges.map((range): Range => ({ ...open, ...range })),
    });
  const consuming = (...ranges: readonly Partial<Range>[]) => consumingBy(exchange, ...ranges);
  /** All that may be taken now, in the order in which it is. */
  const takeAll = async (input: EdgeInput, epochMax?: number): Promise<readonly string[]> => {
    const taken: string[] = [];
    const pump = pumping(input, exchange, clock, generation(2));
    for (let quiet = 0; quiet < 3; quiet++) {
      await Promise.all(pump());
      const now = takeRead(input, epochMax);
      taken.push(...now);
      if (now.length > 0) quiet = 0;
    }
    return taken;
  };
  return { clock, exchange, producing, consuming, consumingBy, takeAll };
}
const open: Range = { edge: "sum", generation: generation(2), producer: 0, from: 1, to: null, keyGroups: [0, 127] };

/** Puts each value as a frame of its own. */
async function send(output: EdgeOutput, clock: ReturnType<typeof virtualClock>, ...values: readonly string[]) {
  for (const value of values) {
    output.add(value, 0, value, place);
    await clock.sleep(frameMillis);
    await output.flushDue();
  }
}

describe("a lane", () => {
  it("E1 gives its frames in order, and goes on after a hand-over where it was", async () => {
    const { clock, producing, consuming, takeAll } = world();
    const first = producing(0, { generation: 2 });
    await send(first, clock, "a", "b", "c");
    const input = consuming({});
    expect(await takeAll(input)).toEqual(["a", "b", "c"]);
    const { sent } = first.cut(checkpointId(1), "no barrier");
    const successor = producing(0, { generation: 2, sent, epoch: 1 });
    await send(successor, clock, "d");
    const later = consuming(...input.ranges());
    expect(await takeAll(later)).toEqual(["d"]);
    expect(later.ranges()).toEqual([{ ...open, from: 5 }]);
    expect(later.taken()).toEqual({ "sum/0": 4 });
  });

  it("E1 what the cut ends is in frames before it, what comes after it in later ones", async () => {
    const { clock, producing, consuming, takeAll } = world();
    const output = producing(0, { generation: 2 });
    output.add("before", 0, "before", place);
    const cut = output.cut(checkpointId(7), "no barrier");
    expect(cut.sent).toBe(1);
    await cut.durable;
    await send(output, clock, "after");
    const input = consuming({});
    expect(await takeAll(input, 6)).toEqual(["before"]);
    expect(input.epochAhead).toBe(7);
    expect(input.ranges()).toEqual([{ ...open, from: 2 }]);
    expect(await takeAll(input, 7)).toEqual(["after"]);
  });

  it("B3 a frame that cannot be put fails the cut that waits for it", async () => {
    const { exchange, producing } = world();
    const broken = producing(0, { through: { ...exchange, put: () => Promise.reject(new Error("no space")) } });
    broken.add("a", 0, "a", place);
    await expect(broken.cut(checkpointId(1), "no barrier").durable).rejects.toThrow("no space");
  });
});

describe("E2 ranges of earlier generations", () => {
  it("come first, those of all producers before any later one, and each for its key groups", async () => {
    const { clock, producing, consuming, takeAll } = world();
    await send(producing(0, { generation: 1 }), clock, "old a", "old b");
    await send(producing(1, { generation: 1 }), clock, "old c");
    await send(producing(0, { generation: 2 }), clock, "new");
    const group = keyGroupOfKey("old a");
    const old = { generation: generation(1) };
    const input = consuming(
      { generation: generation(2) },
      { ...old, to: 2, keyGroups: [group, group] },
      { ...old, producer: 1, to: 1 },
    );
    expect(input.isBehind).toBe(true);
    const taken = await takeAll(input);
    expect(taken.at(-1)).toBe("new");
    expect(taken.toSorted()).toEqual(
      keyGroupOfKey("old b") === group ? ["new", "old a", "old b", "old c"] : ["new", "old a", "old c"],
    );
    expect(input.isBehind).toBe(false);
    expect(input.ranges()).toEqual([{ ...open, from: 2 }]);
  });

  it("P1 a frame that a checkpoint names and that is gone is corrupt, and is told by its place", async () => {
    const { consuming } = world();
    const input = consuming({ generation: generation(1), producer: 3, from: 5, to: 9 });
    await expect(Promise.all(input.pump())).rejects.toMatchObject({
      kind: "corrupt",
      message: expect.stringContaining('edge "sum": frame 5 of producer 3 in generation 1 is gone'),
    });
  });
});

describe("B2 an aligned cut", () => {
  it("waits for the barrier of every producer, takes what came before it and nothing else, and leaves the channels empty", async () => {
    const { clock, producing, consuming, takeAll } = world();
    const [one, two] = [producing(0, { generation: 2 }), producing(1, { generation: 2 })];
    await send(one, clock, "one");
    await send(two, clock, "two");
    await one.cut(checkpointId(4), "barrier").durable;
    await send(one, clock, "later");
    const input = consuming({}, { producer: 1 });
    expect((await takeAll(input, 3)).toSorted()).toEqual(["one", "two"]);
    expect([input.isAligned(checkpointId(4)), input.hasBarriers(checkpointId(4))]).toEqual([false, false]);
    const { sent } = two.cut(checkpointId(4), "barrier");
    expect(sent).toBe(2);
    expect(await takeAll(input, 3)).toEqual([]);
    expect(input.isAligned(checkpointId(4))).toBe(true);
    input.passBarriers(checkpointId(4));
    expect(input.ranges().map(({ from }) => from)).toEqual([3, 3]);
    expect(await takeAll(input, 4)).toEqual(["later"]);
  });
});

describe("E5 news of lanes", () => {
  it("are told once for all frames that were put meanwhile, and before the cut is durable", async () => {
    const { clock, exchange, producing } = world();
    const told: unknown[] = [];
    const slow: Exchange = {
      ...exchange,
      async tell(sender, sent) {
        told.push(sent);
        await clock.sleep(5 * frameMillis);
        await exchange.tell(sender, sent);
      },
    };
    const output = producing(0, { generation: 2, through: slow });
    for (const value of ["a", "b", "c", "d"]) {
      output.add(value, 0, value, place);
      await clock.sleep(frameMillis);
      output.flushDue();
    }
    await output.cut(checkpointId(1), "no barrier").durable;
    expect(told).toEqual([{ sum: 1 }, { sum: 4 }]);
    const news = await exchange.news({ incarnation, generation: generation(2) });
    expect([...news]).toEqual([[0, { sum: 4 }]]);
  });

  it("are all that is asked for while lanes are quiet: one request for all of them, ever more seldom", async () => {
    const { clock, exchange, producing, consumingBy } = world();
    const asked = { news: 0, notes: 0 };
    const counted: Exchange = {
      ...exchange,
      news: (...from) => {
        asked.news++;
        return exchange.news(...from);
      },
      notes: (...range) => {
        asked.notes++;
        return exchange.notes(...range);
      },
    };
    const outputs = [0, 1, 2, 3].map((producer) => producing(producer, { generation: 2 }));
    const input = consumingBy(counted, ...outputs.map((_, producer) => ({ producer })));
    const pump = pumping(input, counted, clock, generation(2));
    const began = clock.now();
    while (clock.now() < began + 60_000) await Promise.all(pump());
    expect(asked.news).toBeGreaterThan(55);
    expect(asked.news).toBeLessThan(70);
    expect(asked.notes).toBe(0);
    expect(input.isIdle).toBe(true);
    for (const output of outputs.slice(2)) await send(output, clock, "late");
    const sentAt = clock.now();
    const taken: string[] = [];
    while (taken.length < 2) {
      await Promise.all(pump());
      taken.push(...takeRead(input));
    }
    expect(taken).toEqual(["late", "late"]);
    expect(clock.now() - sentAt).toBeLessThanOrEqual(1_000);
  });

  it("of a frame that is not there show that it was deleted", async () => {
    const { exchange, consuming, takeAll } = world();
    await exchange.tell({ incarnation, generation: generation(2), producer: 0 }, { sum: 3 });
    await expect(takeAll(consuming({}))).rejects.toMatchObject({
      kind: "corrupt",
      message: expect.stringContaining('edge "sum": frame 1 of producer 0 in generation 2 is gone'),
    });
  });
});

it("E5 a producer reads no more while its slowest consumer is far behind, and goes on when it has caught up", async () => {
  let isSlow = true;
  const way = (method: string, what: unknown) =>
    isSlow && method === "get" && String(what).includes("/frames/") ? 100_000 : 0;
  const world = running(remembering({ parallelism: 2 }), { way });
  await world.wish();
  for (let i = 0; i < 400; i++) {
    // Of so many bytes, which no compression makes fewer, that the frame does not fit into its note.
    world.put(2, 4, Array.from({ length: 100 }, (_, part) => sha256(`${i}/${part}`)).join(""));
    await world.clock.sleep(230);
  }
  const notes = await world.store.registers.list("p", "note/");
  const producers = new Set(notes.map(({ name }) => name.split("/")[4]));
  expect(producers.size).toBe(2);
  for (const producer of producers) {
    const frames = notes.filter(({ name }) => name.split("/")[4] === producer).length;
    expect(frames).toBeGreaterThan(60);
    expect(frames).toBeLessThan(90);
  }
  const head = await world.head();
  // Unaligned cuts wait for no backlog.
  expect(head?.completed?.checkpointId).toBeGreaterThan(30);
  isSlow = false;
  await world.settled();
  expect(world.rows()).toEqual(world.expected);
  expect(await world.head()).toMatchObject({ generation: 1, failures: [] });
});
