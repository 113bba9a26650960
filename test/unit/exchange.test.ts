import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { sliceBytesMax, storedExchange } from "../../lib/checkpoint/exchange.js";
import * as names from "../../lib/checkpoint/names.js";
import { StreamError } from "../../lib/model/errors.js";
import type { FrameSlice, Lane, Note } from "../../lib/model/frames.js";
import { checkpointId, generation, sessionId } from "../../lib/model/ids.js";
import { keyGroupsOf } from "../../lib/model/key-ranges.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { Frame } from "../../lib/ports/exchange.js";
import { FrameWriter } from "../../lib/runtime/frame-writer.js";
import { type Fate, memoryStore } from "./checkpoint-worlds.js";
import { addAll, allGroups, sent } from "./frame-samples.js";

const incarnation = "0123456789ab";
const lane: Lane = { incarnation, generation: generation(3), edge: "totals", producer: 7 };

function frameOf(n: number, keys: readonly string[], tasks = 1): Frame {
  const writer = new FrameWriter(
    lane.edge,
    Array.from({ length: tasks }, (_, i) => keyGroupsOf(i, tasks)),
  );
  addAll(
    writer,
    keys.map((key, i) => sent(key, { i, hash: sha256(key) }, { sequenceNumber: `${i}` })),
  );
  return { n, epoch: checkpointId(4), session: sessionId("s1"), ...writer.take() };
}
const manyKeys = Array.from({ length: 200 }, (_, i) => `key ${i}`);

function opened(fates: readonly Fate[] = []) {
  const memory = memoryStore(fates);
  return { ...memory, exchange: storedExchange(memory.store) };
}

async function noteOf({ exchange }: ReturnType<typeof opened>, n: number): Promise<Note> {
  const [note] = await exchange.notes(lane, n, 1);
  if (note === undefined) throw new Error(`no note ${n}`);
  return note;
}

const failure = (kind: StreamError["kind"], message: RegExp) =>
  expect.objectContaining({ kind, message: expect.stringMatching(message) });

describe("frames in bucket and table", () => {
  it("R6 have names with incarnation, generation, edge, producer, number and session; small ones lie in the note", async () => {
    const world = opened();
    await world.exchange.put(lane, frameOf(1, ["a"]));
    await world.exchange.put(lane, frameOf(2, manyKeys));
    await world.exchange.put(lane, frameOf(3, []));
    expect(world.bucket.keys()).toEqual(["p/0123456789ab/00000003/frames/totals/007/000000000002-s1"]);
    expect(world.all().map(({ key }) => key.name)).toEqual(
      [1, 2, 3].map((n) => `note/0123456789ab/00000003/totals/007/00000000000${n}`),
    );
    const kinds = [await noteOf(world, 1), await noteOf(world, 2), await noteOf(world, 3)].map(
      ({ body }) => body?.kind,
    );
    expect(kinds).toEqual(["inline", "object", undefined]);
  });

  it("E1 the note comes after the bytes: where they are not written, there is none", async () => {
    const world = opened();
    const put = () => Promise.reject(new StreamError("invalid", "the bucket is not ours"));
    const exchange = storedExchange({ ...world.store, blobs: { ...world.store.blobs, put } });
    await expect(exchange.put(lane, frameOf(1, manyKeys))).rejects.toEqual(failure("invalid", /not ours/));
    expect(world.all()).toEqual([]);
  });

  it.each<readonly [string, readonly Fate[]]>([
    ["that did not happen", ["lost"]],
    ["that happened", ["unanswered"]],
    ["that met its own note", ["own conflict"]],
    ["that happens late", [{ after: 0 }, "lost"]],
    ["that happens behind its repetition", [{ after: 3 }]],
  ])("R5 a lost answer of a note %s leaves one frame", async (_, fates) => {
    const world = opened(fates);
    await world.exchange.put(lane, frameOf(1, manyKeys));
    await world.settle();
    expect(await world.exchange.notes(lane, 1, 10)).toHaveLength(1);
    expect((await noteOf(world, 1)).records).toBe(manyKeys.length);
    expect(world.bucket.rewritten()).toEqual([]);
  });

  it("E1 another content is refused also where the first answer was lost", async () => {
    const world = opened(["answered", "lost"]);
    await world.exchange.put(lane, frameOf(1, ["a"]));
    const refused = failure("bug", /edge "totals", producer 7 of generation 3, frame 1: another frame has that name/);
    await expect(world.exchange.put(lane, frameOf(1, ["b"]))).rejects.toEqual(refused);
  });

  it("E5 what was told late, or by the session before, takes nothing back", async () => {
    const sender = { incarnation: lane.incarnation, generation: lane.generation, producer: lane.producer };
    const fates: readonly Fate[] = [
      "answered",
      "unanswered",
      { after: 3 },
      "answered",
      "own conflict",
      "lost",
      "answered",
    ];
    const world = opened(fates);
    const told = async () => Object.fromEntries(await world.exchange.news(sender));
    await world.exchange.tell(sender, { a: 1 });
    await world.exchange.tell(sender, { a: 2 });
    expect(await told()).toEqual({ 7: { a: 2 } });
    await world.exchange.tell(sender, { a: 3 });
    await world.exchange.tell(sender, { a: 4, b: 1 });
    expect(await told()).toEqual({ 7: { a: 4, b: 1 } });
    const successor = storedExchange(world.store);
    await successor.tell(sender, { a: 5, b: 1 });
    await world.settle();
    expect(await told()).toEqual({ 7: { a: 5, b: 1 } });
    await successor.tell(sender, { a: 6, b: 2 });
    expect(await told()).toEqual({ 7: { a: 6, b: 2 } });
  });

  it("a frame whose index is not that of its bytes does not leave", async () => {
    const world = opened();
    const { slices, ...frame } = frameOf(1, manyKeys, 2);
    const bug = failure("bug", /frame 1: its index is not that of its bytes/);
    for (const wrong of [
      { ...frame, slices: slices.slice(1) },
      { ...frame, slices: [] },
      { ...frame, slices, bytes: null },
      { ...frame, slices: [], records: 0 },
    ]) {
      await expect(world.exchange.put(lane, wrong)).rejects.toEqual(bug);
    }
    expect([world.all(), world.bucket.keys()]).toEqual([[], []]);
  });
});

describe("what is wrong with a frame", () => {
  it("P3 every flipped byte of a slice gives corrupt, in the note and in the bucket, and says what to do", async () => {
    const world = opened();
    await world.exchange.put(lane, frameOf(1, ["a", "b"], 2));
    await world.exchange.put(lane, frameOf(2, manyKeys, 2));
    const large = await noteOf(world, 2);
    const key = large.body?.kind === "object" ? large.body.key : "";
    const what =
      /^edge "totals", producer 7 of generation 3, frame 2, key groups \d+ to \d+: .*SHA-256.*; bring the frame back/;
    for (const slice of large.slices) {
      for (let at = 0; at < slice.length; at += 97) {
        world.bucket.corrupt(key, slice.offset + at);
        await expect(world.exchange.read(large, slice)).rejects.toEqual(failure("corrupt", what));
        world.bucket.corrupt(key, slice.offset + at);
      }
      expect((await world.exchange.read(large, slice)).length).toBeGreaterThan(0);
    }
    const small = await noteOf(world, 1);
    if (small.body?.kind !== "inline") throw new Error("not inline");
    const bytes = Buffer.from(small.body.base64, "base64");
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 4;
      const note = { ...small, body: { ...small.body, base64: changed.toString("base64") } };
      for (const slice of note.slices) {
        await expect(world.exchange.read(note, slice)).rejects.toEqual(failure("corrupt", /frame 1.*SHA-256/));
      }
    }
  });

  it("P3 a frame that is gone says so, with its key", async () => {
    const world = opened();
    await world.exchange.put(lane, frameOf(1, manyKeys));
    const note = await noteOf(world, 1);
    await world.store.blobs.remove(world.bucket.keys());
    const gone = failure("corrupt", /edge "totals", producer 7.*frame 1.*frames\/totals\/007\/000000000001-s1 is gone/);
    await expect(world.exchange.read(note, note.slices[0] as FrameSlice)).rejects.toEqual(gone);
  });

  it("a slice inflates to a limit, and no further", async () => {
    const world = opened();
    for (const [n, size] of [sliceBytesMax, sliceBytesMax + 1].entries()) {
      const bytes = gzipSync(Buffer.alloc(size), { level: 1 });
      const about = { offset: 0, length: bytes.length, records: 1, codec: "cbor+gzip", sha256: sha256(bytes) } as const;
      const slice: FrameSlice = { keyGroups: allGroups, ...about };
      const frame = { epoch: checkpointId(1), session: sessionId("s"), records: 1, slices: [slice], bytes };
      await world.exchange.put(lane, { n: n + 1, ...frame });
    }
    const [full, over] = await world.exchange.notes(lane, 1, 2);
    const sizeOf = async (note: Note | undefined) =>
      (await world.exchange.read(note as Note, note?.slices[0] as FrameSlice)).length;
    expect(await sizeOf(full)).toBe(sliceBytesMax);
    await expect(sizeOf(over)).rejects.toEqual(failure("corrupt", /frame 2.*larger than 67108864/));
  });

  it("a failure that passes is tried again; of one that lasts the kind stays", async () => {
    const world = opened();
    await world.exchange.put(lane, frameOf(1, manyKeys));
    const answers = [new StreamError("transient", "busy"), new StreamError("invalid", "not allowed")];
    const get: typeof world.store.blobs.get = async (key, range) => {
      const failed = answers.shift();
      if (failed !== undefined) throw failed;
      return world.store.blobs.get(key, range);
    };
    const exchange = storedExchange({ ...world.store, blobs: { ...world.store.blobs, get } });
    const [note] = await exchange.notes(lane, 1, 1);
    const read = () => exchange.read(note as Note, note?.slices[0] as FrameSlice);
    await expect(read()).rejects.toEqual(failure("invalid", /^not allowed$/));
    expect((await read()).length).toBeGreaterThan(0);
  });

  it("a note of another number, format or shape is found out", async () => {
    const body = { format: 1, n: 1, epoch: 1, session: "s", records: 0, body: null, slices: [] };
    for (const [wrong, kind, message] of [
      [{ ...body, n: 2 }, "corrupt", /says that it is frame 2/],
      [{ ...body, format: 2 }, "invalid", /upgrade/],
      [{ ...body, slices: undefined }, "corrupt", /slices is missing/],
    ] as const) {
      const world = opened();
      await world.store.registers.swap({ group: "p", name: names.noteName(lane, 1) }, null, JSON.stringify(wrong));
      await expect(world.exchange.notes(lane, 1, 5)).rejects.toEqual(failure(kind, message));
    }
  });
});

describe("names of frames and notes", () => {
  const prefix = names.incarnationPrefix("p", incarnation);
  const far: Lane = { ...lane, generation: generation(123_456_789), edge: "a-b.c_d", producer: 1_234 };

  it("are told from those of other things, and say what they are of", () => {
    for (const [of, n] of [
      [lane, 1],
      [far, 9_999_999_999_999],
    ] as const) {
      const { incarnation: _, ...about } = of;
      expect(names.parseObjectKey(prefix, names.frameKey("p", of, n, sessionId("s1-2")))).toEqual({
        kind: "frame",
        ...about,
        n,
      });
      expect(names.parseItemName(incarnation, names.noteName(of, n))).toEqual({ kind: "note", ...about, n });
      expect(names.parseItemName(incarnation, names.newsName(of))).toEqual({ kind: "news", generation: of.generation });
      expect(names.newsName(of).startsWith(names.itemPrefixes(incarnation).news)).toBe(true);
      expect(names.noteName(of, n).startsWith(names.itemPrefixes(incarnation).note)).toBe(true);
    }
  });

  it("are of nothing where they are not whole", () => {
    const key = names.frameKey("p", lane, 1, sessionId("s1"));
    const note = names.noteName(lane, 1);
    for (const cut of [key.slice(0, -3), `${key}/more`, key.replace("007", "x")]) {
      expect(names.parseObjectKey(prefix, cut)).toBeNull();
    }
    for (const cut of [note.slice(0, -1), `${note}/more`, note.replace("007", "x")]) {
      expect(names.parseItemName(incarnation, cut)).toBeNull();
    }
    expect(names.parseItemName("ba9876543210", note)).toBeNull();
  });
});
