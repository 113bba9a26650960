// What has changed between two checkpoints, found without reading what both have.
import { describe, expect, it } from "vitest";
import { keyGroupsOf } from "../../lib/model/key-ranges.js";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
import { diffState } from "../../lib/state/state-diff.js";
import { keyId, type SnapshotPart } from "../../lib/state/state-sweep.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { allGroups, Files, setValue, valuesTable } from "./state-samples.js";

const refTo = (base: SnapshotFile, ...deltas: SnapshotFile[]): SnapshotRef => ({ format: 1, base, deltas });
const whole = (ref: SnapshotRef): readonly SnapshotPart[] => [{ ref, keyGroups: allGroups }];

async function diffed(files: Files, before: readonly SnapshotPart[], now: readonly SnapshotPart[]) {
  const found = new Map<string, unknown>();
  for await (const { changes } of diffState(before, now, "op", files.read)) {
    for (const change of changes) {
      const { key } = change.kind === "removed" ? change.before : change.now;
      const old = change.kind === "added" ? undefined : change.before.values[0];
      found.set(keyId(key), [change.kind, old, change.kind === "removed" ? undefined : change.now.values[0]]);
    }
  }
  return found;
}

describe("a diff of two checkpoints", () => {
  it("has the keys that were added, removed and changed, whatever base and deltas they are from", async () => {
    const random = randomOf("diff");
    const files = new Files();
    const table = valuesTable("op", []);
    const states: Map<string, number>[] = [];
    const refs: SnapshotRef[] = [];
    const model = new Map<string, number>();
    for (let i = 0; i < 6; i++) {
      for (let n = 0; n < 300; n++) {
        const key = `key ${random.int(600)}`;
        const value = random.int(4) === 0 ? undefined : random.int(3);
        setValue(table, key, value);
        if (value === undefined) model.delete(keyId(key));
        else model.set(keyId(key), value);
      }
      const last = refs.at(-1);
      const kind = last === undefined || i === 3 ? "base" : "delta";
      const file = await files.write([table], { kind, sliceBytesTarget: 1_000 });
      refs.push(kind === "base" || last === undefined ? refTo(file) : { ...last, deltas: [...last.deltas, file] });
      states.push(new Map(model));
    }
    for (const [a, before] of states.entries()) {
      for (const [b, now] of states.entries()) {
        const expected = new Map<string, unknown>();
        for (const id of new Set([...before.keys(), ...now.keys()])) {
          const [old, fresh] = [before.get(id), now.get(id)];
          const kind = old === undefined ? "added" : fresh === undefined ? "removed" : "changed";
          if (old !== fresh) expected.set(id, [kind, old, fresh]);
        }
        const [from, to] = [refs[a], refs[b]];
        if (from === undefined || to === undefined) throw new Error("no such checkpoint");
        expect(await diffed(files, whole(from), whole(to))).toEqual(expected);
      }
    }
  });

  it("is by keys, not by tasks: another cutting of the same state is the same", async () => {
    const files = new Files();
    const keys = Array.from({ length: 400 }, (_, i) => [`key ${i}`, i] as const);
    const one = refTo(await files.write([valuesTable("op", keys)], { kind: "base" }));
    const other = refTo(await files.write([valuesTable("op", keys.toReversed())], { kind: "base" }));
    const cut = [0, 1, 2].map((task) => ({ ref: task === 1 ? one : other, keyGroups: keyGroupsOf(task, 3) }));
    expect(await diffed(files, whole(one), cut)).toEqual(new Map());
  });

  it("reads nothing of key groups that both have from the same slices", async () => {
    const files = new Files();
    const keys = Array.from({ length: 5_000 }, (_, i) => [`key ${i}`, `value ${i}`] as const);
    const table = valuesTable("op", keys);
    const base = await files.write([table], { kind: "base", sliceBytesTarget: 1 });
    setValue(table, "key 7", "another");
    const delta = await files.write([table], { kind: "delta" });
    files.asked.length = 0;
    expect((await diffed(files, whole(refTo(base)), whole(refTo(base, delta)))).size).toBe(1);
    const bytes = files.asked.reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThan(base.body.size / 10);
    files.asked.length = 0;
    expect(await diffed(files, whole(refTo(base)), whole(refTo(base)))).toEqual(new Map());
    expect(files.asked).toEqual([]);
  });
});
