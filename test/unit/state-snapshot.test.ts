import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Key, keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotSlice } from "../../lib/model/snapshots.js";
import { readSlice } from "../../lib/state/slice-reader.js";
import { fileHeaderBytes, sliceBytesTarget } from "../../lib/state/snapshot-format.js";
import { beginSnapshot, encodeSnapshot, finishSnapshot } from "../../lib/state/snapshot-writer.js";
import type { StateTable } from "../../lib/state/table.js";
import { anyKey, anyValue, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const contentOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const airports = (count: number): [string, number][] => Array.from({ length: count }, (_, i) => [`airport ${i}`, i]);

describe("a snapshot's bytes", () => {
  it("hold each key once, in its key group, whatever the order in which keys and operators came", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyKey, anyValue), { maxLength: 20 }),
        fc.boolean(),
        async (pairs, useDelta) => {
          const last = new Map(pairs.map(([key, value]) => [contentOf(keyBytes(key)), [key, value] as const]));
          if (last.has(contentOf(keyBytes("gone")))) return;
          const backwards = valuesTable("op", [["gone", 1], ...[...last.values()].reverse()]);
          setValue(backwards, "gone", undefined);
          const tables = [backwards, valuesTable("another", [["a", 1]])];
          const options = { kind: useDelta ? "delta" : "base", sliceBytesTarget: 64 } as const;
          const { bytes, slices } = await finishSnapshot(encodeSnapshot(tables, options));
          expect(slices.map(({ operator }) => operator)).toEqual(["another", ...slices.slice(1).map(() => "op")]);
          const found = slices
            .slice(1)
            .flatMap((slice) => entriesOf(bytes, slice).map((entry) => ({ ...entry, slice })));
          const expected = [...last.values()].filter(([, value]) => value !== undefined);
          expect(new Map(found.map(({ key, values }) => [contentOf(keyBytes(key)), values?.[0]]))).toEqual(
            new Map(expected.map(([key, value]) => [contentOf(keyBytes(key)), value])),
          );
          expect(found).toHaveLength(expected.length);
          for (const { key, keyGroup, slice } of found) {
            expect(keyGroup).toBe(keyGroupOf(keyBytes(key)));
            expect(keyGroup >= slice.keyGroups[0] && keyGroup <= slice.keyGroups[1]).toBe(true);
          }
        },
      ),
    );
  });

  it("are slices of one operator each, back to back, in the order of key groups, of about the target's size", async () => {
    const tables = [valuesTable("b", airports(60_000)), valuesTable("a", airports(10)), valuesTable("empty", [])];
    const { bytes, slices } = await finishSnapshot(encodeSnapshot(tables, { kind: "base" }));
    let end = fileHeaderBytes;
    let before = { operator: "", last: -1 };
    for (const slice of slices) {
      expect(slice.offset).toBe(end);
      end += slice.length;
      const [first, last] = slice.keyGroups;
      expect([slice.operator, first > before.last || slice.operator > before.operator]).toEqual([slice.operator, true]);
      expect(last).toBeGreaterThanOrEqual(first);
      before = { operator: slice.operator, last };
    }
    expect(end).toBe(bytes.length);
    expect(slices.filter(({ operator }) => operator === "a")).toHaveLength(1);
    const sizes = slices.slice(1, -1).map((slice) => inflated(bytes, slice).length);
    expect(sizes.length).toBeGreaterThan(2);
    for (const size of sizes) expect(size / sliceBytesTarget).toBeGreaterThanOrEqual(1);
    for (const size of sizes) expect(size / sliceBytesTarget).toBeLessThan(1.5);
    expect(slices.reduce((sum, { keys }) => sum + keys, 0)).toBe(60_010);
  });

  it("are compressed where that pays: those of small files, or as one wishes; and then the same each time", async () => {
    const noise = Array.from({ length: 200 }, (_, i) =>
      sha256(String(i))
        .match(/../g)
        ?.map((hex) => Number.parseInt(hex, 16)),
    );
    const tables = (): StateTable[] => [
      valuesTable("large", airports(1_000)),
      valuesTable("noise", [["k", Uint8Array.from(noise.flatMap((numbers) => numbers ?? []))]]),
      valuesTable("small", [["k", "a".repeat(500)]]),
    ];
    const first = await finishSnapshot(encodeSnapshot(tables(), { kind: "base" }));
    const second = await finishSnapshot(encodeSnapshot(tables(), { kind: "base" }));
    expect(contentOf(second.bytes)).toBe(contentOf(first.bytes));
    expect(first.slices.map(({ codec }) => codec)).toEqual(["cbor+gzip", "cbor", "cbor"]);
    const [large] = first.slices;
    const gzip = Buffer.from(first.bytes).subarray(large?.offset, (large?.offset ?? 0) + 10);
    expect(gzip.toString("hex")).toMatch(/^1f8b080000000000..ff$/);
    const [encoded] = encodeSnapshot(tables(), { kind: "base" }).slices;
    expect(contentOf(inflated(first.bytes, large))).toBe(contentOf(encoded?.bytes ?? Uint8Array.of()));
    const codecsOf = async (count: number, options?: { readonly compress: boolean }) => {
      const file = encodeSnapshot([valuesTable("op", airports(count))], { kind: "base", sliceBytesTarget: 1e6 });
      return (await finishSnapshot(file, options)).slices.map(({ codec }) => codec);
    };
    expect(await codecsOf(1_000)).toEqual(["cbor+gzip"]);
    expect(await codecsOf(1_000, { compress: false })).toEqual(["cbor"]);
    expect(await codecsOf(20_000)).toEqual(["cbor"]);
    expect(await codecsOf(20_000, { compress: true })).toEqual(["cbor+gzip"]);
  });

  it("are not touched by what happens to the tables afterwards", async () => {
    const table = mixedTable();
    const { seen, last } = mixedOf(table);
    const held = { n: 1 };
    table.enter("k");
    seen.add("before");
    last.set(held);
    const encoded = encodeSnapshot([table], { kind: "base" });
    const before = encoded.slices.map(({ bytes }) => contentOf(bytes));
    seen.add("after");
    held.n = 2;
    encodeSnapshot([valuesTable("other", airports(100))], { kind: "base" });
    expect(encoded.slices.map(({ bytes }) => contentOf(bytes))).toEqual(before);
  });
});

describe("a removal", () => {
  it("is written once: a key that comes back while it is being written, and goes, is in no snapshot", () => {
    const table = valuesTable("op", [["k", 1]]);
    encodeSnapshot([table], { kind: "base" });
    setValue(table, "k", undefined);
    const snapshot = beginSnapshot([table], { kind: "delta" });
    setValue(table, "k", 2);
    while (!snapshot.step());
    expect(snapshot.encoded.slices.map(({ keys }) => keys)).toEqual([1]);
    setValue(table, "k", undefined);
    expect(encodeSnapshot([table], { kind: "delta" }).slices).toEqual([]);
    expect(table.keys).toBe(0);
  });
});

describe("what cannot be written", () => {
  it("names operator, state and key group, not the value; then the next snapshot must be a base", () => {
    class Secret {
      readonly text = "do not print";
    }
    const table = mixedTable("punctuality");
    table.enter("JFK");
    mixedOf(table).by.set("k", [new Secret()]);
    const place = `operator "punctuality", state "by", key group ${keyGroupOf(keyBytes("JFK"))}: an instance of class Secret`;
    const error = expect.objectContaining({ kind: "invalid", message: expect.stringMatching(`^${place}[^?]*$`) });
    expect(() => encodeSnapshot([valuesTable("other", [["a", 1]]), table], { kind: "base" })).toThrow(error);
    expect(() => encodeSnapshot([table], { kind: "base" })).not.toThrow(/do not print|JFK/);
    expect(table.keys).toBe(1);
    mixedOf(table).by.set("k", "mended");
    const bug = expect.objectContaining({ kind: "bug", message: expect.stringMatching(/a delta after a cut/) });
    expect(() => encodeSnapshot([table], { kind: "delta" })).toThrow(bug);
    expect(encodeSnapshot([table], { kind: "base" }).slices).toHaveLength(1);
    expect(encodeSnapshot([table], { kind: "delta" }).slices).toHaveLength(0);
  });

  it("is more than the limit, of one operator or of all", () => {
    const invalid = expect.objectContaining({
      kind: "invalid",
      message: expect.stringMatching(/operator "b".*parallelism/),
    });
    const large = ["k", "x".repeat(6_000)] as const;
    const tables = [valuesTable("a", [large]), valuesTable("b", [large])];
    expect(() => encodeSnapshot(tables, { kind: "base", bytesMax: 10_000 })).toThrow(invalid);
    expect(() =>
      encodeSnapshot([valuesTable("b", [large, ["l", "y".repeat(6_000)]])], { kind: "base", bytesMax: 10_000 }),
    ).toThrow(invalid);
    expect(() => encodeSnapshot(tables, { kind: "base", bytesMax: 13_000 })).not.toThrow();
  });
});

describe("a slice", () => {
  it("tells absent, null, and removed apart", async () => {
    const table = mixedTable();
    const { count, last, seen, by } = mixedOf(table);
    table.enter("removed");
    count.set(1);
    encodeSnapshot([table], { kind: "delta" });
    count.clear();
    table.enter("null");
    last.set(null);
    table.enter("list");
    seen.add(undefined);
    table.enter("map");
    by.set([1n], undefined);
    const { bytes, slices } = await finishSnapshot(encodeSnapshot([table], { kind: "delta", sliceBytesTarget: 1 }));
    const found = slices.flatMap((slice) => entriesOf(bytes, slice));
    expect(Object.fromEntries(found.map(({ key, values }) => [key, values]))).toEqual({
      removed: null,
      null: [undefined, undefined, null, undefined],
      list: [undefined, undefined, undefined, [undefined]],
      map: [[[[1n], undefined]], undefined, undefined, undefined],
    });
    for (const { keyGroup, key } of found) expect(keyGroup).toBe(keyGroupOf(keyBytes(key)));
  });

  it("P3 is corrupt where its bytes are not those of the index, or its content not of the operator or format that it names", async () => {
    const { bytes, slices } = await finishSnapshot(encodeSnapshot([valuesTable("op", [["k", 1]])], { kind: "base" }));
    const [slice] = slices;
    if (slice === undefined) throw new Error("no slice");
    const own = Uint8Array.from(bytes.subarray(slice.offset));
    const found = sha256(own.subarray(1));
    const message = expect.stringMatching(
      `snapshot the/file, slice of operator "op" at byte 10: .* ${found}, expected .* ${slice.sha256}`,
    );
    expect(() => readSlice(own.subarray(1), slice, "the/file")).toThrow(
      expect.objectContaining({ kind: "corrupt", message }),
    );
    const corrupt = expect.objectContaining({ kind: "corrupt" });
    expect(() => readSlice(own, { ...slice, operator: "other" }, "f")).toThrow(corrupt);
    expect(() => readSlice(own, { ...slice, stateVersion: 2 }, "f")).toThrow(corrupt);
    expect(() => readSlice(own, { ...slice, codec: "cbor+gzip" }, "f")).toThrow(corrupt);
    own[1] = 2;
    const format = expect.objectContaining({ kind: "corrupt", message: expect.stringMatching(/format 2; .* reads 1/) });
    expect(() => readSlice(own, { ...slice, sha256: sha256(own) }, "f")).toThrow(format);
  });
});

function entriesOf(file: Uint8Array, slice: SnapshotSlice) {
  const found: { readonly keyGroup: number; readonly key: Key; readonly values: readonly unknown[] | null }[] = [];
  const opened = readSlice(file.subarray(slice.offset, slice.offset + slice.length), slice, "f");
  opened.each((keyGroup, key, values) => found.push({ keyGroup, key, values }));
  return found;
}

function inflated(
  file: Uint8Array,
  slice: { readonly offset: number; readonly length: number; readonly codec: string } | undefined,
) {
  if (slice === undefined) throw new Error("no slice");
  const bytes = file.subarray(slice.offset, slice.offset + slice.length);
  return slice.codec === "cbor" ? bytes : gunzipSync(bytes);
}
