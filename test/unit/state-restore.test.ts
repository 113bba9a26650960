import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { type Key, keyBytes, keyGroupOf } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
import type { ValueState } from "../../lib/pipeline/state-spec.js";
import { noState } from "../../lib/state/compaction.js";
import { gapBytesMax, planReads, readBytesMax } from "../../lib/state/slice-reads.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import { createStateTable } from "../../lib/state/table.js";
import { allGroups, Files, getValue, setValue, valuesTable } from "./state-samples.js";

const airports = (count: number): [string, number][] => Array.from({ length: count }, (_, i) => [`airport ${i}`, i]);
const refTo = (base: SnapshotFile, ...deltas: SnapshotFile[]): SnapshotRef => ({ format: 1, base, deltas });
const groupOf = (key: Key): number => keyGroupOf(keyBytes(key));

async function restored(files: Files, ref: SnapshotRef, keyGroups: KeyGroups = allGroups) {
  const table = valuesTable("op", []);
  await restoreInto([table], ref, keyGroups, files.read);
  return table;
}

describe("a restore", () => {
  it("applies the base, then the deltas, oldest first, with their tombstones", async () => {
    const files = new Files();
    const table = valuesTable("op", [
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    const base = await files.write([table], { kind: "base" });
    setValue(table, "a", 2);
    setValue(table, "b", undefined);
    const first = await files.write([table], { kind: "delta" });
    setValue(table, "a", 3);
    setValue(table, "b", 3);
    setValue(table, "c", undefined);
    const second = await files.write([table], { kind: "delta" });
    const read = async (ref: SnapshotRef) => {
      const found = await restored(files, ref);
      return [found.keys, ...["a", "b", "c"].map((key) => getValue(found, key))];
    };
    expect(await read(refTo(base))).toEqual([3, 1, 1, 1]);
    expect(await read(refTo(base, first))).toEqual([2, 2, undefined, 1]);
    expect(await read(refTo(base, first, second))).toEqual([2, 3, 3, undefined]);
    expect(await read(noState)).toEqual([0, undefined, undefined, undefined]);
  });

  it("leaves the table clean: the next delta holds what changes then, removals of restored keys among it", async () => {
    const files = new Files();
    const base = await files.write([valuesTable("op", airports(100))], { kind: "base" });
    const table = await restored(files, refTo(base));
    expect([table.keys, table.dirty]).toEqual([100, 0]);
    const { set } = table.accessors.value as ValueState<unknown>;
    expect(() => set("of no record")).toThrow(/outside of onRecord/);
    setValue(table, "airport 7", "changed");
    setValue(table, "airport 8", undefined);
    const delta = await files.write([table], { kind: "delta" });
    expect(delta.slices.reduce((sum, { keys }) => sum + keys, 0)).toBe(2);
    const again = await restored(files, refTo(base, delta));
    expect([again.keys, getValue(again, "airport 7"), getValue(again, "airport 8")]).toEqual([
      99,
      "changed",
      undefined,
    ]);
  });

  it("takes the keys of its key groups and reads only what overlaps them", async () => {
    const files = new Files();
    const noise = airports(20_000).map(([key]) => [key, sha256(key).repeat(2)] as const);
    const base = await files.write([valuesTable("op", noise)], { kind: "base", sliceBytesTarget: 1 });
    const table = await restored(files, refTo(base), [100, 101]);
    const expected = noise.filter(([key]) => groupOf(key) === 100 || groupOf(key) === 101);
    expect(table.keys).toBe(expected.length);
    for (const [key, value] of expected) expect(getValue(table, key)).toBe(value);
    const wanted = base.slices.filter(({ keyGroups }) => keyGroups[0] === 100 || keyGroups[0] === 101);
    const bytes = wanted.reduce((sum, { length }) => sum + length, 0);
    expect(files.asked.map(({ length }) => length)).toEqual([10, bytes]);
  });

  it("fails as the read fails", async () => {
    const files = new Files();
    const base = await files.write([valuesTable("op", airports(1))], { kind: "base" });
    files.bytes.clear();
    await expect(restored(files, refTo(base))).rejects.toThrow("no snapshot-1");
  });
});

describe("P2 state that the plan does not know", () => {
  const write = async (files: Files) =>
    refTo(await files.write([valuesTable("op", [["a", 1]]), valuesTable("gone", [["a", 1]])], { kind: "base" }));

  it("stops the restore, by name, unless it is left out; then the next snapshot must be a base", async () => {
    const files = new Files();
    const ref = await write(files);
    const tables = [valuesTable("op", [])];
    const named = expect.objectContaining({ kind: "invalid", message: expect.stringMatching(/operator "gone"/) });
    await expect(restoreInto(tables, ref, allGroups, files.read)).rejects.toThrow(named);
    expect(files.asked).toEqual([]);
    expect(await restoreInto(tables, ref, allGroups, files.read, ["gone"])).toBeNull();
    expect(tables.map((table) => [table.operator, table.keys])).toEqual([["op", 1]]);
    const both = [valuesTable("op", []), valuesTable("gone", [])];
    expect(await restoreInto(both, ref, allGroups, files.read)).toBe(ref);
    expect(both.map(({ keys }) => keys)).toEqual([1, 1]);
  });

  it("stops it where the version differs", async () => {
    const files = new Files();
    const ref = await write(files);
    const newer = [createStateTable("op", 2, { value: { kind: "value" } })];
    const named = expect.objectContaining({
      kind: "invalid",
      message: expect.stringMatching(/"op" in version 1, .* version 2/),
    });
    await expect(restoreInto(newer, ref, allGroups, files.read, ["gone"])).rejects.toThrow(named);
    expect(await restoreInto(newer, ref, allGroups, files.read, ["gone", "op"])).toBeNull();
    expect(newer.map(({ keys }) => keys)).toEqual([0]);
  });

  it("starts added states at their initial value, and stops at removed and changed ones", async () => {
    const files = new Files();
    const ref = refTo(await files.write([valuesTable("op", [["a", 1]])], { kind: "base" }));
    const grown = createStateTable("op", 1, {
      after: { kind: "list" },
      value: { kind: "value" },
      before: { kind: "value", initial: 7 },
    });
    await restoreInto([grown], ref, allGroups, files.read);
    grown.enter("a");
    const accessors = grown.accessors as Record<string, { get(): unknown }>;
    expect(["after", "value", "before"].map((name) => accessors[name]?.get())).toEqual([[], 1, 7]);
    const renamed = createStateTable("op", 1, { other: { kind: "value" } });
    const removed = expect.objectContaining({
      kind: "invalid",
      message: expect.stringMatching(/operator "op" has changed.*"value" is a value .* not declared/),
    });
    await expect(restoreInto([renamed], ref, allGroups, files.read)).rejects.toThrow(removed);
    const reshaped = createStateTable("op", 1, { value: { kind: "list" } });
    const changed = expect.objectContaining({
      kind: "invalid",
      message: expect.stringMatching(/"value".*is a value .* and a list/),
    });
    await expect(restoreInto([reshaped], ref, allGroups, files.read)).rejects.toThrow(changed);
  });
});

describe("P3 bytes that are not what was written", () => {
  const corrupt = expect.objectContaining({ kind: "corrupt", message: expect.stringMatching(/snapshot-[12]/) });

  async function written() {
    const files = new Files();
    const table = valuesTable("op", airports(90));
    const base = await files.write([table], { kind: "base", sliceBytesTarget: 512 });
    for (const [key] of airports(5)) setValue(table, key, "x".repeat(300));
    return { files, base, delta: await files.write([table], { kind: "delta" }) };
  }

  it("are an error wherever a byte is flipped", async () => {
    const { files, base, delta } = await written();
    expect(new Set([...base.slices, ...delta.slices].map(({ codec }) => codec))).toEqual(
      new Set(["cbor", "cbor+gzip"]),
    );
    for (const bytes of files.bytes.values()) {
      for (let at = 0; at < bytes.length; at += 1) {
        const was = bytes[at] ?? 0;
        bytes[at] = was ^ (1 << (at % 8));
        await expect(restored(files, refTo(base, delta))).rejects.toThrow(corrupt);
        bytes[at] = was;
      }
    }
    expect((await restored(files, refTo(base, delta))).keys).toBe(90);
  });

  it("are an error wherever a file is cut", async () => {
    const { files, base, delta } = await written();
    for (const [name, bytes] of [...files.bytes]) {
      for (let length = 0; length < bytes.length; length += 7) {
        files.bytes.set(name, bytes.subarray(0, length));
        await expect(restored(files, refTo(base, delta))).rejects.toThrow(corrupt);
      }
      files.bytes.set(name, bytes);
    }
  });

  it("are an error where a delta stands in for the base", async () => {
    const { files, base, delta } = await written();
    await expect(restored(files, refTo(delta, base))).rejects.toThrow(corrupt);
  });
});

describe("the reads of a restore", () => {
  const fileOf = (lengths: readonly number[], gap = 0): SnapshotFile => {
    let offset = 10;
    const slices = lengths.map((length) => {
      const slice = {
        offset,
        length,
        operator: "op",
        stateVersion: 1,
        keyGroups: [0, 0],
        keys: 1,
        codec: "cbor",
        sha256: "",
      };
      offset += length + gap;
      return slice as unknown as SnapshotFile["slices"][number];
    });
    return { slices } as unknown as SnapshotFile;
  };
  const ranges = (file: SnapshotFile, slices = file.slices) =>
    planReads(file, slices).map(({ offset, length, slices: inside }) => [offset, length, inside.length]);

  it("are one for neighbours, and begin at the header", () => {
    const file = fileOf([100, 100, 100]);
    expect(ranges(file)).toEqual([[0, 310, 3]]);
    expect(ranges(file, [])).toEqual([[0, 10, 0]]);
    expect(ranges(file, file.slices.slice(2))).toEqual([[0, 310, 1]]);
  });

  it("leap over what is larger than a request is worth, and are no larger than the limit", () => {
    expect(ranges(fileOf([100, 100], gapBytesMax))).toEqual([[0, 210 + gapBytesMax, 2]]);
    expect(ranges(fileOf([100, 100], gapBytesMax + 1))).toEqual([
      [0, 110, 1],
      [111 + gapBytesMax, 100, 1],
    ]);
    const half = readBytesMax / 2;
    expect(ranges(fileOf([half, half, half]))).toEqual([
      [0, 10 + half, 1],
      [10 + half, readBytesMax, 2],
    ]);
    expect(ranges(fileOf([3 * half]))).toEqual([
      [0, 10, 0],
      [10, 3 * half, 1],
    ]);
  });

  it("are the same state whatever the ranges", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 127 }), fc.integer({ min: 0, max: 127 }), async (a, b) => {
        const groups: KeyGroups = [Math.min(a, b), Math.max(a, b)];
        const files = new Files();
        const base = await files.write([valuesTable("op", airports(300))], { kind: "base", sliceBytesTarget: 200 });
        const table = await restored(files, refTo(base), groups);
        const inside = airports(300).filter(([key]) => groupOf(key) >= groups[0] && groupOf(key) <= groups[1]);
        expect([table.keys, inside.every(([key, value]) => getValue(table, key) === value)]).toEqual([
          inside.length,
          true,
        ]);
      }),
      { numRuns: 30 },
    );
  });
});
