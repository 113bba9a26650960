// G1, G2 rule by rule: what the random histories cannot tell apart.
import { describe, expect, it } from "vitest";
import { collect } from "../../lib/checkpoint/collect.js";
import {
  boundOf,
  type Collected,
  floorFor,
  isBeyond,
  isDue,
  judge,
  mayLive,
  noted,
  ripest,
  type Seen,
  type Stock,
  seenGapMillis,
  staleMillis,
  stillHolds,
} from "../../lib/checkpoint/garbage.js";
import { incarnationPrefix, itemPrefixes, parseItemName, parseObjectKey } from "../../lib/checkpoint/names.js";
import { swapHead } from "../../lib/checkpoint/store.js";
import { raiseFloor } from "../../lib/checkpoint/transitions.js";
import type { Lease } from "../../lib/model/head.js";
import { checkpointId, generation, type Millis, millis } from "../../lib/model/ids.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { ago, head, held, incarnation, lease, manifest, now, pending, ref } from "./checkpoint-samples.js";
import { Crash, garbageWorld } from "./garbage-world.js";

const id = checkpointId;
const g = generation;
const seen = (over: Partial<Seen> = {}): Seen => ({ generation: g(2), floor: id(8), at: ago(staleMillis), ...over });
const stock = (over: Partial<Stock> = {}): Stock => ({
  now,
  head: head({ generation: g(2), floor: id(8), completed: ref(10, 2), nextCheckpointId: id(11) }),
  ripe: seen(),
  restorable: [],
  leases: [],
  referenced: new Set(),
  acks: new Set(),
  frames: { named: new Map(), frontiers: new Map() },
  ...over,
});
const prefix = incarnationPrefix("p", incarnation);
const part = (gen: number, checkpoint: number, what = "state-base-s1") =>
  `${prefix}${String(gen).padStart(8, "0")}/${String(checkpoint).padStart(12, "0")}/0.0/${what}`;
const object = (of: Stock, key: string) => {
  const name = parseObjectKey(prefix, key);
  if (name === null) throw new Error(`${key} has no name`);
  return judge(of).object(key, name);
};
const item = (of: Stock, key: string) => {
  const name = parseItemName(incarnation, key);
  if (name === null) throw new Error(`${key} has no name`);
  return judge(of).item(key, name);
};
const manifestItem = (gen: number, checkpoint: number) =>
  `${itemPrefixes(incarnation).manifest}${String(gen).padStart(8, "0")}/${String(checkpoint).padStart(12, "0")}/${ref(checkpoint, gen).sha256}`;

describe("G2 the current generation", () => {
  it("G2 gives up what is below the floor and below what is complete", () => {
    expect(object(stock(), part(2, 7))).toBe("part");
    expect(object(stock(), part(2, 8))).toBeNull();
    expect(object(stock(), part(2, 9))).toBeNull();
  });

  it("G2 after a replay from a savepoint below the floor, nothing of it that is as old as the savepoint or newer", () => {
    const replayed = stock({ head: head({ generation: g(2), floor: id(8), completed: ref(4), origin: ref(4) }) });
    expect(boundOf(replayed.head)).toBe(4);
    expect(object(replayed, part(2, 4))).toBeNull();
    expect(object(replayed, part(2, 7))).toBeNull();
    expect(object(replayed, part(2, 3))).toBe("part");
    expect(isBeyond(replayed.head, { generation: g(2), checkpointId: id(4) })).toBe(true);
    expect(isBeyond(replayed.head, { generation: g(2), checkpointId: id(3) })).toBe(false);
    expect(isBeyond(replayed.head, { generation: g(1), checkpointId: id(9) })).toBe(false);
    expect(isBeyond(replayed.head, { generation: g(3), checkpointId: id(1) })).toBe(true);
  });

  it("G2 not what is referred to, nor the acks that count", () => {
    expect(object(stock({ referenced: new Set([part(2, 7)]) }), part(2, 7))).toBeNull();
    const name = `ack/${incarnation}/00000002/000000000007/0.0`;
    expect(item(stock(), name)).toBe("ack");
    expect(item(stock({ acks: new Set([name]) }), name)).toBeNull();
  });

  it("G2 before the first checkpoint nothing", () => {
    const first = stock({ head: head({ completed: null, nextCheckpointId: id(5) }), ripe: null });
    expect(object(first, part(1, 4))).toBeNull();
  });
});

describe("G1 older generations", () => {
  const old = (holder: Lease["holder"]) => stock({ leases: [lease(holder)] });
  const deadline = (at: number) => held({ deadline: millis(at) });

  it("G1 not before a minute past the deadline of a lease, however long it is", () => {
    expect(object(old(deadline(now + 1)), part(1, 3))).toBeNull();
    expect(object(old(deadline(now - 59_000)), part(1, 3))).toBeNull();
    expect(object(old(deadline(now - 60_000)), part(1, 3))).toBe("part");
  });

  it.each([
    ["free", { kind: "free", since: ago(1) }],
    ["failed", { kind: "failed", session: "s" as never, failure: "died", message: "m" }],
    ["done", { kind: "done", committed: id(3) }],
  ] as const)(
    "G1 not as long as a function may live after the generation ended: a lease that is %s has no deadline",
    (_, holder) => {
      expect(object({ ...old(holder), ripe: null }, part(1, 3))).toBeNull();
      expect(object({ ...old(holder), ripe: seen({ generation: g(1) }) }, part(1, 3))).toBeNull();
      expect(object(old(holder), part(1, 3))).toBe("part");
    },
  );

  it("G1 the same where nobody ever took a lease", () => {
    expect(object(stock({ ripe: null }), part(1, 3))).toBeNull();
    expect(object(stock(), part(1, 3))).toBe("part");
  });

  it("G1 unfinished checkpoints above the floor too, and then leases, progress and records", () => {
    expect(object(stock(), part(1, 9))).toBe("part");
    expect(item(stock(), manifestItem(1, 9))).toBe("manifest");
    expect(item(stock(), `lease/${incarnation}/00000001/0.0`)).toBe("generation");
    expect(item(stock(), `progress/${incarnation}/00000001/0.0`)).toBe("generation");
    expect(item(stock(), `generation/${incarnation}/00000001/${"a".repeat(64)}`)).toBe("generation");
    expect(item(stock(), `lease/${incarnation}/00000002/0.0`)).toBeNull();
  });

  it("G1 the record of a generation that something restorable is of stays", () => {
    const name = `generation/${incarnation}/00000001/${manifest().generationRecord}`;
    const kept = stock({ restorable: [{ ref: ref(9), manifest: manifest() }] });
    expect(item(kept, name)).toBeNull();
    expect(object(kept, `${prefix}00000001/generation-${manifest().generationRecord}.json`)).toBeNull();
    expect(item(stock({ head: { ...stock().head, generationRecord: ref(1).sha256 } }), name)).toBe("generation");
  });
});

describe("G1 who has read an older head", () => {
  it("G1 finds the manifests and acks that it named, as long as it may live", () => {
    const raised = stock({ ripe: seen({ floor: id(5) }) });
    expect(item(raised, manifestItem(2, 7))).toBeNull();
    expect(item(raised, manifestItem(2, 4))).toBe("manifest");
    expect(item(stock(), manifestItem(2, 7))).toBe("manifest");
    expect(item(raised, `ack/${incarnation}/00000002/000000000007/0.0`)).toBeNull();
    expect(object(raised, part(2, 7, "ack-abc"))).toBeNull();
    expect(object(raised, part(2, 7))).toBe("part");
    expect(item(stock({ ripe: null }), manifestItem(2, 7))).toBeNull();
  });

  it("G1 the newest head that is old enough counts; heads close to one another are one", () => {
    const all = [
      seen({ at: ago(2 * staleMillis) }),
      seen({ at: ago(staleMillis), floor: id(9) }),
      seen({ at: ago(5) }),
    ];
    expect(ripest(all, now)).toBe(all[1]);
    expect(ripest([seen({ at: ago(staleMillis - 1) })], now)).toBeNull();
    const moved = head({ generation: g(2), floor: id(10) });
    expect(noted(all, moved, now)).toEqual([all[1], all[2]]);
    expect(noted([all[1] as Seen], moved, now)).toEqual([all[1], { generation: 2, floor: 10, at: now }]);
    expect(noted([seen()], head({ generation: g(2), floor: id(8) }), now)).toEqual([seen()]);
  });

  it("G1 a time to come, of a wrong clock, is forgotten", () => {
    expect(noted([seen({ at: millis(now + 1e9) })], head(), now)).toEqual([{ generation: 1, floor: 0, at: now }]);
  });
});

describe("G2 the floor", () => {
  it("G2 is the N-th newest of the lineage; where there are fewer it stays; it is never lowered", () => {
    const lineage = [9, 7, 4, 2].map((n) => ref(n));
    const at = head({ completed: ref(9), floor: id(1) });
    expect(floorFor(at, lineage, 1)).toBe(9);
    expect(floorFor(at, lineage, 3)).toBe(4);
    expect(floorFor(at, lineage, 5)).toBe(1);
    expect(floorFor({ ...at, floor: id(6) }, lineage, 3)).toBe(6);
    expect(() => raiseFloor({ ...at, floor: id(6) }, id(5))).toThrow(/never lowered/);
  });

  it("G2 R7 takes the tips below it from the head, and is the same head where nothing changes", () => {
    const before = head({ completed: ref(9), floor: id(2), left: [ref(3), ref(6)] });
    expect(raiseFloor(before, id(4))).toEqual({ ...before, floor: 4, left: [ref(6)] });
    expect(raiseFloor(before, id(2))).toBe(before);
  });
});

describe("when there is something to collect", () => {
  const was = (over: Partial<Collected> = {}): Collected => ({
    format: 1,
    incarnation,
    at: ago(10_000),
    completed: id(20),
    seen: [{ generation: g(1), floor: id(11), at: ago(2 * staleMillis) }],
    savepoints: [],
    more: false,
    ...over,
  });
  const at = (completed: number, over = {}) => head({ completed: ref(completed), floor: id(11), ...over });
  it.each([
    ["never collected, and nothing complete", head({ completed: null }), null, false],
    ["never collected", head(), null, true],
    ["a savepoint was deleted", at(20), was({ savepoints: [ref(3).sha256] }), true],
    [
      "a savepoint is still there",
      at(20, { savepoints: [{ ...ref(3), name: "s", requestId: "q" }] }),
      was({ savepoints: [ref(3).sha256] }),
      false,
    ],
    ["of another incarnation", at(20), was({ incarnation: "f".repeat(12) }), true],
    ["nothing new", at(20), was(), false],
    ["two new ones of ten", at(22), was(), false],
    ["a quarter of what is retained is new", at(23), was(), true],
    ["it was cut off", at(20), was({ more: true }), true],
    ["another generation", at(20, { generation: g(2) }), was(), true],
    [
      "another generation, and one was noted just now",
      at(20, { generation: g(2) }),
      was({ seen: [{ generation: g(1), floor: id(11), at: ago(seenGapMillis - 1) }] }),
      false,
    ],
    [
      "what was noted has become old enough since",
      at(20),
      was({ seen: [{ generation: g(1), floor: id(11), at: ago(staleMillis + 5_000) }] }),
      true,
    ],
    [
      "too few to fill what is retained",
      head({ completed: ref(9) }),
      was({ completed: id(1), seen: [seen({ generation: g(1), floor: id(0), at: ago(2 * staleMillis) })] }),
      false,
    ],
  ] as const)("%s", (_, now1, collected, expected) => {
    expect(isDue(now1, collected, 10, now)).toBe(expected);
  });
});

describe("G2 whether what was judged still holds", () => {
  const judged = {
    head: head({ generation: g(2), floor: id(8), completed: ref(10, 2), nextCheckpointId: id(11) }),
    restorable: [{ ref: ref(10, 2), manifest: manifest() }],
  };
  it.each([
    ["the same head", {}, true],
    ["a newer checkpoint", { completed: ref(11, 2) }, true],
    ["a newer generation", { generation: g(3), origin: ref(10, 2) }, true],
    ["a higher floor", { floor: id(9) }, true],
    ["an older generation", { generation: g(1) }, false],
    ["a lower floor: a head that was put back", { floor: id(7) }, false],
    ["another incarnation", { incarnation: "f".repeat(12) }, false],
    ["a savepoint that was not kept", { savepoints: [{ ...ref(5), name: "s" }] }, false],
    ["complete is one that was not kept", { completed: ref(9, 2) }, false],
  ] as const)("%s", (_, over, expected) => {
    expect(stillHolds(judged, { ...judged.head, ...over } as never)).toBe(expected);
  });

  it("a head that is gone", () => {
    expect(stillHolds(judged, null)).toBe(false);
  });

  it("one that was pending then may be complete now", () => {
    const waiting = {
      ...judged,
      head: { ...judged.head, pending: pending({ checkpointId: id(10) }), completed: ref(9, 2) },
    };
    expect(stillHolds(waiting, { ...waiting.head, completed: ref(10, 2) })).toBe(true);
  });
});

it("leases of one generation do not keep another", () => {
  const other = stock({ leases: [lease(held({ deadline: millis(now + 1e6) }), { generation: g(2) })] });
  expect(mayLive(g(1), other)).toBe(false);
  expect(mayLive(g(2), other)).toBe(true);
  expect(mayLive(g(3), other)).toBe(true);
});

describe("collecting", () => {
  async function full(retained: number) {
    const world = garbageWorld(randomOf("rules"), retained);
    await world.begin();
    for (let i = 0; i < 20; i++) {
      world.pass(10_000);
      await world.checkpoint("complete", null);
    }
    return world;
  }
  const run = (world: Awaited<ReturnType<typeof full>>, retained: number, life = 60_000) =>
    collect(world.store, { retained, deadline: millis(world.store.clock.now() + life) as Millis });

  it("G2 the floor stands in the head before anything goes", async () => {
    const world = await full(3);
    await world.collect(0);
    expect((await world.read()).value.floor).toBe(18);
    expect(world.objects().filter((key) => key.includes("completed/"))).toHaveLength(20);
  });

  it("with no time left it deletes nothing, says so, and the next call goes on", async () => {
    const world = await full(3);
    const before = world.objects();
    expect(await run(world, 3, 1_000)).toMatchObject({ floor: 18, removed: 0, more: true });
    expect(world.objects()).toEqual(before);
    expect((await run(world, 3))?.removed).toBeGreaterThan(50);
    expect(await run(world, 3)).toBeNull();
  });

  it("stops when the head is taken away meanwhile", async () => {
    const world = await full(3);
    const { remove } = world.store.blobs;
    let batches = 0;
    const blobs = {
      ...world.store.blobs,
      async remove(keys: readonly string[]) {
        batches++;
        await remove(keys);
        await world.registers.registers.remove({ group: "p", name: "head" });
      },
    };
    const done = await collect({ ...world.store, blobs }, { retained: 3, deadline: millis(now + 1e9) });
    expect({ batches, done }).toMatchObject({ batches: 1, done: { removed: 17, more: true } });
  });

  it("deletes nothing where a manifest that counts is gone", async () => {
    const world = await full(3);
    for (const name of world
      .items()
      .filter((one) => one.startsWith("manifest/"))
      .slice(-2))
      await world.registers.registers.remove({ group: "p", name });
    const copies = world.objects().filter((key) => key.includes("/manifest-"));
    await world.bucket.blobs.remove(copies.slice(-2));
    const before = world.objects();
    await expect(run(world, 3)).rejects.toMatchObject({ kind: "corrupt" });
    expect(world.objects()).toEqual(before);
  });

  it("R5 raises the floor though others move the head, and answers are lost", async () => {
    const world = await full(3);
    const { swap } = world.store.registers;
    let attempts = 0;
    const registers = {
      ...world.store.registers,
      async swap(...args: Parameters<typeof swap>) {
        attempts++;
        if (attempts === 1) {
          const found = await world.read();
          await swapHead({ ...world.store, registers: { ...registers, swap } }, found.version, found.value);
        }
        const answer = await swap(...args);
        if (attempts === 2) throw new Crash("the answer is lost");
        return answer;
      },
    };
    expect(await collect({ ...world.store, registers }, { retained: 3, deadline: millis(now + 1e9) })).toMatchObject({
      floor: 18,
      more: false,
    });
  });

  it("two at a time, an opening and a checkpoint do one another no harm", async () => {
    for (let round = 0; round < 20; round++) {
      const world = await full(2);
      const random = randomOf(`race ${round}`);
      const yielding =
        <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
        async (...args: A): Promise<R> => {
          for (let turns = random.int(30); turns > 0; turns--) await undefined;
          return call(...args);
        };
      const { registers, blobs } = world.store;
      const slow = {
        ...world.store,
        blobs: { ...blobs, get: yielding(blobs.get), remove: yielding(blobs.remove) },
        registers: {
          read: yielding(registers.read),
          swap: yielding(registers.swap),
          put: yielding(registers.put),
          list: yielding(registers.list),
          remove: yielding(registers.remove),
        },
      };
      const options = { retained: 2, deadline: millis(now + 1e9) };
      const oldest = (await world.listed()).at(-1)?.ref ?? null;
      const opened = (random.chance(0.5) ? world.open(oldest) : world.open((await world.read()).value.completed)).catch(
        (error: unknown) => expect(String(error)).toMatch(/cannot be restored/),
      );
      await Promise.all([collect(slow, options), collect(slow, options), opened, world.checkpoint("complete", "s")]);
      await collect(world.store, options);
      const restorable = await world.restorable();
      expect(restorable.length).toBeGreaterThan(0);
      for (const { ref: one } of restorable) expect((await world.verify(one)).problems).toEqual([]);
    }
  });

  it("a quiet call makes two requests", async () => {
    const world = await full(3);
    await run(world, 3);
    let requests = 0;
    const counting = <P extends object>(port: P): P =>
      new Proxy(port, {
        get: (target, member) => {
          requests++;
          return Reflect.get(target, member);
        },
      });
    const store = { ...world.store, registers: counting(world.store.registers), blobs: counting(world.store.blobs) };
    expect(await collect(store, { retained: 3, deadline: millis(now + 1e9) })).toBeNull();
    expect(requests).toBe(2);
  });
});
