import type { KeyGroups } from "../model/checkpoints.js";
import { type Key, keyBytes, keyGroupCount } from "../model/keys.js";
import type { SnapshotFile, SnapshotRef, SnapshotSlice } from "../model/snapshots.js";
import { overlapOf } from "./key-group-ranges.js";
import { filesOf } from "./known-state.js";
import { readSlice } from "./slice-reader.js";
import { bodyName, type ReadRange } from "./snapshot-reader.js";
import type { Column } from "./table.js";

/** A task's snapshot and the key groups of its ack: no more of it counts. */
export interface SnapshotPart {
  readonly ref: SnapshotRef;
  readonly keyGroups: KeyGroups;
}

/** What an operator holds for a key: `values` by column, as a snapshot has them; a map is an array of pairs. */
export interface StoredKey {
  readonly key: Key;
  readonly stateVersion: number;
  readonly columns: readonly Column[];
  readonly values: readonly unknown[];
}

/** The keys of a key group, by their bytes (K1) as text, in the order of these. */
export interface StoredGroup {
  readonly keyGroup: number;
  readonly keys: ReadonlyMap<string, StoredKey>;
}

/** Bytes of a file that are read at once: a snapshot is a base and up to 64 deltas, of each of which so much is in memory. */
const sweepBytesMax = 1024 * 1024;

export interface Sweep {
  readonly operator: string;
  readonly read: ReadRange;
  /** Of these key groups. */
  readonly only?: KeyGroups;
  /** Others of them are passed over. */
  readonly isWanted?: (keyGroup: number) => boolean;
}

const allKeyGroups: KeyGroups = [0, keyGroupCount - 1];

const ascending = (parts: readonly SnapshotPart[]): readonly SnapshotPart[] =>
  parts.toSorted((a, b) => a.keyGroups[0] - b.keyGroups[0]);

/**
 * The state of an operator, key group by key group, ascending: base, then deltas, of each part. However much state there is, in memory
 * are one key group, and of each file the slice that is being read. Every slice is checked before it is used (P3).
 *
 * @throws StreamError `corrupt` where the bytes are not those that were written
 */
export async function* sweepState(
  parts: readonly SnapshotPart[],
  { operator, read, only = allKeyGroups, isWanted = () => true }: Sweep,
): AsyncGenerator<StoredGroup, void, void> {
  for (const { ref, keyGroups } of ascending(parts)) {
    const wanted = overlapOf(keyGroups, only);
    if (wanted === null) continue;
    const cursors = filesOf(ref).flatMap((file) => cursorOf(file, { operator, wanted, read, isWanted }));
    for (let keyGroup = wanted[0]; keyGroup <= wanted[1]; keyGroup++) {
      if (!isWanted(keyGroup)) continue;
      const found = await Promise.all(cursors.map((cursor) => cursor(keyGroup)));
      const keys = folded(found);
      if (keys.size > 0) yield { keyGroup, keys };
    }
  }
}

type Entry = readonly [id: string, key: StoredKey | null];

function folded(files: readonly (readonly Entry[])[]): ReadonlyMap<string, StoredKey> {
  const keys = new Map<string, StoredKey>();
  for (const entries of files) {
    for (const [id, key] of entries) {
      if (key === null) keys.delete(id);
      else keys.set(id, key);
    }
  }
  return new Map([...keys].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Gives what a file has of a key group; to be asked for ascending ones. */
type Cursor = (keyGroup: number) => Promise<readonly Entry[]>;

interface Wanted {
  readonly operator: string;
  readonly wanted: KeyGroups;
  readonly read: ReadRange;
  readonly isWanted: (keyGroup: number) => boolean;
}

function cursorOf(file: SnapshotFile, { operator, wanted, read, isWanted }: Wanted): readonly Cursor[] {
  const slices = file.slices.filter((slice) => {
    const both = slice.operator === operator ? overlapOf(slice.keyGroups, wanted) : null;
    return both !== null && Array.from({ length: both[1] - both[0] + 1 }, (_, i) => both[0] + i).some(isWanted);
  });
  if (slices.length === 0) return [];
  const runs = runsOf(slices);
  let loaded: { readonly run: Run; readonly bytes: Uint8Array } | null = null;
  let opened: { readonly slice: SnapshotSlice; readonly groups: ReadonlyMap<number, readonly Entry[]> } | null = null;
  return [
    async (keyGroup) => {
      const slice = slices.find(({ keyGroups }) => keyGroups[0] <= keyGroup && keyGroup <= keyGroups[1]);
      const run = runs.find((one) => slice !== undefined && one.slices.includes(slice));
      if (slice === undefined || run === undefined) return [];
      if (opened?.slice !== slice) {
        if (loaded?.run !== run) loaded = { run, bytes: await read(file.body, [run.offset, run.length]) };
        const from = slice.offset - run.offset;
        opened = { slice, groups: entriesOf(loaded.bytes.subarray(from, from + slice.length), slice, file) };
      }
      return opened.groups.get(keyGroup) ?? [];
    },
  ];
}

/** Slices that lie one behind the other, and are read at once. */
interface Run {
  readonly offset: number;
  readonly length: number;
  readonly slices: readonly SnapshotSlice[];
}

function runsOf(slices: readonly SnapshotSlice[]): readonly Run[] {
  const runs: Run[] = [];
  for (const slice of slices.toSorted((a, b) => a.offset - b.offset)) {
    const last = runs.at(-1);
    const { offset, length } = slice;
    if (last !== undefined && last.offset + last.length === offset && last.length + length <= sweepBytesMax)
      runs[runs.length - 1] = { offset: last.offset, length: last.length + length, slices: [...last.slices, slice] };
    else runs.push({ offset, length, slices: [slice] });
  }
  return runs;
}

function entriesOf(bytes: Uint8Array, slice: SnapshotSlice, file: SnapshotFile): ReadonlyMap<number, readonly Entry[]> {
  const groups = new Map<number, Entry[]>();
  const { columns, stateVersion, each } = readSlice(bytes, slice, bodyName(file.body));
  each((keyGroup, key, values) => {
    const entries = groups.get(keyGroup) ?? [];
    entries.push([keyId(key), values === null ? null : { key, stateVersion, columns, values }]);
    groups.set(keyGroup, entries);
  });
  return groups;
}

/** The slices that what an operator has in a key group comes from: where they are the same ones, it has the same. */
export function sourceOf(parts: readonly SnapshotPart[], operator: string, keyGroup: number): string {
  const holds = ([first, last]: KeyGroups) => first <= keyGroup && keyGroup <= last;
  return parts
    .filter(({ keyGroups }) => holds(keyGroups))
    .flatMap(({ ref }) => filesOf(ref))
    .flatMap(({ slices }) => slices.filter((slice) => slice.operator === operator && holds(slice.keyGroups)))
    .map(({ sha256 }) => sha256)
    .join();
}

/** Of keys that are one key (K1) the same text; as text they sort as their bytes do. */
export const keyId = (key: Key): string => Buffer.from(keyBytes(key)).toString("latin1");
