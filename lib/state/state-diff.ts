import { keyGroupCount } from "../model/keys.js";
import { CborWriter } from "./cbor-writer.js";
import type { ReadRange } from "./snapshot-reader.js";
import { type SnapshotPart, type StoredGroup, type StoredKey, sourceOf, sweepState } from "./state-sweep.js";

/** What became of a key's state between two checkpoints. */
export type StateChange =
  | { readonly kind: "added"; readonly now: StoredKey }
  | { readonly kind: "removed"; readonly before: StoredKey }
  | { readonly kind: "changed"; readonly before: StoredKey; readonly now: StoredKey };

export interface ChangedGroup {
  readonly keyGroup: number;
  /** By the bytes of their keys; may be empty. */
  readonly changes: readonly StateChange[];
}

/**
 * The keys of an operator whose state is not the same in two checkpoints, key group by key group. Key groups that both have from the same
 * slices are not read: of large state, what was not touched since costs nothing.
 *
 * @throws StreamError `corrupt` where the bytes are not those that were written
 */
export async function* diffState(
  before: readonly SnapshotPart[],
  now: readonly SnapshotPart[],
  operator: string,
  read: ReadRange,
): AsyncGenerator<ChangedGroup, void, void> {
  const isWanted = (keyGroup: number) => sourceOf(before, operator, keyGroup) !== sourceOf(now, operator, keyGroup);
  const groups = [before, now].map((parts) => groupsOf(sweepState(parts, { operator, read, isWanted })));
  const [old, fresh] = groups;
  for (let keyGroup = 0; keyGroup < keyGroupCount; keyGroup++) {
    if (!isWanted(keyGroup)) continue;
    const changes = changesOf((await old?.(keyGroup)) ?? nothing, (await fresh?.(keyGroup)) ?? nothing);
    yield { keyGroup, changes };
  }
}

type Keys = StoredGroup["keys"];

const nothing: Keys = new Map();

/** Gives the keys of a key group; to be asked for ascending ones. */
function groupsOf(sweep: AsyncGenerator<StoredGroup, void, void>): (keyGroup: number) => Promise<Keys> {
  let next: StoredGroup | null = null;
  let isOver = false;
  return async (keyGroup) => {
    while (!isOver && (next === null || next.keyGroup < keyGroup)) {
      const found = await sweep.next();
      isOver = found.done === true;
      next = found.done === true ? null : found.value;
    }
    return next?.keyGroup === keyGroup ? next.keys : nothing;
  };
}

function changesOf(before: Keys, now: Keys): readonly StateChange[] {
  const ids = [...new Set([...before.keys(), ...now.keys()])].sort();
  return ids.flatMap((id): readonly StateChange[] => {
    const [old, fresh] = [before.get(id), now.get(id)];
    if (old === undefined) return fresh === undefined ? [] : [{ kind: "added", now: fresh }];
    if (fresh === undefined) return [{ kind: "removed", before: old }];
    return isSame(old, fresh) ? [] : [{ kind: "changed", before: old, now: fresh }];
  });
}

/** By the bytes that a snapshot would have. A state that is absent is as good as none. */
function isSame(a: StoredKey, b: StoredKey): boolean {
  return a.stateVersion === b.stateVersion && encoded(a).equals(encoded(b));
}

function encoded({ columns, values }: StoredKey): Buffer {
  const writer = new CborWriter();
  for (const [place, { name, kind }] of columns.entries()) {
    if (values[place] === undefined) continue;
    writer.value([name, kind, values[place]]);
  }
  return Buffer.from(writer.take());
}
