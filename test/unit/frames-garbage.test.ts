// G1, G2, E3 for the frames between tasks and their notes, rule by rule.
import { describe, expect, it } from "vitest";
import { collect } from "../../lib/checkpoint/collect.js";
import { storedExchange } from "../../lib/checkpoint/exchange.js";
import { framesMax } from "../../lib/checkpoint/frame-inventory.js";
import {
  type FrameFacts,
  frameGoes,
  frontiersOf,
  joinSpans,
  namedFrames,
} from "../../lib/checkpoint/frames-garbage.js";
import { frameKey, noteName } from "../../lib/checkpoint/names.js";
import {
  type CheckpointStore,
  readHead,
  swapHead,
  swapLease,
  writeAck,
  writeGenerationRecord,
  writeManifest,
} from "../../lib/checkpoint/store.js";
import type { Ack, CheckpointRef, Manifest, Range } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { checkpointId, generation, millis, sessionId, taskId } from "../../lib/model/ids.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { ack, head, held, incarnation, lease, manifest, now, pending, record, ref } from "./checkpoint-samples.js";
import { edge, frameOf } from "./garbage-channels.js";

const g = generation;
const id = checkpointId;
const [producer0, producer1, consumer0, consumer1] = [taskId(0, 0), taskId(0, 1), taskId(1, 0), taskId(1, 1)];
const stages = [
  { name: "sources", tasks: 2, operators: [] },
  { name: edge, tasks: 2, operators: [edge] },
];
const range = (over: Partial<Range> = {}): Range => ({
  edge,
  generation: g(2),
  producer: 0,
  from: 1,
  to: null,
  keyGroups: [0, 127],
  ...over,
});
const frame = (gen: number, n: number, producer = 0) => ({ generation: g(gen), edge, producer, n });

/** The acks of all four tasks: what the producers had sent, and from where on the consumers expect more of either. */
const acksOf = (
  sent: readonly [number, number],
  expected: readonly [readonly Range[], readonly Range[]],
  over: Partial<Ack> = {},
): readonly Ack[] => {
  const of = { generation: g(2), ...over };
  return [
    ack({ ...of, task: producer0, sent: { [edge]: sent[0] } }),
    ack({ ...of, task: producer1, sent: { [edge]: sent[1] } }),
    ack({ ...of, task: consumer0, expected: expected[0] }),
    ack({ ...of, task: consumer1, expected: expected[1] }),
  ];
};
const open = (from0: number, from1: number): readonly Range[] => [
  range({ from: from0 }),
  range({ producer: 1, from: from1 }),
];
const complete = (tasks: readonly Ack[], over: Partial<Manifest> = {}) => ({
  ref: ref(10, 2),
  manifest: manifest({ generation: g(2), tasks, ...over }),
});

describe("E3 the frames that something names", () => {
  const spans = (...args: Parameters<typeof namedFrames>) => Object.fromEntries(namedFrames(...args));

  it("E3 a checkpoint: from what each of its consumers expects to what the producer had sent", () => {
    const found = spans([complete(acksOf([9, 4], [open(6, 5), open(8, 2)]))], []);
    expect(found).toEqual({ "2/count/0": [{ from: 6, to: 9 }], "2/count/1": [{ from: 2, to: 4 }] });
  });

  it("E3 ranges of earlier generations as they are, and several checkpoints together", () => {
    const one = complete(acksOf([3, 0], [[range({ generation: g(1), from: 4, to: 6 }), ...open(2, 1)], open(4, 1)]));
    const two = complete(acksOf([20, 0], [open(18, 1), open(19, 1)]));
    expect(spans([one, two], [])).toEqual({
      "1/count/0": [{ from: 4, to: 6 }],
      "2/count/0": [
        { from: 2, to: 3 },
        { from: 18, to: 20 },
      ],
      "2/count/1": [],
    });
  });

  it("E3 a producer that has sent nothing on the edge, and never spoke of it", () => {
    const tasks = acksOf([3, 0], [open(2, 1), open(4, 1)]).map((one) => ({ ...one, sent: {} }));
    expect(spans([complete(tasks)], [])["2/count/0"]).toEqual([]);
  });

  it("G1 an ack beside the checkpoints: all that its lane may ever have; so a range that no checkpoint closes", () => {
    const [, , consumer] = acksOf([9, 4], [open(6, 5), []]);
    expect(spans([], consumer === undefined ? [] : [consumer])["2/count/0"]).toEqual([{ from: 6, to: Infinity }]);
    const strange = complete(acksOf([9, 4], [[range({ generation: g(1), from: 3 }), range({ producer: 7 })], []]));
    expect(spans([strange], [])).toEqual({
      "1/count/0": [{ from: 3, to: Infinity }],
      "2/count/7": [{ from: 1, to: Infinity }],
    });
  });

  it("spans are what they hold", () => {
    const random = randomOf("spans");
    for (let round = 0; round < 200; round++) {
      const all = Array.from({ length: random.int(8) }, () => {
        const from = random.int(30);
        return { from, to: from + random.int(8) - 2 };
      });
      const joined = joinSpans(all);
      for (let n = 0; n < 40; n++) {
        const isIn = ({ from, to }: { from: number; to: number }) => from <= n && n <= to;
        expect(joined.some(isIn)).toBe(all.some(isIn));
      }
      for (const [i, span] of joined.entries()) expect(span.from).toBeGreaterThan((joined[i - 1]?.to ?? -2) + 1);
    }
  });
});

describe("G2 the frontier of the current generation", () => {
  const at = head({ generation: g(2), completed: ref(10, 2) });
  const acks = acksOf([9, 4], [open(6, 5), open(8, 2)]);
  const first = (...args: Parameters<typeof frontiersOf>) =>
    Object.fromEntries([...frontiersOf(...args)].map(([lane, frontier]) => [lane, frontier.first]));

  it("G2 the least that any of its consumers expects of the lane", () => {
    expect(first(at, { stages }, acks)).toEqual({ "2/count/0": 6, "2/count/1": 2 });
  });

  it("G2 an older ack that a lease names holds it back", () => {
    const named = acksOf([3, 3], [open(3, 2), []]).slice(2, 3);
    expect(first(at, { stages }, [...acks, ...named])["2/count/0"]).toBe(3);
  });

  it.each([
    ["a consumer has not acked", at, { stages }, acks.slice(0, 3)],
    ["a producer has not", at, { stages }, acks.slice(1)],
    ["its acks are of an older generation", at, { stages }, acks.map((one) => ({ ...one, generation: g(1) }))],
    ["none of its checkpoints is complete", { ...at, completed: ref(4, 1) }, { stages }, acks],
    ["nothing ever was", { ...at, completed: null }, { stages }, acks],
    ["its record is gone", at, null, acks],
  ] as const)("G2 there is none where %s", (_, now1, of, counting) => {
    expect(first(now1, of, counting)).toEqual({});
  });

  it("G2 of a lane that nobody speaks of there is none", () => {
    expect(first(at, { stages }, acksOf([9, 4], [[range({ from: 3 })], [range({ from: 5 })]]))).toEqual({
      "2/count/0": 3,
    });
  });
});

describe("G1 G2 whether a frame goes", () => {
  const goes = (name: ReturnType<typeof frame>, facts: Partial<FrameFacts> = {}, living: readonly number[] = []) =>
    frameGoes(
      name,
      { named: new Map(), frontiers: new Map(), ...facts },
      { current: g(3), isLiving: (of) => living.includes(of) },
    );
  const named = new Map([["2/count/0", [{ from: 4, to: 6 }]]]);

  it("G1 of a generation that is over, unless it is named", () => {
    expect([3, 4, 6, 7].map((n) => goes(frame(2, n), { named }))).toEqual([true, false, false, true]);
    expect(goes(frame(2, 5, 1), { named })).toBe(true);
    expect(goes(frame(1, 5), { named })).toBe(true);
  });

  it("G1 of none that may still act", () => {
    expect(goes(frame(2, 3), { named }, [2])).toBe(false);
  });

  it("G2 of the current one below the frontier, unless it is named; beyond, and without one, nothing", () => {
    const frontiers = new Map([["3/count/0", { edge, producer: 0, first: 8 }]]);
    const own = new Map([["3/count/0", [{ from: 4, to: 6 }]]]);
    const found = [3, 4, 6, 7, 8, 900].map((n) => goes(frame(3, n), { named: own, frontiers }));
    expect(found).toEqual([true, false, false, true, false, false]);
    expect(goes(frame(3, 3, 1), { frontiers })).toBe(false);
  });
});

/** A pipeline of two stages in generation 2, with frames of either producer, and what a checkpoint says of them. */
async function grown(frames: number, options: { readonly bytes: number } = { bytes: 6_000 }) {
  const registers = memoryRegisters();
  const bucket = memoryBlobs();
  const clock = { now: () => now, sleep: async () => undefined, random: (n: number) => new Uint8Array(n) };
  const pages: { prefix: string; limit: number | undefined; found: number }[] = [];
  const listed: string[] = [];
  const store: CheckpointStore = {
    pipeline: "p",
    clock,
    blobs: {
      ...bucket.blobs,
      async *list(prefix) {
        for await (const one of bucket.blobs.list(prefix)) {
          listed.push(one.key);
          yield one;
        }
      },
    },
    registers: {
      ...registers.registers,
      async list(group, prefix, page) {
        const found = await registers.registers.list(group, prefix, page);
        if (prefix.startsWith("note/")) pages.push({ prefix, limit: page?.limit, found: found.length });
        return found;
      },
    },
  };
  const generationRecord = await writeGenerationRecord(store, record({ generation: g(2), stages, origin: null }));
  const of: Head = head({ generation: g(2), generationRecord, nextCheckpointId: id(2), completed: null });
  await swapHead(store, null, of);
  const exchange = storedExchange(store);
  const random = randomOf("frames");
  const lane = (producer: number) => ({ incarnation, generation: g(2), edge, producer });
  const send = async (producer: number, n: number) =>
    exchange.put(lane(producer), {
      n,
      epoch: id(0),
      session: sessionId("s1"),
      ...frameOf(random, options.bytes),
    });
  for (const producer of [0, 1]) for (let n = 1; n <= frames; n++) await send(producer, n);
  const move = async (over: Partial<Head>) => {
    const found = await readHead(store);
    const moved = await swapHead(store, found?.version ?? 0, { ...(found?.value ?? of), ...over });
    expect(moved.kind).toBe("swapped");
  };
  let previous: CheckpointRef | null = null;
  return {
    store,
    registers,
    bucket,
    pages,
    listed,
    lane,
    send,
    move,
    async complete(checkpoint: number, acks: readonly Ack[]): Promise<CheckpointRef> {
      const tasks = acks.map((one) => ({ ...one, checkpointId: id(checkpoint) }));
      for (const one of tasks) await writeAck(store, incarnation, one);
      const made = manifest({ generation: g(2), generationRecord, checkpointId: id(checkpoint), previous, tasks });
      const completed = await writeManifest(store, made);
      previous = completed;
      await move({ completed, nextCheckpointId: id(checkpoint + 1) });
      return completed;
    },
    collect: async () => {
      await registers.registers.remove({ group: "p", name: "collected" });
      return collect(store, { retained: 1, deadline: millis(now + 1e9) });
    },
    notes: (producer: number) =>
      Array.from({ length: frames }, (_, i) => i + 1).filter((n) =>
        registers.all().some(({ key }) => key.name === noteName(lane(producer), n)),
      ),
    objects: (producer: number) =>
      Array.from({ length: frames }, (_, i) => i + 1).filter((n) =>
        bucket.has(frameKey("p", lane(producer), n, sessionId("s1"))),
      ),
  };
}

describe("G2 collecting in the current generation", () => {
  it("G2 takes frames and notes below what the slowest consumer and every kept checkpoint need, and no other", async () => {
    const world = await grown(9);
    await world.complete(2, acksOf([3, 3], [open(3, 3), open(2, 4)]));
    await world.complete(3, acksOf([8, 8], [open(7, 9), open(6, 8)]));
    await world.collect();
    expect([0, 1].map(world.notes)).toEqual([
      [6, 7, 8, 9],
      [8, 9],
    ]);
    expect([0, 1].map(world.objects)).toEqual([0, 1].map(world.notes));
  });

  it("G2 E3 a savepoint keeps what was on its way, and not what came later", async () => {
    const world = await grown(9);
    const kept = await world.complete(2, acksOf([4, 3], [open(3, 4), open(5, 2)]));
    await world.move({ savepoints: [{ ...kept, name: "s", requestId: "q" }] });
    await world.complete(3, acksOf([8, 8], [open(8, 9), open(9, 9)]));
    await world.collect();
    expect([0, 1].map(world.notes)).toEqual([
      [3, 4, 8, 9],
      [2, 3, 9],
    ]);
    await world.move({ savepoints: [] });
    await world.collect();
    expect([0, 1].map(world.objects)).toEqual([[8, 9], [9]]);
    expect([0, 1].map(world.notes)).toEqual([[8, 9], [9]]);
  });

  it("G2 N1 nothing that the ack of a lease names, and nothing while a task has not acked", async () => {
    const world = await grown(6);
    await world.complete(2, acksOf([3, 3], [open(2, 2), open(2, 2)]));
    const taken = { kind: "held", session: sessionId("s"), requestId: "q", since: now, deadline: now } as const;
    await swapLease(world.store, incarnation, null, lease(taken, { generation: g(2), task: consumer0, ack: id(2) }));
    await world.complete(3, acksOf([6, 6], [open(7, 7), open(7, 7)]));
    await world.collect();
    expect(world.notes(0)).toEqual([2, 3, 4, 5, 6]);
    const other = await grown(6);
    await other.complete(2, acksOf([6, 6], [open(7, 7), open(7, 7)]));
    for (const { key } of other.registers.all())
      if (key.name.startsWith("ack/") && key.name.endsWith(consumer1)) await other.registers.registers.remove(key);
    await other.collect();
    expect(other.notes(0)).toHaveLength(6);
  });

  it("G2 E3 nothing that a checkpoint names which completes between the reading of the head and that of the acks", async () => {
    const world = await grown(9);
    await world.complete(2, acksOf([3, 3], [open(3, 3), open(3, 3)]));
    await world.move({ pending: pending({ checkpointId: id(3) }), nextCheckpointId: id(4) });
    // By the time at which its acks are listed it is complete, and the next one is under way: one of its consumers has acked both.
    for (const one of acksOf([8, 8], [open(5, 5), open(6, 6)], { checkpointId: id(3) }))
      await writeAck(world.store, incarnation, one);
    for (const one of acksOf([9, 9], [open(9, 9), open(9, 9)], { checkpointId: id(4) }))
      await writeAck(world.store, incarnation, one);
    await world.collect();
    expect(world.notes(0)).toEqual([3, 5, 6, 7, 8, 9]);
  });

  it("G2 reads hardly more notes than go, and lists none of the frames", async () => {
    const world = await grown(900, { bytes: 40 });
    await world.send(0, 901);
    await world.bucket.blobs.put(frameKey("p", world.lane(0), 950, sessionId("s1")), Buffer.of(1));
    await world.complete(2, acksOf([850, 900], [open(801, 3), open(820, 3)]));
    world.pages.length = 0;
    world.listed.length = 0;
    await world.collect();
    expect(world.notes(0)).toEqual(Array.from({ length: 100 }, (_, i) => 801 + i));
    expect(world.notes(1)).toHaveLength(898);
    expect(world.pages.reduce((sum, { found }) => sum + found, 0)).toBeLessThanOrEqual(800 + 2 + 3);
    expect(Math.max(...world.pages.map(({ limit = Infinity }) => limit))).toBeLessThanOrEqual(100);
    expect(world.listed.filter((key) => key.includes("/frames/")).length).toBeLessThanOrEqual(1);
    expect(await world.collect()).toMatchObject({ removed: 0, more: false });
  });

  it("G2 nor does it list them before the generation has a checkpoint", async () => {
    const world = await grown(30);
    await world.collect();
    expect(world.listed.filter((key) => key.includes("/frames/"))).toHaveLength(1);
    expect([world.notes(0), world.notes(1)].map(({ length }) => length)).toEqual([30, 30]);
  });

  it("G2 the frame goes before its note, which leads to it: cut off in between, the next call finds both", async () => {
    const world = await grown(9);
    await world.complete(2, acksOf([9, 9], [open(8, 8), open(8, 8)]));
    const broken = {
      ...world.store,
      registers: { ...world.store.registers, remove: () => Promise.reject(new Error("cut off")) },
    };
    await world.registers.registers.remove({ group: "p", name: "collected" });
    await expect(collect(broken, { retained: 1, deadline: millis(now + 1e9) })).rejects.toThrow("cut off");
    expect([world.objects(0), world.notes(0).length]).toEqual([[8, 9], 9]);
    await world.collect();
    expect([world.objects(0), world.notes(0)]).toEqual([
      [8, 9],
      [8, 9],
    ]);
  });

  it("G2 a note takes no other object with it, whatever it says, nor does one that cannot be read stop anything", async () => {
    const world = await grown(3);
    await world.complete(2, acksOf([3, 3], [open(4, 4), open(4, 4)]));
    const other = frameKey("p", { ...world.lane(0), generation: g(1) }, 1, sessionId("s1"));
    await world.bucket.blobs.put(other, Buffer.of(1));
    const victim = `p/${incarnation}/00000002/000000000002/0.0/state-base-s1`;
    await world.bucket.blobs.put(victim, Buffer.of(1));
    const said = [other, victim].map((key) => ({ kind: "object", key, size: 1, sha256: "" }));
    const name = (n: number) => ({ group: "p", name: noteName(world.lane(0), n) });
    await world.registers.registers.put(name(1), JSON.stringify({ body: said }));
    await world.registers.registers.put(name(2), "{");
    await world.collect();
    expect(world.notes(0)).toEqual([]);
    expect([other, victim].map(world.bucket.has)).toEqual([true, true]);
  });
});

describe("G1 collecting what is over", () => {
  it("G1 of a generation that is over: notes, frames, and frames without a note; not what a checkpoint still names", async () => {
    const world = await grown(9);
    const last = await world.complete(2, acksOf([5, 4], [open(4, 5), open(6, 4)]));
    const orphan = frameKey("p", world.lane(1), 10, sessionId("s9"));
    await world.bucket.blobs.put(orphan, Buffer.of(1));
    const next = await writeGenerationRecord(world.store, record({ generation: g(3), stages, origin: last }));
    await world.move({ generation: g(3), generationRecord: next, origin: last });
    const seen = (at: number) => ({ generation: g(3), floor: id(0), at });
    const collected = { format: 1, incarnation, at: 1, completed: 2, seen: [seen(1)], more: true };
    const noteCollected = (over = {}) =>
      world.registers.registers.put({ group: "p", name: "collected" }, JSON.stringify({ ...collected, ...over }));
    const run = () => collect(world.store, { retained: 1, deadline: millis(now + 1e9) });
    await noteCollected({ seen: [seen(now - 60_000)] });
    await run();
    expect([world.notes(0).length, world.objects(0).length, world.bucket.has(orphan)]).toEqual([9, 9, true]);
    await noteCollected();
    await run();
    expect([world.notes(0), world.objects(0)]).toEqual([
      [4, 5],
      [4, 5],
    ]);
    expect([world.notes(1), world.objects(1), world.bucket.has(orphan)]).toEqual([[4], [4], false]);
  });

  it("G1 a deadline of one of its leases keeps it all", async () => {
    const world = await grown(2);
    const last = await world.complete(2, acksOf([2, 2], [open(3, 3), open(3, 3)]));
    await swapLease(world.store, incarnation, null, lease(held(), { generation: g(2), task: producer0 }));
    await world.move({ generation: g(3), origin: last });
    const seen = [{ generation: g(3), floor: id(0), at: 1 }];
    const body = JSON.stringify({ format: 1, incarnation, at: 1, completed: 2, seen, more: true });
    await world.registers.registers.put({ group: "p", name: "collected" }, body);
    await collect(world.store, { retained: 1, deadline: millis(now + 1e9) });
    expect([world.notes(0), world.objects(0)]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  it("G1 R5 its acks may name what is gone: where what was seen is lost, and it counts as living once more", async () => {
    const world = await grown(1);
    const last = await world.complete(2, acksOf([1, 1], [open(2, 2), open(2, 2)]));
    const gone = { kind: "object", key: `p/${incarnation}/gone`, size: 1, sha256: ref(1).sha256 } as const;
    await writeAck(world.store, incarnation, ack({ generation: g(2), checkpointId: id(3), committables: gone }));
    await expect(world.collect()).rejects.toMatchObject({ kind: "corrupt" });
    await world.move({ generation: g(3), origin: last });
    expect(await world.collect()).toMatchObject({ more: false });
  });

  it("a call takes no more than so many, and the next one goes on", async () => {
    const world = await grown(0);
    const put = (n: number) =>
      world.registers.registers.put({ group: "p", name: noteName({ ...world.lane(0), generation: g(1) }, n) }, "{}");
    for (let n = 1; n <= framesMax + 5; n++) await put(n);
    await world.complete(2, acksOf([0, 0], [open(1, 1), open(1, 1)]));
    const seen = [{ generation: g(2), floor: id(0), at: 1 }];
    const body = JSON.stringify({ format: 1, incarnation, at: 1, completed: 2, seen, more: true });
    await world.registers.registers.put({ group: "p", name: "collected" }, body);
    const run = () => collect(world.store, { retained: 1, deadline: millis(now + 1e9) });
    const left = () => world.registers.all().filter(({ key }) => key.name.startsWith("note/")).length;
    expect(await run()).toMatchObject({ more: true, removed: framesMax });
    expect(left()).toBe(5);
    expect(await run()).toMatchObject({ more: false });
    expect(left()).toBe(0);
  }, 30_000);
});
