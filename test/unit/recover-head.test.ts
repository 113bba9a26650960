// R7: the bucket alone brings a lost head back.
import { describe, expect, it } from "vitest";
import { tasksOf } from "../../lib/checkpoint/fold.js";
import { parseObjectKey } from "../../lib/checkpoint/names.js";
import { planRecovery, type RecoverOptions, recover } from "../../lib/checkpoint/recover.js";
import { readHead, swapDesired, writeMarker } from "../../lib/checkpoint/store.js";
import { StreamError } from "../../lib/model/errors.js";
import { checkpointId, generation } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { type Random, randomOf } from "../../lib/testing/seeded/random.js";
import { desired, incarnation, record } from "./checkpoint-samples.js";
import { expectedBy, type PutFrame } from "./garbage-channels.js";
import { type GarbageWorld, garbageWorld } from "./garbage-world.js";

const options = (over: Partial<RecoverOptions> = {}): RecoverOptions => ({
  incarnation: null,
  checkpoint: null,
  fingerprint: sha256("plan"),
  library: "0.1.0",
  ...over,
});

async function loseTable(world: GarbageWorld): Promise<void> {
  for (const { key } of world.registers.all()) await world.registers.registers.remove(key);
}

async function grown(seed: string, checkpoints = 5) {
  const world = garbageWorld(randomOf(seed), 10);
  await world.begin();
  for (let i = 0; i < checkpoints; i++) await world.checkpoint("complete", i === 1 ? "kept" : null);
  return world;
}
const lost = async (seed: string, checkpoints = 5) => {
  const world = await grown(seed, checkpoints);
  await loseTable(world);
  return world;
};

async function live(world: GarbageWorld, random: Random): Promise<void> {
  world.pass(random.between(1, 120) * 1_000);
  const draw = random.int(20);
  const head = (await world.read()).value;
  if (draw < 11) return world.checkpoint("complete", random.chance(0.15) ? `s${head.nextCheckpointId}` : null);
  if (draw < 13) return world.checkpoint("abort", null);
  if (draw < 14) return world.open(head.completed);
  if (draw < 16) {
    const all = await world.restorable();
    return all.length === 0 ? undefined : world.open(random.pick(all).ref);
  }
  if (draw < 17) return world.leaveBehind();
  if (draw < 18) return world.pass(30 * 60_000);
  await world.collect(null);
}

describe("R7 random histories", () => {
  it.each(Array.from({ length: 25 }, (_, n) => `recover ${n}`))(
    "R7 R6 %s: what could be restored can be restored, and no name comes twice",
    async (seed) => {
      const random = randomOf(seed);
      const world = garbageWorld(random, random.pick([2, 4, 30]));
      await world.begin();
      for (let i = 0; i < 40; i++) await live(world, random);
      await world.checkpoint("complete", null);
      const before = (await world.read()).value;
      const restorable = await world.restorable();
      await loseTable(world);
      const plan = await planRecovery(world.store, options());
      const head = await recover(world.store, plan);
      expect(head).toMatchObject({ incarnation, completed: before.completed, status: "stopped", pending: null });
      expect(head.generation).toBeGreaterThan(before.generation);
      expect(head.nextCheckpointId).toBeGreaterThanOrEqual(before.nextCheckpointId - 1);
      for (const key of world.objects()) {
        const name = parseObjectKey(`p/${incarnation}/`, key);
        const at = name?.kind === "manifest" ? name.ref : name;
        if (at !== null && "generation" in at) expect(at.generation).toBeLessThanOrEqual(head.generation);
        if (at !== null && "checkpointId" in at) expect(at.checkpointId).toBeLessThan(head.nextCheckpointId);
      }
      const listed = (await world.listed()).map(({ ref }) => ref.checkpointId);
      for (const { ref } of restorable) expect(listed).toContain(ref.checkpointId);
      for (const { ref } of await world.listed()) expect((await world.verify(ref)).problems).toEqual([]);
      // The next collections take away nothing that counts, and the pipeline goes on.
      for (let i = 0; i < 4; i++) {
        world.pass(40 * 60_000);
        await world.collect(null);
      }
      for (const { ref } of await world.listed()) expect((await world.verify(ref)).problems).toEqual([]);
      await world.open(head.completed);
      await world.checkpoint("complete", null);
      expect((await world.read()).value.completed?.checkpointId).toBeGreaterThanOrEqual(head.nextCheckpointId);
      expect(world.bucket.rewritten()).toEqual([]);
    },
  );
});

describe("R7 what the new head says", () => {
  it("R7 savepoints, floor, and a record that sends output where it went", async () => {
    const world = await grown("record", 4);
    const { version, value } = await world.read();
    expect(version).toBeGreaterThan(1);
    await loseTable(world);
    const plan = await planRecovery(world.store, options());
    expect(plan.head).toMatchObject({ generation: 2, nextCheckpointId: 5, floor: 0, left: [] });
    expect(plan.head.savepoints.map(({ name }) => name)).toEqual(["kept"]);
    expect(plan.record).toMatchObject({
      functionVersion: record().functionVersion,
      requestId: null,
      origin: value.completed,
    });
    expect(plan.restorable.map(({ ref }) => ref.checkpointId)).toEqual([4, 3, 2, 1]);
    expect(plan.notes).toEqual([]);
    expect(await readHead(world.store)).toBeNull();
  });

  it("R7 a generation of which the bucket has its record alone counts", async () => {
    const world = await grown("opened");
    await world.open((await world.read()).value.completed);
    await world.open((await world.read()).value.completed);
    await loseTable(world);
    expect((await planRecovery(world.store, options())).head.generation).toBe(4);
  });

  it("R7 without any record of a generation the code at hand says what it must", async () => {
    const world = await lost("no record");
    const records = world.objects().filter((key) => key.includes("/generation-"));
    expect(records.length).toBeGreaterThan(0);
    await world.bucket.blobs.remove(records);
    const plan = await planRecovery(world.store, options({ fingerprint: sha256("code") }));
    expect(plan.record).toMatchObject({ fingerprint: sha256("code"), sinks: {}, generation: 2 });
  });

  it("R7 a request that was fulfilled is not fulfilled again", async () => {
    const world = await lost("desired");
    await swapDesired(world.store, null, desired());
    expect((await planRecovery(world.store, options())).record.requestId).toBe("r1");
  });

  it("R7 without a marker a checkpoint is not complete, and that is said", async () => {
    const world = await lost("unmarked");
    await world.bucket.blobs.remove(world.objects().filter((key) => key.endsWith("completed/000000000005")));
    const plan = await planRecovery(world.store, options());
    expect(plan.completed.checkpointId).toBe(4);
    expect(plan.head.nextCheckpointId).toBe(6);
    expect(plan.notes).toEqual([expect.stringMatching(/checkpoint 5 has a manifest, but no marker/)]);
  });

  it("R7 G2 below a gap nothing counts but savepoints, and that is said", async () => {
    const world = await lost("gap");
    await world.bucket.blobs.remove(world.objects().filter((key) => key.includes("/000000000003/manifest-")));
    const plan = await planRecovery(world.store, options());
    expect(plan.head).toMatchObject({ floor: 4, completed: { checkpointId: 5 } });
    expect(plan.restorable.map(({ ref }) => ref.checkpointId)).toEqual([5, 4, 2]);
    expect(plan.notes).toEqual([
      expect.stringMatching(/checkpoint 3 is not whole: its manifest .* is gone/),
      expect.stringMatching(/checkpoints 1 are whole, but cannot be reached/),
    ]);
  });
});

describe("R7 what is refused", () => {
  const refused = async (world: GarbageWorld, over: Partial<RecoverOptions>, kind: string, message: RegExp) => {
    const before = [world.objects(), JSON.stringify(world.registers.all())];
    const error = await planRecovery(world.store, options(over)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ kind, message: expect.stringMatching(message) });
    expect([world.objects(), JSON.stringify(world.registers.all())]).toEqual(before);
  };

  it("R7 where there is a head, even one that cannot be read: how to take it away", async () => {
    const world = await grown("head");
    await refused(world, {}, "invalid", /has its head \(running, generation 1, checkpoint 5\).*pk "p", sk "head"/);
    await world.registers.registers.put({ group: "p", name: "head" }, "{");
    await refused(world, {}, "invalid", /is not JSON.*Keep a copy of the item pk "p", sk "head", delete it/);
  });

  it("R7 where nothing was complete", async () => {
    const world = garbageWorld(randomOf("none"), 3);
    await refused(world, {}, "invalid", /no complete checkpoint under p\/ in the bucket/);
  });

  it("R7 where several incarnations have checkpoints: it asks for one", async () => {
    const world = await lost("two");
    const other = "f".repeat(12);
    const [ref] = world.completed;
    if (ref === undefined) throw new Error("nothing is complete");
    await writeMarker(world.store, other, ref);
    await refused(world, {}, "invalid", new RegExp(`${incarnation}, ${other}; say with --incarnation`));
    await refused(world, { incarnation: "0".repeat(12) }, "invalid", /no incarnation 0{12}/);
    await refused(world, { incarnation: other }, "corrupt", /is not whole: its manifest .* is gone/);
    expect((await planRecovery(world.store, options({ incarnation }))).completed.checkpointId).toBe(5);
  });

  it("P3 R7 where the newest is not whole: an older one only by its id", async () => {
    for (const part of ["/manifest-", "/state-", "/held-"]) {
      const world = await lost("damaged 2", 8);
      const keys = world.objects().filter((key) => key.includes("/000000000008/") && key.includes(part));
      expect(keys.length).toBeGreaterThan(0);
      await world.bucket.blobs.remove(keys);
      await refused(
        world,
        {},
        "corrupt",
        /newest complete checkpoint .* is not whole: .* is gone.*--checkpoint \(whole are: 7, 6/,
      );
      await refused(world, { checkpoint: 8 }, "invalid", /these can: 7, 6/);
      const plan = await planRecovery(world.store, options({ checkpoint: 6 }));
      expect(plan.head).toMatchObject({
        completed: { checkpointId: 6 },
        left: [{ checkpointId: 7 }],
        nextCheckpointId: 9,
      });
    }
  });

  it("P3 R7 a manifest or marker with another content is not trusted", async () => {
    const world = await lost("changed");
    const [key = ""] = world.objects().filter((one) => one.includes("/000000000005/manifest-"));
    await world.bucket.blobs.put(key, Buffer.concat([world.bucket.all().get(key) ?? Buffer.of(), Buffer.of(32)]));
    await refused(world, {}, "corrupt", /its manifest .* has SHA-256/);
    const other = await lost("changed marker");
    const marker = other.objects().filter((one) => one.includes("completed/"));
    await other.bucket.blobs.put(marker[4] ?? "", other.bucket.all().get(marker[3] ?? "") ?? Buffer.of());
    await refused(other, {}, "corrupt", /its marker .* names 4/);
  });
});

describe("R7 E3 frames on their way between tasks", () => {
  /** Checkpoints 1 to 5: the third leaves nothing to be taken, the next ones frames, of the last one some lie in the bucket. */
  async function onTheWay(seed: string) {
    for (let n = 0; n < 50; n++) {
      const world = await trafficked(`${seed} ${n}`);
      const last = world.inFlight(5);
      const isFit = world.inFlight(4).length > 0 && last.length > 1 && last.some(({ object }) => object !== null);
      if (isFit) return world;
    }
    throw new Error("no such history");
  }
  async function trafficked(seed: string) {
    const world = garbageWorld(randomOf(seed), 10, { channels: true });
    await world.begin();
    for (let id = 1; id <= 5; id++) {
      await world.flow();
      await world.flow();
      await world.checkpoint("complete", null, id === 3 ? "aligned" : "unaligned");
    }
    const notes = world.registers.all().filter(({ key }) => key.name.startsWith("note/"));
    const inFlight = new Map<number, readonly PutFrame[]>();
    for (const { ref, manifest } of await world.restorable()) {
      const frames = world.traffic.within(expectedBy(manifest)).map((frame) => [frame.note, frame] as const);
      inFlight.set(ref.checkpointId, [...new Map(frames).values()]);
    }
    expect(inFlight.get(3)).toEqual([]);
    return {
      ...world,
      inFlight: (id: number) => inFlight.get(id) ?? [],
      bringBack: async (names: readonly string[]) => {
        for (const { key, register } of notes)
          if (names.includes(key.name)) await world.registers.registers.put(key, register.body);
      },
    };
  }
  const failure = async (world: GarbageWorld, over: Partial<RecoverOptions> = {}) => {
    const before = [world.objects(), JSON.stringify(world.registers.all())];
    const error = await planRecovery(world.store, options(over)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(StreamError);
    expect([world.objects(), JSON.stringify(world.registers.all())]).toEqual(before);
    return error as StreamError;
  };

  it("R7 E3 without their notes the newest is refused, whatever else is whole: what is missing, and what to do", async () => {
    const world = await onTheWay("in flight");
    await loseTable(world);
    const { kind, message } = await failure(world);
    const count = world.inFlight(5).length;
    expect(kind).toBe("corrupt");
    expect(message).toMatch(
      new RegExp(`newest complete checkpoint of pipeline "p", 5, cannot be restored from the bucket alone: ${count} `),
    );
    expect(message).toMatch(
      /were on the way.*in the table alone \(items "note\/0a0b0c0d0e0f\/…"\).*point-in-time.*--checkpoint \(whole are: 3/,
    );
    expect((await failure(world, { checkpoint: 5 })).message).toMatch(/checkpoint 5 .* these can: 3/);
  });

  it("R7 E3 a person may go on from an older one with nothing on the way, and is told what is left behind", async () => {
    const world = await onTheWay("in flight");
    await loseTable(world);
    const plan = await planRecovery(world.store, options({ checkpoint: 3 }));
    expect(plan.notes).toContainEqual(expect.stringMatching(/checkpoint 5 is not whole: \d+ frames were on the way/));
    const head = await recover(world.store, plan);
    expect(head).toMatchObject({ completed: { checkpointId: 3 }, nextCheckpointId: 6 });
    await world.open(head.completed);
    await world.flow();
    await world.checkpoint("complete", null);
    const [newest] = await world.restorable();
    expect(newest?.ref.checkpointId).toBe(6);
    expect((await world.verify(newest?.ref ?? plan.completed)).problems).toEqual([]);
  });

  it("R7 E3 where the table has them still, or again, nothing is lost", async () => {
    for (const lose of ["the head", "all but the notes"]) {
      const world = await onTheWay(lose);
      const before = (await world.read()).value;
      if (lose === "the head") await world.registers.registers.remove({ group: "p", name: "head" });
      else {
        await loseTable(world);
        await world.bringBack(world.inFlight(5).map(({ note }) => note));
      }
      const plan = await planRecovery(world.store, options());
      expect(plan.completed).toEqual(before.completed);
      await recover(world.store, plan);
      expect((await world.verify(plan.completed)).problems).toEqual([]);
      for (let i = 0; i < 4; i++) {
        world.pass(40 * 60_000);
        await world.collect(null);
      }
      expect(await world.verify(plan.completed)).toMatchObject({ problems: [], frames: world.inFlight(5).length });
    }
  });

  it("R7 E3 all of them must be there, and their frames", async () => {
    const world = await onTheWay("some");
    await loseTable(world);
    const [one, ...others] = world.inFlight(5);
    await world.bringBack(others.map(({ note }) => note));
    expect((await failure(world)).message).toMatch(/alone: 1 frame was on the way/);
    await world.bringBack([one?.note ?? ""]);
    const object = world.inFlight(5).find((frame) => frame.object !== null)?.object ?? "";
    const bytes = world.bucket.all().get(object) ?? new Uint8Array();
    await world.bucket.blobs.remove([object]);
    expect((await failure(world)).message).toMatch(`is not whole: ${object} is gone, which has edge "count"`);
    await world.bucket.blobs.put(object, bytes);
    await world.registers.registers.put({ group: "p", name: one?.note ?? "" }, '{"format":1}');
    expect((await failure(world)).message).toMatch(/is not whole: .*note\/.* is not what was written/);
  });

  it("R7 E3 without any that is whole it says so", async () => {
    const world = await onTheWay("none");
    const left = world.objects().filter((key) => key.includes("/completed/") && !key.endsWith("5"));
    await world.bucket.blobs.remove(left);
    await loseTable(world);
    expect((await failure(world)).message).toMatch(/whole are: none/);
  });

  it("R7 without any record the stages are those that its tasks tell of", async () => {
    const world = await onTheWay("stages");
    await world.checkpoint("complete", null, "aligned");
    const tasks = (await world.restorable())[0]?.manifest.tasks.map(({ task }) => task) ?? [];
    await loseTable(world);
    await world.bucket.blobs.remove(world.objects().filter((key) => key.includes("/generation-")));
    const { record: found } = await planRecovery(world.store, options());
    expect(tasksOf(found)).toEqual(tasks);
    expect(found.stages).toHaveLength(2);
  });

  it.each(Array.from({ length: 10 }, (_, n) => `recover frames ${n}`))(
    "R7 E3 %s: what can be gone on from is exactly what had nothing on the way",
    async (seed) => {
      const random = randomOf(seed);
      const world = garbageWorld(random, random.pick([4, 30]), { channels: true });
      await world.begin();
      for (let i = 0; i < 30; i++) {
        await world.flow();
        if (random.chance(0.4)) await world.checkpoint("complete", null, random.pick(["aligned", "unaligned"]));
        else await live(world, random);
      }
      await world.checkpoint("complete", null, "aligned");
      const restorable = await world.restorable();
      await loseTable(world);
      const plan = await planRecovery(world.store, options());
      expect(plan.completed).toEqual(restorable[0]?.ref);
      for (const { ref, manifest } of restorable) {
        const going = planRecovery(world.store, options({ checkpoint: ref.checkpointId }));
        if (expectedBy(manifest).length === 0) expect((await going).completed).toEqual(ref);
        else await expect(going).rejects.toThrow(/cannot be gone on from/);
      }
      await recover(world.store, plan);
      for (const { ref } of await world.listed()) expect((await world.verify(ref)).problems).toEqual([]);
    },
  );
});

describe("R5 carrying it out", () => {
  it("R5 an answer that is lost, and a second run, change nothing", async () => {
    const world = await lost("answers");
    const plan = await planRecovery(world.store, options());
    let lostOnce = false;
    const registers = {
      ...world.store.registers,
      async swap(...args: Parameters<typeof world.store.registers.swap>) {
        const answer = await world.store.registers.swap(...args);
        if (args[0].name !== "head" || lostOnce) return answer;
        lostOnce = true;
        throw new StreamError("ambiguous", "the answer is lost");
      },
    };
    const head = await recover({ ...world.store, registers }, plan);
    expect(lostOnce).toBe(true);
    expect(await readHead(world.store)).toEqual({ version: 1, value: head });
    expect(await recover(world.store, plan)).toEqual(head);
    expect((await readHead(world.store))?.version).toBe(1);
  });

  it("R7 a head that came meanwhile stays", async () => {
    const world = await lost("meanwhile");
    const [one, two] = [
      await planRecovery(world.store, options()),
      await planRecovery(world.store, options({ checkpoint: 3 })),
    ];
    await recover(world.store, one);
    await expect(recover(world.store, two)).rejects.toMatchObject({ kind: "fenced" });
    expect((await readHead(world.store))?.value.completed?.checkpointId).toBe(5);
  });

  it("R6 the numbers are those that the names of objects have", async () => {
    const world = await lost("numbers");
    await world.bucket.blobs.put(`p/${incarnation}/00000041/000000000077/0.0/state-base-s1`, Buffer.of(1));
    await world.bucket.blobs.put(`p/${incarnation}/00000043/frames/1`, Buffer.of(1));
    const { head } = await planRecovery(world.store, options());
    expect(head).toMatchObject({ generation: generation(44), nextCheckpointId: checkpointId(78) });
  });
});
