import type { KeyGroups } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import type { SnapshotRef, SnapshotSlice } from "../model/snapshots.js";
import type { Stored } from "../model/stored.js";
import { overlapOf } from "./key-group-ranges.js";
import { checkOperators, checkShape, filesOf } from "./known-state.js";
import { migrated } from "./migrate.js";
import { type OpenedSlice, readSlice } from "./slice-reader.js";
import { planReads, type SliceRead } from "./slice-reads.js";
import { fileHeader, fileHeaderBytes, type SnapshotKind } from "./snapshot-format.js";
import type { StateTable } from "./table.js";

/** Reads a range of a body. May give fewer bytes where the body ends early; throws where there is none. */
export type ReadRange = (stored: Stored, range: readonly [offset: number, length: number]) => Promise<Uint8Array>;

/** Reads under way at a time: some hide the latency of S3, and each holds up to 8 MiB. */
const readsAtOnce = 8;

/**
 * Puts into the tables what a snapshot holds for these key groups: base first, then its deltas, oldest first. What is read is
 * checked first (P3); only the slices that overlap are read. The tables are clean afterwards.
 *
 * @param keyGroups those of the ack that holds `ref`, as far as they are this task's too. Not more: after a rescale a base
 *   may still hold keys that now live in another task's snapshots.
 * @param leaveOut operators whose state is not for these tables: dropped by the user (P2), or of another stage
 * @returns what the next delta may be added to: `ref`, or null where something was left out or migrated, for a later restore would
 *   find it again. With null, and where one task restores from several references, the next snapshot must be a base.
 * @throws StreamError `invalid` where state is left that no table is for (P2), or of another state version or shape;
 *   `corrupt` where the bytes are not those that were written
 */
export async function restoreInto(
  tables: readonly StateTable[],
  ref: SnapshotRef,
  keyGroups: KeyGroups,
  read: ReadRange,
  leaveOut: readonly string[] = [],
): Promise<SnapshotRef | null> {
  checkOperators(tables, ref, leaveOut);
  const byOperator = new Map(tables.map((table) => [table.operator, table]));
  const wanted = (slice: SnapshotSlice) =>
    !leaveOut.includes(slice.operator) && overlapOf(slice.keyGroups, keyGroups) !== null;
  const reads = filesOf(ref).flatMap((file) => planReads(file, file.slices.filter(wanted)));
  for (let i = 0; i < reads.length; i += readsAtOnce) {
    const batch = reads.slice(i, i + readsAtOnce);
    const found = await Promise.all(batch.map((part) => read(part.file.body, [part.offset, part.length])));
    for (const [at, part] of batch.entries()) {
      const bytes = found[at] ?? new Uint8Array();
      checkFileHeader(part, bytes, part.file === ref.base ? "base" : "delta");
      for (const slice of part.slices) applySlice(byOperator, part, bytes, { slice, keyGroups });
    }
  }
  const isOther = ({ operator, stateVersion }: SnapshotSlice) =>
    leaveOut.includes(operator) || byOperator.get(operator)?.stateVersion !== stateVersion;
  return slicesOf(ref).some(isOther) ? null : ref;
}

const slicesOf = (ref: SnapshotRef): readonly SnapshotSlice[] => filesOf(ref).flatMap(({ slices }) => slices);

/** For messages. */
export const bodyName = (stored: Stored): string => (stored.kind === "object" ? stored.key : `inline ${stored.sha256}`);

function checkFileHeader(read: SliceRead, bytes: Uint8Array, kind: SnapshotKind): void {
  if (read.offset > 0) return;
  const expected = Buffer.from(fileHeader(kind));
  const found = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, fileHeaderBytes));
  if (expected.equals(found)) return;
  throw new StreamError(
    "corrupt",
    `snapshot ${bodyName(read.file.body)}: begins with ${found.toString("hex")}, expected ${expected.toString("hex")} (a ${kind})`,
  );
}

function applySlice(
  tables: ReadonlyMap<string, StateTable>,
  read: SliceRead,
  bytes: Uint8Array,
  { slice, keyGroups }: { readonly slice: SnapshotSlice; readonly keyGroups: KeyGroups },
): void {
  const table = tables.get(slice.operator);
  if (table === undefined) return;
  const from = slice.offset - read.offset;
  const opened = readSlice(bytes.subarray(from, from + slice.length), slice, bodyName(read.file.body));
  const convert = converter(table, opened);
  opened.each((keyGroup, key, values) => {
    if (keyGroup < keyGroups[0] || keyGroup > keyGroups[1]) return;
    table.restore(key, keyGroup, values === null ? null : convert(key, values));
  });
}

/** From the values of the slice to those of the table. */
function converter(
  table: StateTable,
  slice: OpenedSlice,
): (key: Key, values: readonly unknown[]) => readonly unknown[] | null {
  if (slice.stateVersion !== table.stateVersion) return (key, values) => migrated(table, slice, key, values);
  const places = placesOf(table, slice);
  if (places.every((place, column) => place === column)) return (_key, values) => values;
  return (_key, values) => places.map((place) => (place === null ? undefined : values[place]));
}

/** For each state of the table its place in the slice, or null where it was added since. */
function placesOf({ operator, stateVersion, columns }: StateTable, slice: OpenedSlice): readonly (number | null)[] {
  const inSlice = new Map(slice.columns.map(({ name, kind }, place) => [name, { kind, place }]));
  const states = Object.fromEntries(slice.columns.map(({ name, kind }) => [name, kind]));
  checkShape({ operator, stateVersion, columns }, { keys: [], states });
  return columns.map(({ name }) => inSlice.get(name)?.place ?? null);
}
