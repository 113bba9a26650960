import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { FrameSlice, Lane, Note } from "../../model/frames.js";
import { checkpointId, generation, sessionId } from "../../model/ids.js";
import { keyGroupsOf } from "../../model/key-ranges.js";
import { sha256 } from "../../model/sha256.js";
import type { Exchange, Frame } from "../../ports/exchange.js";
import { bytesOf, type Test, textOf } from "./suite.js";

/** One for each test, in which nothing was put. */
export interface OpenExchange {
  readonly exchange: Exchange;
  /** Takes the bytes of a frame away, as a person or a lifecycle rule may. */
  readonly lose: (note: Note) => Promise<void>;
  /** Changes one of the bytes of a frame. */
  readonly damage: (note: Note) => Promise<void>;
}

/**
 * What every implementation of Exchange must do.
 *
 * @example
 * exchangeConformance(test, async () => {
 *   const { registers } = memoryRegisters();
 *   const { blobs } = memoryBlobs();
 *   return { exchange: storedExchange({ pipeline: "p", registers, blobs, clock }), ...waysToLose(blobs) };
 * });
 */
export function exchangeConformance(test: Test, open: () => Promise<OpenExchange>): void {
  const it: It = (name, run) => test(name, async () => run(await open()));
  frames(it);
  notes(it);
  repetitions(it);
  news(it);
  losses(it);
}

type It = (name: string, run: (given: OpenExchange) => Promise<void>) => void;

const lane: Lane = { incarnation: "0123456789ab", generation: generation(3), edge: "totals", producer: 7 };
const largest = 100;

interface Piece {
  readonly text: string;
  readonly codec: FrameSlice["codec"];
}
const plain = (text: string): Piece => ({ text, codec: "cbor" });
const zipped = (text: string): Piece => ({ text, codec: "cbor+gzip" });
/** Too much to lie in a note. */
const long = (text: string): Piece => plain(text.repeat(Math.ceil(70_000 / text.length)));

/** A frame with a slice for each text, behind some bytes of its own. */
function frameOf(n: number, pieces: readonly Piece[], epoch = 1): Frame {
  const parts: Uint8Array[] = [bytesOf("head")];
  const slices: FrameSlice[] = [];
  let offset = 4;
  for (const [index, { text, codec }] of pieces.entries()) {
    const bytes = codec === "cbor" ? bytesOf(text) : gzipSync(bytesOf(text));
    const keyGroups = keyGroupsOf(index, pieces.length);
    slices.push({ keyGroups, offset, length: bytes.length, records: index + 1, codec, sha256: sha256(bytes) });
    parts.push(bytes);
    offset += bytes.length;
  }
  const records = slices.reduce((sum, slice) => sum + slice.records, 0);
  const bytes = pieces.length === 0 ? null : Buffer.concat(parts);
  return { n, epoch: checkpointId(epoch), session: sessionId("s1"), records, slices, bytes };
}

const numbers = (found: readonly Note[]): number[] => found.map(({ n }) => n);

async function only(exchange: Exchange, n: number): Promise<Note> {
  const [note] = await exchange.notes(lane, n, 1);
  assert.ok(note !== undefined, `there is no note of frame ${n}`);
  return note;
}

async function textsOf(exchange: Exchange, note: Note): Promise<string[]> {
  return Promise.all(note.slices.map(async (slice) => textOf(await exchange.read(note, slice))));
}

function frames(it: It): void {
  it("E1 a frame that was put is announced, and its slices come back as they were encoded", async ({ exchange }) => {
    const given = [[plain("a"), plain("b")], [long("long "), zipped("c"), plain("d")], [zipped("e".repeat(90_000))]];
    for (const [index, pieces] of given.entries()) {
      const frame = frameOf(index + 1, pieces, index + 4);
      await exchange.put(lane, frame);
      const { format, body, ...note } = await only(exchange, index + 1);
      const { bytes, ...announced } = frame;
      assert.equal(format, 1);
      assert.deepEqual(note, announced);
      assert.equal(body?.size, bytes?.length);
      const texts = pieces.map(({ text }) => text);
      assert.deepEqual(await textsOf(exchange, { format, body, ...note }), texts);
    }
  });

  it("P3 a slice is read by itself, whatever became of the others", async ({ exchange }) => {
    await exchange.put(lane, frameOf(1, [long("first "), long("second "), long("third ")]));
    const note = await only(exchange, 1);
    const [, second] = note.slices;
    assert.ok(second !== undefined);
    assert.equal(textOf(await exchange.read(note, second)), long("second ").text);
  });

  it("B2 a frame without records is news alone: an epoch began", async ({ exchange }) => {
    await exchange.put(lane, frameOf(1, [plain("a")], 4));
    await exchange.put(lane, frameOf(2, [], 5));
    await exchange.put(lane, frameOf(3, [plain("b")], 5));
    const found = await exchange.notes(lane, 1, 10);
    assert.deepEqual(
      found.map(({ n, epoch, records, slices, body }) => [n, epoch, records, slices.length, body === null]),
      [
        [1, 4, 1, 1, false],
        [2, 5, 0, 0, true],
        [3, 5, 1, 1, false],
      ],
    );
  });
}

function notes(it: It): void {
  it("E1 notes come in order, from a number on, at most as many as asked for", async ({ exchange }) => {
    assert.deepEqual(await exchange.notes(lane, 1, 10), []);
    for (let n = 1; n <= 25; n += 1) await exchange.put(lane, frameOf(n, n % 4 === 0 ? [] : [plain(`frame ${n}`)]));
    assert.deepEqual(numbers(await exchange.notes(lane, 1, 1)), [1]);
    assert.deepEqual(numbers(await exchange.notes(lane, 9, 4)), [9, 10, 11, 12]);
    assert.deepEqual(numbers(await exchange.notes(lane, 24, 10)), [24, 25]);
    assert.deepEqual(numbers(await exchange.notes(lane, 26, 10)), []);
    const all: number[] = [];
    for (;;) {
      const page = numbers(await exchange.notes(lane, all.length + 1, 7));
      if (page.length === 0) break;
      all.push(...page);
    }
    assert.deepEqual(
      all,
      Array.from({ length: 25 }, (_, index) => index + 1),
    );
  });

  it("E1 notes behind a gap are not told", async ({ exchange }) => {
    for (const n of [1, 2, 4, 5]) await exchange.put(lane, frameOf(n, [plain(`frame ${n}`)]));
    assert.deepEqual(numbers(await exchange.notes(lane, 1, largest)), [1, 2]);
    assert.deepEqual(numbers(await exchange.notes(lane, 3, largest)), []);
    await exchange.put(lane, frameOf(3, []));
    assert.deepEqual(numbers(await exchange.notes(lane, 1, largest)), [1, 2, 3, 4, 5]);
  });

  it("E2 lanes do not meet: of other edges, producers, generations and incarnations", async ({ exchange }) => {
    const lanes: readonly Lane[] = [
      lane,
      { ...lane, edge: "total" },
      { ...lane, edge: "totals-2" },
      { ...lane, edge: "totals.7" },
      { ...lane, producer: 0 },
      { ...lane, producer: 70 },
      { ...lane, generation: generation(4) },
      { ...lane, incarnation: "ba9876543210" },
    ];
    for (const [index, each] of lanes.entries()) await exchange.put(each, frameOf(1, [long(`lane ${index} `)]));
    await exchange.put(lane, frameOf(2, []));
    for (const [index, each] of lanes.entries()) {
      const found = await exchange.notes(each, 1, largest);
      assert.deepEqual(numbers(found), index === 0 ? [1, 2] : [1]);
      assert.deepEqual(await textsOf(exchange, found[0] as Note), [long(`lane ${index} `).text]);
    }
  });
}

function repetitions(it: It): void {
  it("E1 a frame that is put again, and at the same time, is one frame", async ({ exchange }) => {
    const frame = frameOf(1, [long("again "), zipped("and again")]);
    await Promise.all([exchange.put(lane, frame), exchange.put(lane, frame)]);
    await exchange.put(lane, frame);
    const found = await exchange.notes(lane, 1, largest);
    assert.deepEqual(numbers(found), [1]);
    assert.deepEqual(await textsOf(exchange, found[0] as Note), [long("again ").text, "and again"]);
  });

  it("E1 another frame of the same name is refused, and the first one stays", async ({ exchange }) => {
    await exchange.put(lane, frameOf(1, [plain("the first")], 4));
    const others: readonly Frame[] = [
      frameOf(1, [plain("another")], 4),
      frameOf(1, [plain("the first")], 5),
      frameOf(1, [], 4),
      { ...frameOf(1, [plain("the first")], 4), session: sessionId("s2") },
    ];
    for (const other of others) {
      await assert.rejects(exchange.put(lane, other), { name: "StreamError", kind: "bug", message: /totals.*frame 1/ });
    }
    const note = await only(exchange, 1);
    assert.deepEqual([note.epoch, note.session, await textsOf(exchange, note)], [4, "s1", ["the first"]]);
  });
}

function news(it: It): void {
  const { incarnation, generation: of } = lane;
  const toldBy = async (exchange: Exchange) => Object.fromEntries(await exchange.news({ incarnation, generation: of }));

  it("E5 what each task has told is read at once, and that of other generations and incarnations is not", async ({
    exchange,
  }) => {
    assert.deepEqual(await toldBy(exchange), {});
    await exchange.tell({ incarnation, generation: of, producer: 7 }, { totals: 1 });
    await exchange.tell({ incarnation, generation: of, producer: 12 }, { "totals-2": 4, totals: 9 });
    await exchange.tell({ incarnation, generation: generation(4), producer: 7 }, { totals: 5 });
    await exchange.tell({ incarnation: "ba9876543210", generation: of, producer: 7 }, { totals: 6 });
    assert.deepEqual(await toldBy(exchange), { 7: { totals: 1 }, 12: { "totals-2": 4, totals: 9 } });
    await exchange.tell({ incarnation, generation: of, producer: 7 }, { totals: 2, "totals-2": 1 });
    assert.deepEqual(await toldBy(exchange), { 7: { totals: 2, "totals-2": 1 }, 12: { "totals-2": 4, totals: 9 } });
  });

  it("E5 what is told again, and at the same time, takes nothing back", async ({ exchange }) => {
    const sender = { incarnation, generation: of, producer: 7 };
    await exchange.tell(sender, { totals: 2, "totals-2": 3 });
    await Promise.all([
      exchange.tell(sender, { totals: 2, "totals-2": 3 }),
      exchange.tell(sender, { totals: 2, "totals-2": 3 }),
    ]);
    assert.deepEqual(await toldBy(exchange), { 7: { totals: 2, "totals-2": 3 } });
  });
}

function losses(it: It): void {
  const corrupt = { name: "StreamError", kind: "corrupt", message: /edge "totals", producer 7.*frame 2/ };

  it("P3 a frame whose bytes are gone is corrupt, never empty", async ({ exchange, lose }) => {
    for (const n of [1, 2, 3]) await exchange.put(lane, frameOf(n, [long(`frame ${n} `), zipped("more")]));
    const [first, second] = await exchange.notes(lane, 1, largest);
    assert.ok(first !== undefined && second !== undefined);
    await lose(second);
    for (const slice of second.slices) await assert.rejects(exchange.read(second, slice), corrupt);
    assert.deepEqual(await textsOf(exchange, first), [long("frame 1 ").text, "more"]);
  });

  it("P3 a frame one of whose bytes is another is corrupt", async ({ exchange, damage }) => {
    for (const n of [1, 2]) await exchange.put(lane, frameOf(n, [long("only ")]));
    const note = await only(exchange, 2);
    await damage(note);
    const [slice] = note.slices;
    assert.ok(slice !== undefined);
    await assert.rejects(exchange.read(note, slice), corrupt);
  });
}
