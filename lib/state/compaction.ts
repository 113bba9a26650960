import { invariant } from "../model/errors.js";
import type { SnapshotFile, SnapshotRef } from "../model/snapshots.js";
import type { SnapshotKind } from "./snapshot-format.js";
import type { StateTable } from "./table.js";

/** A restore reads the base and every delta, some at a time: so many files at most, and at most twice the state. */
export const deltasMax = 64;

/** The index of a snapshot is written with each ack, and again with the manifest. */
const indexCopies = 2;

/** Of a task without keyed state, or whose state is empty and was never saved. */
export const noState: SnapshotRef = Object.freeze({ format: 1, base: null, deltas: Object.freeze([]) });

/**
 * What the next snapshot is: `none` where nothing changed since `ref` (which is then passed on; `noState` where it is null),
 * `base` where there is nothing to add to, where a delta would be no smaller, or where a base is due; else `delta`.
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
  return isBaseDue(ref.base, ref.deltas) ? "base" : "delta";
}

/**
 * A base costs its bytes, so it is written once the deltas have cost as much: to a restore, which reads them all, and to the
 * acks, which hold each delta's entry in the index, small bodies and all, from when it was written on. So whatever share of the
 * keys changes, what is written stays within a small factor of what changed, but for a base every {@link deltasMax} snapshots.
 */
function isBaseDue(base: SnapshotFile, deltas: readonly SnapshotFile[]): boolean {
  if (deltas.length >= deltasMax) return true;
  let read = 0;
  let carried = 0;
  for (const [place, delta] of deltas.entries()) {
    read += delta.body.size;
    carried += indexCopies * JSON.stringify(delta).length * (deltas.length - place);
  }
  return Math.max(read, carried) > base.body.size + indexCopies * JSON.stringify(base).length;
}

/** The reference after a snapshot was written: a base begins anew, a delta is added. */
export function continued(ref: SnapshotRef | null, kind: SnapshotKind, file: SnapshotFile): SnapshotRef {
  if (kind === "base") return { format: 1, base: file, deltas: [] };
  invariant(ref !== null && ref.base !== null, "a delta without a base to add it to");
  return { ...ref, deltas: [...ref.deltas, file] };
}
