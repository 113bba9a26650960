import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Key } from "../../lib/model/keys.js";
import type { SnapshotRef } from "../../lib/model/snapshots.js";
import { continued, nextSnapshotKind, noState } from "../../lib/state/compaction.js";
import type { SnapshotKind } from "../../lib/state/snapshot-format.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import {
  applyToModel,
  applyToTable,
  expectState,
  idOf,
  type Model,
  newModel,
  normalKey,
  type Step,
  step,
} from "./state-histories.js";
import { allGroups, anyKey, Files, mixedTable } from "./state-samples.js";

type Event =
  | { readonly kind: "record"; readonly key: Key; readonly steps: readonly Step[] }
  | { readonly kind: "snapshot"; readonly as: SnapshotKind };

/** Few keys, so that they meet again. */
const history: fc.Arbitrary<readonly Event[]> = fc
  .tuple(fc.array(anyKey, { minLength: 1, maxLength: 6 }), fc.array(anyKey, { minLength: 1, maxLength: 3 }))
  .chain(([keys, mapKeys]) =>
    fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            kind: fc.constant("record"),
            key: fc.constantFrom(...keys),
            steps: fc.array(step(fc.constantFrom(...mapKeys)), { maxLength: 4 }),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            kind: fc.constant("snapshot"),
            as: fc.constantFrom("delta", "delta", "delta", "base"),
          }),
        },
      ),
      { maxLength: 40 },
    ),
  ) as fc.Arbitrary<readonly Event[]>;

describe("state and its snapshots against a naive model", () => {
  it("restore to what was there at the last snapshot, whole and in two halves, and go on from there", async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 0, max: 126 }), async (events, border) => {
        const files = new Files();
        const models = new Map<string, readonly [Key, Model]>();
        let table = mixedTable();
        let ref: SnapshotRef = noState;
        for (const event of [...events, { kind: "snapshot", as: "delta" } as const]) {
          if (event.kind === "record") {
            const [, model] = models.get(idOf(event.key)) ?? [event.key, newModel()];
            models.set(idOf(event.key), [normalKey(event.key), model]);
            applyToTable(table, event.key, event.steps);
            applyToModel(model, event.steps);
            continue;
          }
          expectState(table, models, allGroups);
          if (nextSnapshotKind(ref, [table]) !== "none") {
            const kind = ref.base === null ? "base" : event.as;
            ref = continued(ref, kind, await files.write([table], { kind, sliceBytesTarget: 128 }));
          }
          for (const groups of [allGroups, [0, border], [border + 1, 127]] as const) {
            const copy = mixedTable();
            await restoreInto([copy], ref, groups, files.read);
            expect(copy.dirty).toBe(0);
            expectState(copy, models, groups);
            if (groups === allGroups) table = copy;
          }
        }
      }),
      { numRuns: 300 },
    );
  }, 120_000);
});
