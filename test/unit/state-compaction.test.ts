import { describe, expect, it } from "vitest";
import type { SnapshotFile } from "../../lib/model/snapshots.js";
import { continued, deltasMax, nextSnapshotKind, noState } from "../../lib/state/compaction.js";

const file = (size: number) => ({ format: 1, body: { kind: "object", size }, slices: [] }) as unknown as SnapshotFile;
const ref = (base: number, ...deltas: number[]) => ({ format: 1, base: file(base), deltas: deltas.map(file) }) as const;
const table = (keys: number, dirty: number) => ({ keys, dirty });

describe("the next snapshot", () => {
  it("is none where nothing changed", () => {
    expect(nextSnapshotKind(ref(1_000), [table(100, 0), table(5, 0)])).toBe("none");
    expect(nextSnapshotKind(noState, [])).toBe("none");
    expect(nextSnapshotKind(null, [table(0, 0)])).toBe("none");
    expect(nextSnapshotKind(ref(1, ...new Array<number>(20).fill(9)), [table(1, 0)])).toBe("none");
  });

  it("is a base where there is nothing to add to, though nothing changed", () => {
    expect(nextSnapshotKind(null, [table(100, 0)])).toBe("base");
    expect(nextSnapshotKind(null, [table(100, 1)])).toBe("base");
    expect(nextSnapshotKind(noState, [table(1, 1)])).toBe("base");
  });

  it("is a delta while deltas are few and smaller than the base", () => {
    expect(nextSnapshotKind(ref(1_000), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(ref(1_000, 400, 600), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(ref(1_000, 400, 601), [table(100, 1)])).toBe("base");
    expect(nextSnapshotKind(ref(1_000, ...new Array<number>(deltasMax - 1).fill(1)), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(ref(1_000, ...new Array<number>(deltasMax).fill(1)), [table(100, 1)])).toBe("base");
  });

  it("is a base where a delta would hold as many keys", () => {
    expect(nextSnapshotKind(ref(1_000), [table(10, 5), table(10, 15)])).toBe("base");
    expect(nextSnapshotKind(ref(1_000), [table(0, 1)])).toBe("base");
    expect(nextSnapshotKind(ref(1_000), [table(10, 5), table(10, 14)])).toBe("delta");
  });

  it("begins a reference anew or is added to it", () => {
    const [base, one, two] = [file(1), file(2), file(3)];
    const first = continued(null, "base", base);
    const third = continued(continued(first, "delta", one), "delta", two);
    expect(third).toEqual({ format: 1, base, deltas: [one, two] });
    expect(continued(third, "base", two)).toEqual({ format: 1, base: two, deltas: [] });
    expect(() => continued(noState, "delta", one)).toThrow(expect.objectContaining({ kind: "bug" }));
  });
});
