// The state of a checkpoint, key group by key group, is what a restore would find, and no more of it is in memory than a little.
import { describe, expect, it } from "vitest";
import { keyGroupsOf } from "../../lib/model/key-ranges.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
import { keyId, type SnapshotPart, type StoredKey, sweepState } from "../../lib/state/state-sweep.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { allGroups, Files, mixedOf, mixedTable, setValue, valuesTable } from "./state-samples.js";

const refTo = (base: SnapshotFile, ...deltas: SnapshotFile[]): SnapshotRef => ({ format: 1, base, deltas });

async function swept(files: Files, parts: readonly SnapshotPart[], operator: string, only = allGroups) {
  const keys = new Map<string, StoredKey>();
  const groups: number[] = [];
  for await (const group of sweepState(parts, { operator, read: files.read, only })) {
    groups.push(group.keyGroup);
    for (const [id, key] of group.keys) keys.set(id, key);
  }
  return { keys, groups };
}

describe("a sweep over the state of a checkpoint", () => {
  it("has what base and deltas say, with removals, in the order of key groups", async () => {
    const random = randomOf("sweep");
    const files = new Files();
    const expected = new Map<string, number>();
    const table = valuesTable("op", []);
    const change = (count: number) => {
      for (let i = 0; i < count; i++) {
        const key = `key ${random.int(3_000)}`;
        const value = random.int(4) === 0 ? undefined : random.int(1_000);
        setValue(table, key, value);
        if (value === undefined) expected.delete(keyId(key));
        else expected.set(keyId(key), value);
      }
    };
    change(4_000);
    const base = await files.write([table, valuesTable("other", [["key 1", "not asked for"]])], {
      kind: "base",
      sliceBytesTarget: 2_000,
    });
    const deltas: SnapshotFile[] = [];
    for (let i = 0; i < 5; i++) {
      change(200);
      deltas.push(await files.write([table], { kind: "delta", sliceBytesTarget: 500 }));
    }
    const found = await swept(files, [{ ref: refTo(base, ...deltas), keyGroups: allGroups }], "op");
    expect(new Map([...found.keys].map(([id, { values }]) => [id, values[0]]))).toEqual(expected);
    expect(found.groups).toEqual([...found.groups].sort((a, b) => a - b));
    expect(found.groups.length).toBeGreaterThan(120);
  });

  it("takes of each task's snapshot its own key groups alone (E4)", async () => {
    const files = new Files();
    const old = await files.write([valuesTable("op", [...keys(500, 1)])], { kind: "base" });
    const other = await files.write([valuesTable("op", [...keys(500, 2)])], { kind: "base" });
    const parts = [
      { ref: refTo(other), keyGroups: keyGroupsOf(1, 2) },
      { ref: refTo(old), keyGroups: keyGroupsOf(0, 2) },
    ];
    const { keys: found, groups } = await swept(files, parts, "op");
    expect(found.size).toBe(500);
    expect(groups).toEqual([...groups].sort((a, b) => a - b));
    expect(new Set([...found.values()].map(({ values }) => values[0]))).toEqual(new Set([1, 2]));
  });

  it("reads for one key group little more than that", async () => {
    const files = new Files();
    const noise = [...keys(20_000, 0)].map(([key]) => [key, sha256(key)] as const);
    const base = await files.write([valuesTable("op", noise)], { kind: "base", sliceBytesTarget: 1 });
    const { groups } = await swept(files, [{ ref: refTo(base), keyGroups: allGroups }], "op", [77, 77]);
    expect(groups).toEqual([77]);
    const [slice] = base.slices.filter(({ keyGroups }) => keyGroups[0] === 77);
    const asked = files.asked.reduce((sum, { length }) => sum + length, 0);
    expect(asked).toBeLessThanOrEqual(slice?.length ?? 0);
  });

  it("keeps every kind of state and of key, and P3 refuses bytes that were changed", async () => {
    const files = new Files();
    const table = mixedTable();
    const { count, by, seen } = mixedOf(table);
    for (const key of [1, "1", 1n, true, ["a", 1]] as const) {
      table.enter(key);
      count.set(1);
      by.set(key, "value");
      seen.add(null);
    }
    const ref = refTo(await files.write([table], { kind: "base" }));
    const { keys: found } = await swept(files, [{ ref, keyGroups: allGroups }], "mixed");
    expect(found.size).toBe(5);
    expect(found.get(keyId(1n))).toMatchObject({ key: 1n, values: [[[1n, "value"]], 1, undefined, [null]] });
    for (const [key, bytes] of files.bytes) files.bytes.set(key, bytes.with(bytes.length - 1, 0xff));
    await expect(swept(files, [{ ref, keyGroups: allGroups }], "mixed")).rejects.toMatchObject({ kind: "corrupt" });
  });
});

function* keys(count: number, value: number): Generator<[string, number]> {
  for (let i = 0; i < count; i++) yield [`key ${i}`, value];
}
