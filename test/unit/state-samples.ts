import fc from "fast-check";
import type { KeyGroups } from "../../lib/model/checkpoints.js";
import { checkpointId, sessionId } from "../../lib/model/ids.js";
import type { Key } from "../../lib/model/keys.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotFile } from "../../lib/model/snapshots.js";
import type { StateDeclaration } from "../../lib/pipeline/plan.js";
import type { ListState, MapState, ValueState } from "../../lib/pipeline/state-spec.js";
import type { SnapshotKind } from "../../lib/state/snapshot-format.js";
import type { ReadRange } from "../../lib/state/snapshot-reader.js";
import {
  type EncodedSnapshot,
  type EncodeOptions,
  encodeSnapshot,
  type FinishedSnapshot,
  finishSnapshot,
} from "../../lib/state/snapshot-writer.js";
import { createStateTable, type StateTable } from "../../lib/state/table.js";

export const allGroups: KeyGroups = [0, 127];

export const mixed: Readonly<Record<string, StateDeclaration>> = {
  count: { kind: "value", initial: 0 },
  last: { kind: "value" },
  seen: { kind: "list" },
  by: { kind: "map" },
};

export interface Mixed {
  readonly count: ValueState<unknown>;
  readonly last: ValueState<unknown>;
  readonly seen: ListState<unknown>;
  readonly by: MapState<Key, unknown>;
}

export const mixedTable = (operator = "mixed"): StateTable => createStateTable(operator, 1, mixed);
export const mixedOf = (table: StateTable): Mixed => table.accessors as unknown as Mixed;

/** A table with one value state, set for each key. */
export function valuesTable(operator: string, values: readonly (readonly [Key, unknown])[]): StateTable {
  const table = createStateTable(operator, 1, { value: { kind: "value" } });
  for (const [key, value] of values) setValue(table, key, value);
  return table;
}

export function setValue(table: StateTable, key: Key, value: unknown): void {
  table.enter(key);
  (table.accessors.value as ValueState<unknown>).set(value);
}

export function getValue(table: StateTable, key: Key): unknown {
  table.enter(key);
  return (table.accessors.value as ValueState<unknown>).get();
}

/** Takes a cut of one table alone: each key with its cells by column, null for one that was removed. Nothing is dirty then. */
export function cutOf(table: StateTable, kind: SnapshotKind): [key: Key, cells: readonly unknown[] | null][] {
  const found: [Key, readonly unknown[] | null][] = [];
  const { rows } = table;
  table.beginCut(kind, (row) => {
    const cells = rows.isEmpty(row) ? null : rows.cells.map((column) => column[row]);
    found.push([rows.keys[row] ?? "", cells]);
  });
  while (!table.advanceCut(10));
  return found;
}

/** A bucket of one's own: files by name, and every range that was asked for. */
export class Files {
  readonly bytes = new Map<string, Uint8Array>();
  readonly asked: { readonly key: string; readonly offset: number; readonly length: number }[] = [];

  async write(tables: readonly StateTable[], options: EncodeOptions): Promise<SnapshotFile> {
    return this.store(encodeSnapshot(tables, options));
  }

  async store(encoded: EncodedSnapshot): Promise<SnapshotFile> {
    return this.keep(await finishSnapshot(encoded));
  }

  keep({ bytes, ...index }: FinishedSnapshot): SnapshotFile {
    const key = `snapshot-${this.bytes.size + 1}`;
    this.bytes.set(key, bytes);
    const body = { kind: "object", key, size: bytes.length, sha256: sha256(bytes) } as const;
    return { format: 1, body, session: sessionId("s1"), epoch: checkpointId(this.bytes.size), ...index };
  }

  readonly read: ReadRange = async (stored, [offset, length]) => {
    const key = stored.kind === "object" ? stored.key : "inline";
    this.asked.push({ key, offset, length });
    const bytes = this.bytes.get(key);
    if (bytes === undefined) throw new Error(`no ${key}`);
    return bytes.subarray(offset, offset + length);
  };
}

/** Keys of every kind, the awkward ones often. */
export const anyKey: fc.Arbitrary<Key> = fc.letrec<{ key: Key; array: Key }>((tie) => ({
  key: fc.oneof(
    { withCrossShrink: true, maxDepth: 2 },
    fc.constantFrom<Key>("", "1", "__proto__", "constructor", "é", "\ue000", "😀", "[", "s1:a"),
    fc.constantFrom<Key>(1, 0, -0, 1n, -1n, 2n ** 70n, true, false, 0.5, 1e300, Number.POSITIVE_INFINITY),
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.bigInt(),
    tie("array"),
  ),
  array: fc.array(tie("key"), { maxLength: 3 }),
})).key;

/** Values of every kind that state may hold. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<unknown>(null, "", "\ud800", "a\udfffb", -0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 53, 5e9),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt(),
    fc.boolean(),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(fc.oneof(tie("value"), fc.constant(undefined)), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constant("__proto__"), fc.string({ maxLength: 8 })), tie("value"), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    fc.array(fc.tuple(anyKey, tie("value")), { maxLength: 3 }).map((pairs) => new Map<unknown, unknown>(pairs)),
    fc.array(fc.oneof(fc.integer(), fc.string(), fc.bigInt()), { maxLength: 4 }).map((values) => new Set(values)),
  ),
})).value;
