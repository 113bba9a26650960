import { invariant } from "../model/errors.js";
import type { SnapshotFile, SnapshotRef } from "../model/snapshots.js";
import type { SnapshotKind } from "./snapshot-format.js";
import type { StateTable } from "./table.js";

/** A restore reads the base and every delta: so many files at most, and at most twice the state. */
export const deltasMax = 8;

/** Of a task without keyed state, or whose state is empty and was never saved. */
export const noState: SnapshotRef = Object.freeze({ format: 1, base: null, deltas: Object.freeze([]) });

/**
 * What the next snapshot is: `none` where nothing changed since `ref` (which is then passed on; `noState` where it is null),
 * `base` where there is nothing to add to, where a delta would be no smaller, or where the deltas are too many or together
 * larger than the base; else `delta`.
 *
 * @param ref what {@link restoreInto} returned, or the last snapshot made it; null where a base is due
 */
export function nextSnapshotKind(
  ref: SnapshotRef | null,
  tables: readonly Pick<StateTable, "keys" | "dirty">[],
): SnapshotKind | "none" {
  const dirty = tables.reduce((sum, table) => sum + table.dirty, 0);
  const keys = tables.reduce((sum, table) => sum + table.keys, 0);
  if (dirty === 0 && (ref !== null || keys === 0)) return "none";
  if (ref === null || ref.base === null || dirty >= keys) return "base";
  const deltaBytes = ref.deltas.reduce((sum, { body }) => sum + body.size, 0);
  return ref.deltas.length >= deltasMax || deltaBytes > ref.base.body.size ? "base" : "delta";
}

/** The reference after a snapshot was written: a base begins anew, a delta is added. */
export function continued(ref: SnapshotRef | null, kind: SnapshotKind, file: SnapshotFile): SnapshotRef {
  if (kind === "base") return { format: 1, base: file, deltas: [] };
  invariant(ref !== null && ref.base !== null, "a delta without a base to add it to");
  return { ...ref, deltas: [...ref.deltas, file] };
}
