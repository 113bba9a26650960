// P3: what `verify` says of a checkpoint is so, whatever happened to its bytes.
import { describe, expect, it } from "vitest";
import { storedKeysIn } from "../../lib/checkpoint/garbage.js";
import { findCheckpoint } from "../../lib/checkpoint/history.js";
import { generationRecordKey, generationRecordName, manifestKey, manifestName } from "../../lib/checkpoint/names.js";
import { readManifest, writeManifest } from "../../lib/checkpoint/store.js";
import { problemsMax } from "../../lib/checkpoint/verify.js";
import { verifiedText } from "../../lib/cli/verify.js";
import type { Manifest } from "../../lib/model/checkpoints.js";
import type { Note } from "../../lib/model/frames.js";
import { checkpointId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { incarnation } from "./checkpoint-samples.js";
import { expectedBy } from "./garbage-channels.js";
import { garbageWorld, verifyWhole } from "./garbage-world.js";

/** A pipeline with some checkpoints, the last of which has a base, deltas, output and a list of it. */
async function grown() {
  const random = randomOf("verify 3");
  const world = garbageWorld(random, 10);
  await world.begin();
  for (let i = 0; i < 6; i++) await world.checkpoint("complete", null);
  const [last] = await world.restorable();
  if (last === undefined) throw new Error("nothing is complete");
  const keys = storedKeysIn(last.manifest);
  for (const ack of last.manifest.tasks) {
    const list = ack.committables;
    if (!("kind" in list) || list.kind !== "object") continue;
    storedKeysIn(JSON.parse(Buffer.from(world.bucket.all().get(list.key) ?? []).toString("utf8")), keys);
  }
  return { ...world, ...last, keys: [...keys].sort() };
}
const change = async (world: Awaited<ReturnType<typeof grown>>, key: string, to: (bytes: Uint8Array) => Uint8Array) =>
  world.bucket.blobs.put(key, to(world.bucket.all().get(key) ?? new Uint8Array()));

describe("P3 a whole checkpoint", () => {
  it("P3 is what was written, and what was read is counted", async () => {
    const world = await grown();
    expect(world.keys.filter((key) => key.includes("/state-base-")).length).toBeGreaterThan(0);
    expect(world.keys.filter((key) => key.includes("/state-delta-")).length).toBeGreaterThan(0);
    expect(world.keys.filter((key) => key.includes("/held-")).length).toBeGreaterThan(0);
    expect(world.keys.filter((key) => key.includes("/committables-")).length).toBeGreaterThan(0);
    const verified = await world.verify(world.ref);
    expect(verified).toMatchObject({ checkpoint: world.ref, problems: [], problemCount: 0, staged: 0 });
    // The manifest and its copy stand beside what they name.
    expect(verified.objects).toBe(world.keys.length + 2);
    const sizes = world.keys.map((key) => world.bucket.all().get(key)?.length ?? 0);
    const text = world.bucket.all().get(manifestKey("p", incarnation, world.ref))?.length ?? 0;
    expect(verified.bytes).toBe(sizes.reduce((a, b) => a + b, 2 * text));
    expect(verified.rows).toBe(world.keys.filter((key) => key.includes("/held-")).length);
    expect(verified.slices).toBe(world.keys.filter((key) => key.includes("/state-")).length);
    expect(verified.keys).toBeGreaterThanOrEqual(verified.slices);
    expect(verifiedText(verified)).toMatch(
      /^checkpoint 6 of generation 1 is what was written\nread \d+ objects, [\d,]+ bytes/,
    );
  });
});

describe("P3 each object of it", () => {
  it("P3 that is gone, cut short, longer, or changed by one bit is found, by its name, and nothing else is", async () => {
    const reference = await grown();
    const random = randomOf("damages");
    for (const key of reference.keys) {
      const damages: readonly ((bytes: Uint8Array) => Uint8Array | null)[] = [
        () => null,
        (bytes) => bytes.subarray(0, bytes.length - 1),
        (bytes) => Buffer.concat([bytes, Uint8Array.of(0)]),
        (bytes) => {
          const at = random.int(bytes.length);
          return bytes.map((byte, index) => (index === at ? byte ^ (1 << random.int(8)) : byte));
        },
      ];
      for (const damage of damages) {
        const before = reference.bucket.all().get(key) ?? new Uint8Array();
        const after = damage(before);
        if (after === null) await reference.bucket.blobs.remove([key]);
        else await reference.bucket.blobs.put(key, after);
        const { problems, problemCount } = await reference.verify(reference.ref);
        expect(problems.join()).toContain(key);
        expect(problemCount).toBe(1);
        await reference.bucket.blobs.put(key, before);
      }
    }
    expect((await reference.verify(reference.ref)).problems).toEqual([]);
  });

  it("P3 R7 the manifest: item and copy each by itself", async () => {
    const world = await grown();
    const item = { group: "p", name: manifestName(incarnation, world.ref) };
    const copy = manifestKey("p", incarnation, world.ref);
    const body = (await world.registers.registers.read(item))?.body ?? "";
    await change(world, copy, (bytes) => bytes.subarray(1));
    expect((await world.verify(world.ref)).problems).toEqual([expect.stringMatching(`its copy ${copy} has SHA-256`)]);
    await world.registers.registers.remove(item);
    const { problems, objects } = await world.verify(world.ref);
    expect(problems).toEqual([
      expect.stringMatching(`the item ${item.name} is gone`),
      expect.stringMatching("its copy"),
      expect.stringMatching("bring one of them back"),
    ]);
    expect(objects).toBe(1);
    await world.registers.registers.put(item, body.replace('"p"', '"q"'));
    expect((await world.verify(world.ref)).problems[0]).toMatch(`the item ${item.name} has SHA-256`);
  });

  it("R7 the generation record, where item and copy are gone", async () => {
    const world = await grown();
    const { generation, generationRecord } = world.manifest;
    const name = generationRecordName(incarnation, generation, generationRecord);
    await world.registers.registers.remove({ group: "p", name });
    expect((await world.verify(world.ref)).problems).toEqual([]);
    await world.bucket.blobs.remove([generationRecordKey("p", incarnation, generation, generationRecord)]);
    expect((await world.verify(world.ref)).problems).toEqual([expect.stringMatching(`${name} is gone`)]);
  });
});

describe("P3 bytes that have their hash, and are no checkpoint all the same", () => {
  /** A checkpoint whose manifest says something else of one file. */
  const told = async (tell: (manifest: Manifest, world: Awaited<ReturnType<typeof grown>>) => Manifest) => {
    const world = await grown();
    const ref = await writeManifest(world.store, { ...tell(world.manifest, world), checkpointId: checkpointId(7) });
    return verifyWhole(world.store, ref);
  };
  const withBase = (manifest: Manifest, over: (base: object & { slices: readonly object[] }) => object): Manifest => ({
    ...manifest,
    tasks: manifest.tasks.map((ack) => ({
      ...ack,
      snapshot: { ...ack.snapshot, base: ack.snapshot.base === null ? null : (over(ack.snapshot.base) as never) },
    })),
  });

  it("P3 a slice with another hash, another number of keys, of another operator", async () => {
    const slices = (over: object) => (manifest: Manifest) =>
      withBase(manifest, (base) => ({ ...base, slices: base.slices.map((slice) => ({ ...slice, ...over })) }));
    expect((await told(slices({ sha256: sha256("x") }))).problems[0]).toMatch(/slice of operator "count" at byte 10/);
    expect((await told(slices({ keys: 99 }))).problems[0]).toMatch(/\d keys, 99 were written/);
    expect((await told(slices({ operator: "other" }))).problems[0]).toMatch(/holds operator "count"/);
  });

  it("P3 a delta where a base should be", async () => {
    const found = await told((manifest) => ({
      ...manifest,
      tasks: manifest.tasks.map((ack) => ({
        ...ack,
        snapshot: { ...ack.snapshot, base: ack.snapshot.deltas[0] ?? null, deltas: [] },
      })),
    }));
    expect(found.problems[0]).toMatch(/does not begin as a base does/);
  });

  it("P3 output that is no rows", async () => {
    const bytes = Buffer.from("not rows");
    const body = { kind: "inline", base64: bytes.toString("base64"), size: 8, sha256: sha256(bytes) } as const;
    const found = await told((manifest) => ({
      ...manifest,
      tasks: manifest.tasks.map((ack) => ({ ...ack, committables: [{ kind: "held", body } as never] })),
    }));
    expect(found.problemCount).toBe(1);
    expect(found.problems[0]).toContain(`inline ${body.sha256}`);
  });

  it("names the first problems, and counts all", async () => {
    const world = await grown();
    const files = Array.from({ length: problemsMax + 5 }, (_, n) => ({
      format: 1,
      body: { kind: "object", key: `p/gone-${n}`, size: 1, sha256: sha256(String(n)) },
      session: "s",
      epoch: 1,
      slices: [],
    }));
    const tasks = world.manifest.tasks.map((ack) => ({
      ...ack,
      snapshot: { ...ack.snapshot, deltas: files as never },
    }));
    const ref = await writeManifest(world.store, { ...world.manifest, checkpointId: checkpointId(7), tasks });
    const verified = await world.verify(ref);
    expect([verified.problems.length, verified.problemCount]).toEqual([problemsMax, problemsMax + 5]);
    expect(verifiedText(verified)).toMatch(/is NOT what was written: 25 problems\n[\s\S]*and 5 more\n/);
  });
});

describe("E3 frames on their way between tasks", () => {
  /** A checkpoint that leaves frames of each kind to be taken: in their notes, in the bucket, without records. */
  async function onTheWay() {
    const random = randomOf("verify frames");
    const world = garbageWorld(random, 10, { channels: true });
    await world.begin();
    for (let i = 0; i < 6; i++) {
      await world.flow();
      await world.checkpoint("complete", null);
    }
    await world.open((await world.read()).value.completed);
    for (let i = 0; i < 3; i++) await world.flow();
    await world.checkpoint("complete", null);
    const [last] = await world.restorable();
    if (last === undefined) throw new Error("nothing is complete");
    const named = new Map(world.traffic.within(expectedBy(last.manifest)).map((frame) => [frame.note, frame]));
    const note = async (name: string) => (await world.registers.registers.read({ group: "p", name }))?.body ?? "";
    return { ...world, ...last, named: [...named.values()], note };
  }
  const bodyOf = (text: string) => (JSON.parse(text) as Note).body;

  it("E3 P3 each is read once, with its slices, whoever expects it", async () => {
    const world = await onTheWay();
    const bodies = await Promise.all(world.named.map(async ({ note }) => bodyOf(await world.note(note))));
    const full = bodies.filter((body) => body !== null);
    expect(new Set(bodies.map((body) => body?.kind))).toEqual(new Set(["object", "inline", undefined]));
    expect(new Set(world.named.map(({ generation }) => generation)).size).toBe(2);
    const ranges = expectedBy(world.manifest);
    expect(ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)).toBeGreaterThan(world.named.length);
    const verified = await world.verify(world.ref);
    expect(verified).toMatchObject({ frames: world.named.length, problems: [] });
    const others = await verifyWhole(
      world.store,
      await writeManifest(world.store, {
        ...world.manifest,
        tasks: world.manifest.tasks.map((ack) => ({ ...ack, expected: [] })),
      }),
    );
    expect(verified.slices - others.slices).toBe(2 * full.length);
    expect(verified.objects - others.objects).toBe(full.length);
  });

  it("P3 one whose note or body is gone, changed, cut short or another's is found, by its name, and nothing else is", async () => {
    const world = await onTheWay();
    const problemsOf = async () => (await world.verify(world.ref)).problems;
    for (const { note, object, n } of world.named) {
      const at = { group: "p", name: note };
      const before = await world.note(note);
      const body = bodyOf(before);
      const changes: (string | null)[] = [null, "{", before.replace(`"n":${n}`, `"n":${n + 1}`)];
      if (body !== null) changes.push(before.replace(/"records":4,/, '"records":5,'));
      if (body !== null) changes.push(before.replace(/"offset":0/, '"offset":1'));
      if (body !== null) changes.push(before.replace(body.sha256, sha256("other")));
      for (const change of changes) {
        expect(change).not.toBe(before);
        if (change === null) await world.registers.registers.remove(at);
        else await world.registers.registers.put(at, change);
        expect(await problemsOf(), `${change}`).toEqual([
          expect.stringMatching(change === null ? `frame ${n}: gone, for the table has no note` : note),
        ]);
        await world.registers.registers.put(at, before);
      }
      if (object === null) continue;
      const bytes = world.bucket.all().get(object) ?? new Uint8Array();
      await world.bucket.blobs.remove([object]);
      expect(await problemsOf()).toEqual([expect.stringMatching(`${note}.*${object} is gone`)]);
      for (const changed of [bytes.subarray(1), bytes.map((byte, i) => (i === 17 ? byte ^ 4 : byte))]) {
        await world.bucket.blobs.put(object, changed);
        expect(await problemsOf()).toEqual([expect.stringMatching(`${note}.*${object} has `)]);
      }
      await world.bucket.blobs.put(object, bytes);
    }
    expect(await problemsOf()).toEqual([]);
  });

  it("E3 a stretch of missing ones is one problem; what no range names is not asked for", async () => {
    const world = await onTheWay();
    const named = new Set(world.named.map(({ note }) => note));
    const others = [...world.traffic.frames.values()].filter(({ note }) => !named.has(note));
    expect(others.length).toBeGreaterThan(5);
    for (const { note: name } of others) await world.registers.registers.remove({ group: "p", name });
    expect((await world.verify(world.ref)).problems).toEqual([]);
    for (const name of named) await world.registers.registers.remove({ group: "p", name });
    const { problems, frames } = await world.verify(world.ref);
    expect(frames).toBe(0);
    expect(problems.length).toBeLessThan(named.size);
    expect(problems.join("\n")).toMatch(/edge "count", producer \d of generation \d, frames \d+ to \d+: gone/);
  });

  it("E3 a range without an end that no checkpoint could close", async () => {
    const world = await onTheWay();
    const tasks = world.manifest.tasks.map((ack) => ({
      ...ack,
      expected: ack.expected.map((range) => ({ ...range, producer: 9, to: null })),
    }));
    const ref = await writeManifest(world.store, { ...world.manifest, tasks });
    expect((await world.verify(ref)).problems).toEqual([expect.stringMatching(/frames without end.*\(E3\)/)]);
  });
});

describe("which checkpoint is meant", () => {
  it("R7 G1 those that can be restored, by their id", async () => {
    const world = garbageWorld(randomOf("find"), 2);
    await world.begin();
    for (let i = 0; i < 4; i++) await world.checkpoint("complete", i === 1 ? "kept" : null);
    await world.collect(null);
    await world.open((await world.read()).value.completed);
    await world.checkpoint("complete", null);
    const { value } = await world.read();
    const found = async (id: number) => (await findCheckpoint(world.store, value, id))?.checkpointId ?? null;
    expect(value.floor).toBe(3);
    expect(await Promise.all([0, 1, 2, 3, 4, 5, 6].map(found))).toEqual([null, null, 2, 3, 4, 5, null]);
    const two = await findCheckpoint(world.store, value, 2);
    expect(
      await readManifest(world.store, incarnation, two ?? world.completed[0] ?? (undefined as never)),
    ).toMatchObject({
      savepoint: "kept",
    });
  });
});
