import type { KeyGroups } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import { type Key, keyBytes, keyGroupCount } from "../model/keys.js";
import type { KeyType, StoredShape } from "../model/snapshots.js";
import { CborWriter } from "./cbor-writer.js";
import { type MapCell, mapEntries } from "./map-cell.js";
import type { Rows } from "./rows.js";
import { sliceHeaderItem } from "./snapshot-format.js";
import { type Column, keyTypeOf } from "./table.js";

/** A slice before compression. */
export interface EncodedSlice {
  readonly operator: string;
  readonly stateVersion: number;
  readonly keyGroups: KeyGroups;
  readonly keys: number;
  readonly bytes: Uint8Array;
}

/** Whose entries are encoded. */
export interface Encoded {
  readonly operator: string;
  readonly stateVersion: number;
  readonly columns: readonly Column[];
  readonly rows: Rows;
}

const groupStartBytesMin = 512;
const groupStartBytesMax = 256 * 1024;

/** What a small row takes, and some more, since key groups are not quite equal. */
const rowBytes = 28;

/** Writes the entries of one operator as they come, each behind the others of its key group; in the end slices are made of that. */
export class EntryEncoder {
  /** The first failure. It is told by the one who asks for the snapshot, not to the record during which it came. */
  failure: StreamError | null = null;
  bytes = 0;
  readonly #of: Encoded;
  readonly #groups: (CborWriter | undefined)[] = new Array<CborWriter | undefined>(keyGroupCount).fill(undefined);
  readonly #keys = new Int32Array(keyGroupCount);
  readonly #bytesMax: number;
  readonly #startBytes: number;
  readonly #rows: Rows;
  readonly #isMap: readonly boolean[];
  readonly #keyTypes = new Set<KeyType>();
  /** `typeof` of the key before: mostly all are of one type. */
  #lastType = "";
  /** The column that is being written. */
  #column = 0;

  /** @param expected about how many rows will be saved: too small a buffer is garbage as soon as it is full */
  constructor(of: Encoded, options: { readonly bytesMax: number; readonly expected: number }) {
    this.#of = of;
    this.#bytesMax = options.bytesMax;
    const startBytes = Math.ceil((options.expected * rowBytes) / keyGroupCount);
    this.#startBytes = Math.min(Math.max(startBytes, groupStartBytesMin), groupStartBytesMax);
    this.#rows = of.rows;
    this.#isMap = of.columns.map(({ kind }) => kind === "map");
  }

  /** Of what form it is, for the index. */
  get shape(): StoredShape {
    const states = Object.fromEntries(this.#of.columns.map(({ name, kind }) => [name, kind]));
    return { keys: [...this.#keyTypes].sort(), states };
  }

  /** Encodes what the row holds, or that its key was removed. Never throws. */
  save(row: number): void {
    if (this.failure !== null) return;
    const keyGroup = this.#rows.keyGroup(row);
    try {
      const writer = this.#groups[keyGroup] ?? this.#open(keyGroup);
      const before = writer.size;
      this.#keys[keyGroup] = (this.#keys[keyGroup] ?? 0) + 1;
      this.#encode(writer, row, keyGroup);
      this.bytes += writer.size - before;
    } catch (cause) {
      const error = cause instanceof StreamError ? cause : new StreamError("bug", String(cause), { cause });
      const where = `operator "${this.#of.operator}", state "${this.#of.columns[this.#column]?.name}", key group ${keyGroup}`;
      this.failure = new StreamError(error.kind, `${where}: ${error.message}`, { cause });
    }
  }

  /** Neighbouring key groups together until they have `target` bytes, in their order. To be asked for once, when all are saved. */
  *slices(target: number): Generator<EncodedSlice, void, void> {
    const { operator, stateVersion } = this.#of;
    const header = new CborWriter({ startBytes: groupStartBytesMin });
    header.value(sliceHeaderItem(this.#of));
    let parts: Uint8Array[] = [];
    let [first, last, keys, bytes] = [0, 0, 0, 0];
    const close = (): EncodedSlice => {
      const slice = { operator, stateVersion, keyGroups: [first, last] as const, keys, bytes: Buffer.concat(parts) };
      parts = [];
      return slice;
    };
    for (const [keyGroup, writer] of this.#groups.entries()) {
      if (writer === undefined) continue;
      if (parts.length === 0) {
        parts.push(header.view());
        [first, keys, bytes] = [keyGroup, 0, header.size];
      }
      parts.push(writer.view());
      last = keyGroup;
      keys += this.#keys[keyGroup] ?? 0;
      bytes += writer.size;
      this.#groups[keyGroup] = undefined;
      if (bytes >= target) yield close();
    }
    if (parts.length > 0) yield close();
  }

  #open(keyGroup: number): CborWriter {
    const writer = new CborWriter({ bytesMax: this.#bytesMax, startBytes: this.#startBytes });
    this.#groups[keyGroup] = writer;
    return writer;
  }

  #noteType(key: Key): void {
    this.#lastType = typeof key;
    this.#keyTypes.add(keyTypeOf(key));
  }

  #encode(writer: CborWriter, row: number, keyGroup: number): void {
    const rows = this.#rows;
    const columns = this.#isMap.length;
    writer.entryOf(keyGroup);
    const key = rows.keys[row] ?? "";
    if (typeof key !== this.#lastType) this.#noteType(key);
    encodeKey(writer, key);
    if (rows.isEmpty(row)) {
      writer.value(null);
      return;
    }
    writer.arrayOf(columns);
    for (let i = 0; i < columns; i += 1) {
      this.#column = i;
      const cell = rows.cells[i]?.[row];
      if (this.#isMap[i] === true && cell !== undefined) encodeMap(writer, cell as MapCell);
      else writer.value(cell);
    }
  }
}

/** A key that is no string is CBOR already, behind a 0xFF (K1). */
function encodeKey(writer: CborWriter, key: Key): void {
  // Of these the writer's form is the canonical one.
  if (typeof key === "string" || Number.isSafeInteger(key)) writer.value(key);
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
