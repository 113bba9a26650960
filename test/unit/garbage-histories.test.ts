// G1 to G3 over random histories: what may be restored can be, what may still be asked for is there, and all else goes.
import { describe, expect, it } from "vitest";
import { deadlineMarginMillis, staleMillis, storedKeysIn } from "../../lib/checkpoint/garbage.js";
import type { Complete } from "../../lib/checkpoint/history.js";
import { ackName, incarnationPrefix, parseItemName, parseObjectKey } from "../../lib/checkpoint/names.js";
import type { Head } from "../../lib/model/head.js";
import { type Random, randomOf } from "../../lib/testing/seeded/random.js";
import { incarnation } from "./checkpoint-samples.js";
import { expectedBy, type PutFrame } from "./garbage-channels.js";
import { type GarbageWorld, garbageWorld } from "./garbage-world.js";

const minute = 60_000;
const prefix = incarnationPrefix("p", incarnation);

/** One step of a history. True where it collected. */
async function step(world: GarbageWorld, random: Random): Promise<boolean> {
  const draw = random.int(100);
  if (draw < 75) await live(world, random, draw);
  else await world.collect(random.chance(0.5) ? random.int(12) : null, random.chance(0.5) ? "torn" : "clean");
  return draw >= 75;
}

async function live(world: GarbageWorld, random: Random, draw: number): Promise<void> {
  world.pass(random.between(1, 90) * 1_000);
  const head = (await world.read()).value;
  if (world.hasChannels) await world.flow();
  if (draw < 36) {
    const alignment = random.chance(0.2) ? "aligned" : "unaligned";
    return world.checkpoint("complete", random.chance(0.12) ? `s${head.nextCheckpointId}` : null, alignment);
  }
  if (draw < 43) return world.checkpoint("abort", null);
  if (draw < 50) return world.handOver();
  if (draw < 56) return world.open(head.completed);
  if (draw < 60) {
    const all = await world.restorable();
    const refused = world.completed.filter((ref) => !all.some((one) => one.ref === ref));
    if (refused.length > 0)
      await expect(world.open(random.pick(refused))).rejects.toThrow(/cannot be restored: .*the oldest that can be is/);
    return all.length === 0 ? undefined : world.open(random.pick(all).ref);
  }
  if (draw < 65) return world.deleteSavepoint();
  if (draw < 68) return world.leaveBehind();
  if (draw < 71) return world.markLate();
  world.pass(random.between(1, 30) * minute);
}

/** G1 to G3, R7: what must hold at every moment. */
async function check(world: GarbageWorld, retained: number): Promise<void> {
  const { value: head } = await world.read();
  const restorable = await world.restorable();
  expect((await world.listed()).map(({ ref }) => ref.checkpointId)).toEqual(
    restorable.map(({ ref }) => ref.checkpointId),
  );
  for (const { ref } of restorable) expect((await world.verify(ref)).problems).toEqual([]);
  expect(head.left.filter((tip) => tip.checkpointId < head.floor && head.floor > world.floor)).toEqual([]);
  const there = new Set(world.objects());
  for (const life of asking(world)) {
    const needed = [...storedKeysIn([life.snapshot, life.committables])];
    expect(needed.filter((key) => !there.has(key))).toEqual([]);
  }
  const acks = new Set(world.items().filter((item) => item.startsWith("ack/")));
  for (const { lastAck, generation, task } of world.lives()) {
    if (lastAck !== null) expect(acks).toContain(ackName(incarnation, generation, lastAck, task));
  }
  checkFrames(world, restorable, there);
  // G2: it is on the lineage that it rises, to no more than the N-th newest there.
  if (head.floor > world.floor) {
    expect(world.lineage(head.completed)).toContain(head.floor);
    expect(world.lineage(head.completed).filter((id) => id >= head.floor)).toHaveLength(retained);
  }
  expect(head.floor).toBeGreaterThanOrEqual(world.floor);
  world.floor = head.floor;
  await checkMarkers(world, new Set(restorable.map(({ ref }) => ref.checkpointId)));
}

/**
 * Sessions that must find what they ask for. One that never acked, in a generation that is over, knows only what its origin named,
 * which may be restorable no more: it fails, and no failure of its generation counts any more (R2).
 */
const asking = (world: GarbageWorld) =>
  world.sessions().filter((life) => life.lastAck !== null || world.lives().includes(life));

/** G1, G2, E3: every frame that a checkpoint names or a session may ask for, and its note. */
function checkFrames(world: GarbageWorld, restorable: readonly Complete[], objects: ReadonlySet<string>): void {
  const notes = new Set(world.items());
  const expected = restorable.flatMap(({ manifest }) => expectedBy(manifest));
  for (const life of asking(world)) {
    if (life.channel?.kind === "consumer") expected.push(...(life.channel.expected as typeof expected));
  }
  const needed = world.traffic.within(expected);
  expect(needed.filter(({ note }) => !notes.has(note))).toEqual([]);
  expect(needed.filter(({ object }) => object !== null && !objects.has(object))).toEqual([]);
}

/** G1, G2: of generations that are over only what is named, of the current one also what its tasks may ask for. */
function checkFramesLeft(world: GarbageWorld, { generation, completed }: Head, restorable: readonly Complete[]): void {
  const counting = world.lives().flatMap(({ acks, lastAck, leased }) => {
    const found = [lastAck, leased].flatMap((id) => (id === null ? [] : (acks.get(id) ?? [])));
    return found.length === 0 ? [null] : found;
  });
  const ranges = [
    ...restorable.flatMap(({ manifest }) => expectedBy(manifest)),
    ...counting.flatMap((ack) => ack?.expected ?? []),
  ];
  const named = new Set(world.traffic.within(ranges).map(({ note }) => note));
  const isWaiting = counting.includes(null) || completed?.generation !== generation;
  const stays = (frame: PutFrame) => named.has(frame.note) || (isWaiting && frame.generation === generation);
  const [notes, objects] = [new Set(world.items()), new Set(world.objects())];
  const frames = [...world.traffic.frames.values()];
  expect(frames.filter((frame) => notes.has(frame.note) !== stays(frame))).toEqual([]);
  expect(frames.filter((frame) => frame.object !== null && objects.has(frame.object) !== stays(frame))).toEqual([]);
  // A frame without a note stays where the number that it was to have is named; of the current generation it is not looked for.
  const orphans = [...world.traffic.orphans].filter(([key, { note }]) => objects.has(key) && !named.has(note));
  expect(orphans.filter(([, frame]) => frame.generation !== generation)).toEqual([]);
}

/** R7: what the bucket calls complete is whole, but for what was marked again when it was gone. */
async function checkMarkers(world: GarbageWorld, restorable: ReadonlySet<number>): Promise<void> {
  for (const key of world.objects()) {
    const name = parseObjectKey(prefix, key);
    if (name?.kind !== "marker" || restorable.has(name.checkpointId) || world.markedLate.has(name.checkpointId))
      continue;
    const ref = world.completed.find((one) => one.checkpointId === name.checkpointId);
    if (ref !== undefined) expect((await world.verify(ref)).problems).toEqual([]);
  }
}

/** Once nothing moves any more, nothing is left but what somebody may ask for. */
async function checkRest(world: GarbageWorld): Promise<void> {
  // What the last collection saw may be lost: then all is looked at again, later.
  await world.registers.registers.remove({ group: "p", name: "collected" });
  for (let i = 0; i < 5; i++) {
    world.pass(staleMillis + 15 * minute + deadlineMarginMillis);
    await world.collect(null);
  }
  expect(await world.collect(null)).toBe(false);
  const { value: head } = await world.read();
  const restorable = await world.restorable();
  const hashes = new Set<string>(restorable.map(({ ref }) => ref.sha256));
  const records = new Set<string>([
    head.generationRecord,
    ...restorable.map(({ manifest }) => manifest.generationRecord),
  ]);
  checkFramesLeft(world, head, restorable);
  const bound = Math.min(head.floor, head.completed?.checkpointId ?? 0);
  const needed = storedKeysIn(restorable.map(({ manifest }) => manifest));
  for (const life of world.lives()) storedKeysIn([life.snapshot, life.committables], needed);
  inLists(world, needed);
  const isNew = (at: { readonly generation: number; readonly checkpointId: number }) =>
    at.generation === head.generation && at.checkpointId >= bound;
  const leftObjects = world.objects().filter((key) => {
    const name = parseObjectKey(prefix, key);
    if (name === null) return true;
    if (name.kind === "frame") return false;
    if (name.kind === "marker") return !restorable.some(({ ref }) => ref.checkpointId === name.checkpointId);
    if (name.kind === "savepoint") return !head.savepoints.some((one) => one.name === name.name);
    if (name.kind === "manifest") return !hashes.has(name.ref.sha256) && !isNew(name.ref);
    if (name.kind === "record") return !records.has(name.sha256) && name.generation !== head.generation;
    return !needed.has(key) && !isNew(name) && !keptBodies(world, head.generation).has(key);
  });
  expect(leftObjects).toEqual([]);
  const leftItems = world.items().filter((item) => {
    const name = parseItemName(incarnation, item);
    if (name === null) return !["head", "collected"].includes(item);
    if (name.kind === "manifest") return !hashes.has(name.ref.sha256) && !isNew(name.ref);
    if (name.kind === "record") return !records.has(name.sha256) && name.generation !== head.generation;
    if (name.kind === "note") return false;
    return name.generation !== head.generation;
  });
  expect(leftItems).toEqual([]);
}

/** Lists and long acks that items of the current generation name: the acks that count. */
function keptBodies(world: GarbageWorld, generation: number): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { key, register } of world.registers.all()) {
    const name = parseItemName(incarnation, key.name);
    if (name?.kind !== "ack" || name.generation !== generation) continue;
    const pointer = JSON.parse(register.body) as { readonly "~object"?: string };
    const object = pointer["~object"];
    if (object === undefined) storedKeysIn(pointer, keys);
    else {
      keys.add(object);
      storedKeysIn(JSON.parse(Buffer.from(world.bucket.all().get(object) ?? []).toString("utf8")), keys);
    }
  }
  inLists(world, keys);
  return keys;
}

/** What the lists among these name. */
function inLists(world: GarbageWorld, keys: Set<string>): void {
  for (const key of [...keys].filter((one) => one.includes("/committables-"))) {
    storedKeysIn(JSON.parse(Buffer.from(world.bucket.all().get(key) ?? []).toString("utf8")), keys);
  }
}

const seeds = Array.from({ length: 30 }, (_, index) => `garbage ${process.env.SEED ?? ""}${index}`);

async function run(seed: string, options: { readonly channels: boolean }): Promise<GarbageWorld> {
  const random = randomOf(seed);
  const retained = random.pick([1, 2, 3, 5]);
  const world = garbageWorld(random, retained, options);
  await world.begin();
  for (let i = 0; i < 80; i++) if (await step(world, random)) await check(world, retained);
  await checkRest(world);
  expect(world.bucket.rewritten()).toEqual([]);
  return world;
}

describe("G1 G2 G3 random histories", () => {
  it.each(seeds)("G1 G2 G3 R7 %s: what is restorable is whole after every removal, and all else goes", async (seed) => {
    await run(seed, { channels: false });
  });
});

describe("G1 G2 E3 random histories of several tasks", () => {
  it.each(seeds.slice(0, 20))(
    "G1 G2 G3 E3 E4 %s: frames that may be asked for stay, and all others go",
    async (seed) => {
      const { traffic } = await run(`frames ${seed}`, { channels: true });
      expect(traffic.frames.size).toBeGreaterThan(50);
    },
  );
});
