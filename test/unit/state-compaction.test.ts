import { describe, expect, it } from "vitest";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
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

  it("is a delta while what a restore reads is no more than twice the base, and the deltas are few", () => {
    const large = 1_000_000;
    expect(nextSnapshotKind(ref(large), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(ref(large, 400_000, 600_000), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(ref(large, 400_000, 601_000), [table(100, 1)])).toBe("base");
    const tiny = (count: number) => new Array<number>(count).fill(1);
    expect(nextSnapshotKind(ref(1e9, ...tiny(deltasMax - 1)), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(ref(1e9, ...tiny(deltasMax)), [table(100, 1)])).toBe("base");
  });

  it("is a base once the acks have carried the deltas' entries for as many bytes, small bodies among them", () => {
    // An inline delta of 3,000 bytes is 4 KB in each ack and each manifest from then on.
    const inline = { ...file(3_000), body: { kind: "inline", base64: "x".repeat(4_000), size: 3_000 } } as SnapshotFile;
    const carried = (count: number) => ({ ...ref(100_000), deltas: new Array<SnapshotFile>(count).fill(inline) });
    expect(nextSnapshotKind(carried(4), [table(100, 1)])).toBe("delta");
    expect(nextSnapshotKind(carried(5), [table(100, 1)])).toBe("base");
  });

  it.each([
    ["0.1 %", 0.001, 25],
    ["1 %", 0.01, 3.5],
    ["10 %", 0.1, 2.1],
    ["50 %", 0.5, 2],
    ["all", 1, 1.1],
  ])("keeps what is written within a factor of what changed: %s of 10 MB a checkpoint", (_, share, factor) => {
    const base = 10_000_000;
    let found: SnapshotRef = noState;
    let written = 0;
    for (let checkpoint = 0; checkpoint < 1_000; checkpoint += 1) {
      const kind = nextSnapshotKind(found, [table(1_000_000, 1_000_000 * share)]);
      if (kind === "none") throw new Error("nothing changed");
      const bytes = kind === "base" ? base : base * share;
      found = continued(found, kind, file(bytes));
      written += bytes + 2 * JSON.stringify(found).length;
    }
    const changed = 1_000 * base * share;
    expect(written / changed).toBeLessThan(factor);
    expect(written / changed).toBeGreaterThan(factor / 2);
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
