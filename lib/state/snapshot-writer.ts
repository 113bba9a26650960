import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { KeyGroups } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import { type Key, keyBytes, keyGroupCount } from "../model/keys.js";
import { sha256 } from "../model/sha256.js";
import type { SnapshotSlice } from "../model/snapshots.js";
import { CborWriter } from "./cbor-writer.js";
import type { Entry } from "./entries.js";
import { inKeyOrder } from "./key-order.js";
import { type MapCell, mapEntries } from "./map-cell.js";
import {
  fileHeader,
  type SnapshotKind,
  sliceBytesTarget,
  sliceHeaderItem,
  snapshotBytesMax,
} from "./snapshot-format.js";
import type { Column, StateTable } from "./table.js";

/** A slice before compression. */
export interface EncodedSlice {
  readonly operator: string;
  readonly stateVersion: number;
  readonly keyGroups: KeyGroups;
  readonly keys: number;
  readonly bytes: Uint8Array;
}

/** The state at a cut, as bytes of its own: the tables may change at once. */
export interface EncodedSnapshot {
  readonly kind: SnapshotKind;
  readonly slices: readonly EncodedSlice[];
}

export interface EncodeOptions {
  readonly kind: SnapshotKind;
  readonly sliceBytesTarget?: number;
  readonly bytesMax?: number;
}

/**
 * Takes the snapshot of a cut (B2): every key (`base`), or those that changed since the last one (`delta`). Synchronous, so that no record comes in between;
 * {@link finishSnapshot} does what can wait. Afterwards no table is dirty, so this snapshot must become part of the
 * reference that the next delta is added to, whatever happens to its checkpoint; if it is lost, the next one must be a base.
 * The bytes depend on the state alone, not on the order in which keys came.
 *
 * @throws StreamError `invalid` where state holds what would not come back, naming operator, state and key group; the tables are as before
 */
export function encodeSnapshot(tables: readonly StateTable[], options: EncodeOptions): EncodedSnapshot {
  const slices: EncodedSlice[] = [];
  const bytesMax = options.bytesMax ?? snapshotBytesMax;
  let room = bytesMax;
  for (const table of sortedByOperator(tables)) {
    for (const slice of encodeTable(table, options)) {
      room -= slice.bytes.length;
      if (room < 0) throw tooLarge(table.operator, bytesMax);
      slices.push(slice);
    }
  }
  for (const table of tables) table.settle();
  return { kind: options.kind, slices };
}

const compressedFromBytes = 1_024;
const compressed = promisify(gzip);
// Level 1 keeps up with the upload on a small function; higher ones cost several times the processor time for a tenth less.
const gzipLevel = 1;
const gzipSystemByte = 9;

/** The file and the index of it, for the manifest. Compresses each slice where that pays. The same snapshot gives the same bytes. */
export async function finishSnapshot(
  encoded: EncodedSnapshot,
): Promise<{ readonly bytes: Uint8Array; readonly slices: readonly SnapshotSlice[] }> {
  const parts: Uint8Array[] = [fileHeader(encoded.kind)];
  const slices: SnapshotSlice[] = [];
  let offset = parts[0]?.length ?? 0;
  for (const { bytes, ...slice } of encoded.slices) {
    const zipped = bytes.length < compressedFromBytes ? bytes : await zip(bytes);
    const [stored, codec] = zipped.length < bytes.length ? [zipped, "cbor+gzip" as const] : [bytes, "cbor" as const];
    slices.push({ ...slice, offset, length: stored.length, codec, sha256: sha256(stored) });
    parts.push(stored);
    offset += stored.length;
  }
  return { bytes: Buffer.concat(parts), slices };
}

async function zip(bytes: Uint8Array): Promise<Uint8Array> {
  const zipped = await compressed(bytes, { level: gzipLevel });
  zipped[gzipSystemByte] = 0xff; // "unknown": zlib names the operating system here
  return zipped;
}

function sortedByOperator(tables: readonly StateTable[]): readonly StateTable[] {
  return tables.toSorted((a, b) => (a.operator < b.operator ? -1 : 1));
}

function encodeTable(table: StateTable, options: EncodeOptions): readonly EncodedSlice[] {
  const place: Place = { keyGroup: 0, state: "" };
  try {
    return [...slicesOf(table, place, options)];
  } catch (cause) {
    if (!(cause instanceof StreamError)) throw cause;
    const where = `operator "${table.operator}", state "${place.state}", key group ${place.keyGroup}`;
    throw new StreamError(cause.kind, `${where}: ${cause.message}`, { cause });
  }
}

function* slicesOf(table: StateTable, place: Place, options: EncodeOptions): Generator<EncodedSlice, void, void> {
  const target = options.sliceBytesTarget ?? sliceBytesTarget;
  const writer = new CborWriter({ bytesMax: options.bytesMax ?? snapshotBytesMax });
  let first = 0;
  let keys = 0;
  const close = (): EncodedSlice => {
    const { operator, stateVersion } = table;
    return { operator, stateVersion, keyGroups: [first, place.keyGroup], keys, bytes: writer.take() };
  };
  for (const [keyGroup, entries] of byKeyGroup(table.entries(options.kind)).entries()) {
    if (entries === undefined) continue;
    if (keys === 0) {
      writer.value(sliceHeaderItem(table));
      first = keyGroup;
    }
    place.keyGroup = keyGroup;
    encodeKeyGroup(writer, table, place, entries);
    keys += entries.length;
    if (writer.size < target) continue;
    yield close();
    keys = 0;
  }
  if (keys > 0) yield close();
}

function byKeyGroup(entries: Iterable<Readonly<Entry>>): readonly (Readonly<Entry>[] | undefined)[] {
  const groups = new Array<Readonly<Entry>[] | undefined>(keyGroupCount).fill(undefined);
  for (const entry of entries) {
    const group = groups[entry.keyGroup];
    if (group === undefined) groups[entry.keyGroup] = [entry];
    else group.push(entry);
  }
  return groups;
}

/** Where the writer is, for the message if a value cannot be written. */
interface Place {
  keyGroup: number;
  state: string;
}

function encodeKeyGroup(
  writer: CborWriter,
  table: StateTable,
  place: Place,
  entries: readonly Readonly<Entry>[],
): void {
  for (const entry of inKeyOrder(entries)) {
    writer.arrayOf(3);
    writer.value(place.keyGroup);
    encodeKey(writer, entry.key);
    if (entry.filled === 0) writer.value(null);
    else encodeCells(writer, table.columns, entry.cells, place);
  }
}

function encodeCells(writer: CborWriter, columns: readonly Column[], cells: readonly unknown[], place: Place): void {
  writer.arrayOf(columns.length);
  for (let i = 0; i < columns.length; i += 1) {
    const column = columns[i];
    const cell = cells[i];
    place.state = column?.name ?? "";
    if (column?.kind === "map" && cell !== undefined) encodeMap(writer, cell as MapCell);
    else writer.value(cell);
  }
}

/** A key that is no string is CBOR already, behind a 0xFF (K1). */
function encodeKey(writer: CborWriter, key: Key): void {
  if (typeof key === "string") writer.value(key);
  else writer.raw(keyBytes(key).subarray(1));
}

/** Pairs rather than a CBOR map: in many languages 1 and 1n would be one key of a map. */
function encodeMap(writer: CborWriter, cell: MapCell): void {
  writer.arrayOf(cell.values.size);
  for (const [key, value] of mapEntries(cell)) {
    writer.arrayOf(2);
    encodeKey(writer, key);
    writer.value(value);
  }
}

function tooLarge(operator: string, bytesMax: number): StreamError {
  return new StreamError(
    "invalid",
    `operator "${operator}": the state of one task exceeds ${bytesMax} bytes in a snapshot; raise the parallelism, or keep less`,
  );
}
