import { readFileSync } from "node:fs";
import { Decoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { keyGroupsOf, ownerOf } from "../../lib/model/key-ranges.js";
import { keyGroupOfKey } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import { SliceReader } from "../../lib/runtime/frame-reader.js";
import { type EncodedFrame, FrameWriter } from "../../lib/runtime/frame-writer.js";
import { addAll, allGroups, place, readAll, type Sent, sent, sliceBytes } from "./frame-samples.js";
import { anyKey, anyValue } from "./state-samples.js";

const edge = "totals";
const consumersOf = (tasks: number): KeyGroups[] => Array.from({ length: tasks }, (_, i) => [...keyGroupsOf(i, tasks)]);

function frameOf(records: readonly Sent[], tasks = 1): EncodedFrame {
  const writer = new FrameWriter(edge, consumersOf(tasks));
  addAll(writer, records);
  return writer.take();
}

const digits = fc.bigInt({ min: 0n, max: 10n ** 56n - 1n }).map(String);
const anyPlace = fc.record(
  {
    source: fc.constantFrom("in", "other", "__proto__"),
    shard: fc.oneof({ weight: 8, arbitrary: fc.constantFrom("shardId-000000000000", "constructor") }, fc.string()),
    sequenceNumber: fc.oneof(
      digits,
      fc.nat(11).map(String),
      fc.nat(2_000).map((n) => `4959033827149025660855969253836157109592157598913658${n}`),
      fc.constantFrom("", "000", "cut \ud83d", "cut \ud83d\ude00"),
    ),
    subSequenceNumber: fc.option(fc.nat()),
    arrivedAt: fc.option(fc.oneof(fc.nat(), fc.integer({ min: 1_600_000_000_000, max: 1_600_000_009_999 }))),
  },
  { noNullPrototype: true },
);
const anySent: fc.Arbitrary<Sent> = fc.record(
  {
    key: anyKey,
    input: fc.constantFrom(0 as const, 1 as const),
    value: fc.oneof(anyValue, fc.constant(undefined)),
    place: anyPlace,
  },
  { noNullPrototype: true },
);
/** 0 and -0 are one key, also within an array. */
const kept = (key: unknown): unknown => (Array.isArray(key) ? key.map(kept) : typeof key === "number" ? key + 0 : key);
const keptOf = (records: readonly Sent[]) => records.map((record) => ({ ...record, key: kept(record.key) }));

describe("frames", () => {
  it("E1 every record comes back as it was, at its consumer, in the order in which it was added", () => {
    fc.assert(
      fc.property(fc.array(anySent, { maxLength: 30 }), fc.integer({ min: 1, max: 7 }), (records, tasks) => {
        const frame = frameOf(records, tasks);
        for (let task = 0; task < tasks; task += 1) {
          const own = records.filter(({ key }) => ownerOf(keyGroupOfKey(key), tasks) === task);
          expect(readAll(edge, frame, keyGroupsOf(task, tasks))).toStrictEqual(keptOf(own));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("E1 a slice is there for each consumer that has records, in ascending key groups, each with its own hash", () => {
    const keys = Array.from({ length: 200 }, (_, i) => `key ${i}`).filter(
      (key) => ownerOf(keyGroupOfKey(key), 5) !== 2,
    );
    const writer = new FrameWriter(edge, consumersOf(5).reverse());
    addAll(
      writer,
      keys.map((key, i) => sent(key, i)),
    );
    expect([writer.records, writer.bytes > 0]).toEqual([keys.length, true]);
    const { bytes, slices, records } = writer.take();
    expect(slices.map(({ keyGroups }) => keyGroups)).toEqual([0, 1, 3, 4].map((i) => keyGroupsOf(i, 5)));
    expect([records, slices.reduce((sum, slice) => sum + slice.records, 0)]).toEqual([keys.length, keys.length]);
    let at = 10;
    for (const { offset, length, sha256: hash } of slices) {
      expect([offset, hash]).toEqual([at, sha256(bytes?.subarray(offset, offset + length) ?? new Uint8Array())]);
      at += length;
    }
    expect(at).toBe(bytes?.length);
  });

  it("E1 the same records give the same bytes, in a frame after others too", () => {
    const records = Array.from({ length: 100 }, (_, i) => sent(`key ${i % 9}`, { n: i }, { sequenceNumber: `${i}` }));
    const writer = new FrameWriter(edge, consumersOf(3));
    addAll(writer, [sent("before", 1, { shard: "another" }), ...records]);
    writer.take();
    addAll(writer, records);
    expect(writer.take()).toEqual(frameOf(records, 3));
  });

  it("without records there are no bytes and no slices", () => {
    const writer = new FrameWriter(edge, consumersOf(2));
    expect(writer.take()).toEqual({ bytes: null, slices: [], records: 0 });
    addAll(writer, [sent("a", 1)]);
    writer.rollback();
    expect([writer.records, writer.bytes, writer.take()]).toEqual([0, 0, { bytes: null, slices: [], records: 0 }]);
  });

  it("E4 records of other key groups are passed over where a task inherits a part of a slice", () => {
    const records = Array.from({ length: 300 }, (_, i) => sent(`key ${i}`, i));
    const frame = frameOf(records, 2);
    for (const wanted of [
      [0, 20],
      [50, 90],
      [64, 64],
      [0, 127],
    ] as const) {
      const own = records.filter(({ key }) => keyGroupOfKey(key) >= wanted[0] && keyGroupOfKey(key) <= wanted[1]);
      const found = readAll(edge, frame, wanted);
      expect(found.length).toBeGreaterThan(0);
      expect(found.map(({ value }) => value).sort()).toEqual(own.map(({ value }) => value).sort());
    }
  });

  it("slices of 1 KiB and more are compressed where that makes them smaller", () => {
    const alike = frameOf(Array.from({ length: 100 }, (_, i) => sent("a", { name: "the same again", i })));
    expect(alike.slices[0]?.codec).toBe("cbor+gzip");
    // The byte that names the operating system.
    expect(alike.bytes?.[10 + 9]).toBe(0xff);
    expect(readAll(edge, alike)).toHaveLength(100);
    expect(frameOf([sent("a", "x".repeat(500))]).slices[0]?.codec).toBe("cbor");
    const chaos = Buffer.from(Array.from({ length: 70 }, (_, i) => sha256(`${i}`)).join(""), "hex");
    expect(frameOf([sent("a", chaos)]).slices[0]?.codec).toBe("cbor");
  });

  it("what is rolled back was never there: to the mark, in every slice, shards too", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anySent, fc.boolean()), { maxLength: 30 }), (steps) => {
        const writer = new FrameWriter(edge, consumersOf(3));
        for (const [record, isKept] of steps) {
          writer.mark();
          addAll(writer, [record, sent("also", 1, { shard: "rolled back" })]);
          if (!isKept) writer.rollback();
        }
        const left = steps.flatMap(([record, isKept]) =>
          isKept ? [record, sent("also", 1, { shard: "rolled back" })] : [],
        );
        expect(writer.records).toBe(left.length);
        expect(writer.take()).toEqual(frameOf(left, 3));
      }),
      { numRuns: 200 },
    );
  });

  it("what would not come back is refused as in state, with the operator's name, and leaves no trace", () => {
    class Flight {}
    const writer = new FrameWriter(edge, consumersOf(2));
    addAll(writer, [sent("a", 1), sent("b", 2)]);
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const refusals: readonly (readonly [Sent, RegExp])[] = [
      [sent("a", { deep: [new Flight()] }, { shard: "new" }), /operator "totals": an instance of class Flight cannot/],
      [sent("c", circle), /operator "totals": a value that refers to itself/],
      [sent("a", () => 1), /operator "totals": a function cannot/],
      [sent(null as never, 1), /operator "totals": null is not a key/],
      [sent("\ud800", 1), /operator "totals": a string with a lone surrogate is not a key/],
    ];
    for (const [record, message] of refusals) {
      const add = () => addAll(writer, [record]);
      expect(add).toThrow(expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }));
    }
    addAll(writer, [sent("a", 3, { shard: "new" })]);
    expect(writer.take()).toEqual(frameOf([sent("a", 1), sent("b", 2), sent("a", 3, { shard: "new" })], 2));
  });

  it("a record's data is JSON where JSON can say it, else CBOR, of the value as it was sent", () => {
    const values = [{ a: [1, "é", null], b: undefined }, "text", { big: 1n }, Number.NaN, new Map([[1, 2]]), undefined];
    const frame = frameOf(values.map((value) => sent("a", value)));
    const [slice] = frame.slices;
    if (slice === undefined) throw new Error("no slice");
    const reader = new SliceReader(edge, sliceBytes(frame, slice), slice, allGroups);
    const data: Uint8Array[] = [];
    while (reader.next()) {
      if (typeof reader.value === "object") Object.assign(reader.value as object, { changed: true });
      data.push(reader.record.data);
    }
    expect(data.slice(0, 2).map((bytes) => Buffer.from(bytes).toString())).toEqual(['{"a":[1,"é",null]}', '"text"']);
    const hex = data.slice(2).map((bytes) => Buffer.from(bytes).toString("hex"));
    expect(hex).toEqual(["a163626967c24101", "f97e00", "d90103a10102", "f7"]);
  });
});

describe("what is no slice", () => {
  const frame = frameOf([sent("a", 1), sent("b", "two")]);
  const slice = frame.slices[0];
  if (slice === undefined) throw new Error("no slice");
  const bytes = sliceBytes(frame, slice);
  const readFrom = (changed: Uint8Array, records = 2) => {
    const reader = new SliceReader(edge, changed, { ...slice, records }, allGroups);
    while (reader.next());
  };
  const corrupt = (message: RegExp) =>
    expect.objectContaining({ kind: "corrupt", message: expect.stringMatching(message) });
  it("P3 is corrupt where it ends early, has too few records, or is another's", () => {
    readFrom(bytes);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => readFrom(bytes.subarray(0, length))).toThrow(corrupt(/edge "totals"/));
    }
    expect(() => readFrom(bytes, 3)).toThrow(corrupt(/2 records, 3 were written/));
    expect(() => new SliceReader("other", bytes, slice, allGroups)).toThrow(corrupt(/edge "other".*of edge "totals"/));
    const newer = Uint8Array.from(bytes);
    newer[1] = 2;
    expect(() => readFrom(newer)).toThrow(corrupt(/format 2; this version of the library reads 1/));
  });

  it("P3 gives no error but corrupt, whatever byte is another", () => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        try {
          readFrom(changed);
        } catch (error) {
          expect(error).toEqual(corrupt(/edge "totals"/));
        }
      }
    }
  });
});

interface Golden {
  readonly hex: string;
  readonly slices: EncodedFrame["slices"];
}
const text = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const golden = (): { readonly example: Golden; readonly everyKind: Golden } =>
  JSON.parse(text("../golden/frame-1.json"));
const hexOf = (frame: EncodedFrame): Golden => ({
  hex: Buffer.from(frame.bytes ?? []).toString("hex"),
  slices: frame.slices,
});

/** The example of docs/FRAME-FORMAT.md. */
const example: readonly Sent[] = [
  sent("JFK", { delay: 17 }, { source: "flights", shard: "s-1", sequenceNumber: "7041", arrivedAt: 1_000_000 }),
  sent("ORD", 2.5, { source: "flights", shard: "s-1", sequenceNumber: "7042", arrivedAt: 1_000_040, input: 1 }),
  sent(
    "JFK",
    { delay: -3 },
    { source: "flights", shard: "s-1", sequenceNumber: "7059", subSequenceNumber: 3, arrivedAt: null },
  ),
];
const everyKind: readonly Sent[] = [
  sent("", undefined, place()),
  sent(0, null, { arrivedAt: 1_699_999_999_000 }),
  sent(1n, new Map([[1, "a"]]), { source: "other", arrivedAt: null, sequenceNumber: "0" }),
  sent(["a", [1, true, 0.5]], new Set([2n]), { source: "other", sequenceNumber: "12" }),
  sent("Zürich", { at: new Date(1_500), bytes: Uint8Array.of(0, 255), nan: Number.NaN }, { input: 1 }),
  sent(-1.5, "cut \ud83d", { shard: "shardId-000000000001", subSequenceNumber: 500 }),
];

// Format 1 is never to change: where one of these fails, the code is wrong, or there is a format 2 beside it.
describe("frame format 1", () => {
  it("is written as it was, to the byte", () => {
    const found = { example: hexOf(frameOf(example)), everyKind: hexOf(frameOf(everyKind, 4)) };
    expect(JSON.parse(JSON.stringify(found))).toEqual(golden());
  });

  it("is read as it was", () => {
    const frameFrom = ({ hex, slices }: Golden): EncodedFrame => ({
      bytes: Buffer.from(hex, "hex"),
      slices,
      records: 0,
    });
    expect(readAll(edge, frameFrom(golden().example))).toStrictEqual(example);
    const found = readAll(edge, frameFrom(golden().everyKind));
    expect(found).toHaveLength(everyKind.length);
    for (const record of everyKind) expect(found).toContainEqual(record);
  });

  it("is read by another CBOR library, item by item", () => {
    const { hex, slices } = golden().example;
    const bytes = Buffer.from(hex, "hex");
    expect(bytes.subarray(0, 10).toString("latin1")).toBe("TIDEMARK\u0001F");
    const items: unknown[] = [];
    const slice = bytes.subarray(slices[0]?.offset, (slices[0]?.offset ?? 0) + (slices[0]?.length ?? 0));
    new Decoder({ useRecords: false, mapsAsObjects: true }).decodeMultiple(slice, (item: unknown) => {
      items.push(item);
    });
    expect(items).toEqual([
      [1, "totals"],
      ["flights", "s-1", "7041", 1_000_000],
      [0, 0, 4, "", null, 0, "JFK", { delay: 17 }],
      [1, 0, 3, "2", null, 40, "ORD", 2.5],
      [0, 0, 2, "59", 3, null, "JFK", { delay: -3 }],
    ]);
  });

  it("is what docs/FRAME-FORMAT.md shows", () => {
    const doc = text("../../docs/FRAME-FORMAT.md");
    const [, block = ""] = /```hex frame\n([^`]*)```/.exec(doc) ?? [];
    expect(block.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "")).toBe(golden().example.hex);
    for (const { sha256: hash } of golden().example.slices) expect(doc).toContain(hash);
  });
});
