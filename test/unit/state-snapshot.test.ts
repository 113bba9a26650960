import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import { readSlice } from "../../lib/state/slice-reader.js";
import { fileHeaderBytes, sliceBytesTarget } from "../../lib/state/snapshot-format.js";
import { encodeSnapshot, finishSnapshot } from "../../lib/state/snapshot-writer.js";
import type { StateTable } from "../../lib/state/table.js";
import { anyKey, anyValue, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const contentOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const airports = (count: number): [string, number][] => Array.from({ length: count }, (_, i) => [`airport ${i}`, i]);

describe("a snapshot's bytes", () => {
  it("depend on the state alone, not on the order in which keys and operators came", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyKey, anyValue), { maxLength: 20 }), fc.boolean(), (pairs, useDelta) => {
        const last = new Map(pairs.map(([key, value]) => [contentOf(keyBytes(key)), [key, value] as const]));
        const forwards = valuesTable("op", [...last.values()]);
        const backwards = valuesTable("op", [["gone", 1], ...[...last.values()].reverse()]);
        setValue(backwards, "gone", undefined);
        if (last.has(contentOf(keyBytes("gone")))) return;
        const options = { kind: useDelta ? "delta" : "base", sliceBytesTarget: 64 } as const;
        const other = valuesTable("another", [["a", 1]]);
        const first = encodeSnapshot([forwards, other], options);
        const second = encodeSnapshot([valuesTable("another", [["a", 1]]), backwards], options);
        expect(second).toEqual(first);
      }),
    );
  });

  it("are slices of one operator each, back to back, in the order of key groups, of about the target's size", async () => {
    const tables = [valuesTable("b", airports(20_000)), valuesTable("a", airports(10)), valuesTable("empty", [])];
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
    expect(sizes.length).toBeGreaterThan(3);
    for (const size of sizes) expect(size / sliceBytesTarget).toBeGreaterThanOrEqual(1);
    for (const size of sizes) expect(size / sliceBytesTarget).toBeLessThan(1.5);
    expect(slices.reduce((sum, { keys }) => sum + keys, 0)).toBe(20_010);
  });

  it("are compressed where that pays, and then the same each time", async () => {
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

describe("what cannot be written", () => {
  it("names operator, state and key group, not the value, and leaves the tables as they were", () => {
    class Secret {
      readonly text = "do not print";
    }
    const table = mixedTable("punctuality");
    table.enter("JFK");
    mixedOf(table).by.set("k", [new Secret()]);
    const place = `operator "punctuality", state "by", key group ${keyGroupOf(keyBytes("JFK"))}: an instance of class Secret`;
    const error = expect.objectContaining({ kind: "invalid", message: expect.stringMatching(`^${place}[^?]*$`) });
    expect(() => encodeSnapshot([valuesTable("other", [["a", 1]]), table], { kind: "base" })).toThrow(error);
    expect(() => encodeSnapshot([table], { kind: "delta" })).not.toThrow(/do not print|JFK/);
    expect([table.keys, table.dirty]).toEqual([1, 1]);
    mixedOf(table).by.set("k", "mended");
    expect(encodeSnapshot([table], { kind: "delta" }).slices).toHaveLength(1);
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
    table.settle();
    count.clear();
    table.enter("null");
    last.set(null);
    table.enter("list");
    seen.add(undefined);
    table.enter("map");
    by.set([1n], undefined);
    const { bytes, slices } = await finishSnapshot(encodeSnapshot([table], { kind: "delta", sliceBytesTarget: 1 }));
    const found = slices.flatMap((slice) => [
      ...readSlice(bytes.subarray(slice.offset, slice.offset + slice.length), slice, "f").entries,
    ]);
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

function inflated(
  file: Uint8Array,
  slice: { readonly offset: number; readonly length: number; readonly codec: string } | undefined,
) {
  if (slice === undefined) throw new Error("no slice");
  const bytes = file.subarray(slice.offset, slice.offset + slice.length);
  return slice.codec === "cbor" ? bytes : gunzipSync(bytes);
}
