import { gzipSync } from "node:zlib";
import { invariant, StreamError } from "../model/errors.js";
import { sha256 } from "../model/sha256.js";
import type { SnapshotFile, SnapshotSlice, StoredShape } from "../model/snapshots.js";
import { type EncodedSlice, EntryEncoder } from "./entry-encoder.js";
import {
  fileHeader,
  fileHeaderBytes,
  type SnapshotKind,
  sliceBytesTarget,
  snapshotBytesMax,
} from "./snapshot-format.js";
import type { StateTable } from "./table.js";

/** The state at a cut, as bytes of its own. */
export interface EncodedSnapshot {
  readonly kind: SnapshotKind;
  readonly slices: readonly EncodedSlice[];
  /** By operator, of those that have slices. */
  readonly operators: Readonly<Record<string, StoredShape>>;
}

export interface EncodeOptions {
  readonly kind: SnapshotKind;
  readonly sliceBytesTarget?: number;
  readonly bytesMax?: number;
}

/** How much one {@link Snapshot.step} does at most: about 5 ms on a slow function. An entry is never divided. */
export interface StepLimits {
  readonly entries: number;
  readonly bytes: number;
}

export const stepLimits: StepLimits = Object.freeze({ entries: 16_384, bytes: 512 * 1024 });

/** The first step of a snapshot, each next one twice as many: code that was never run before is slow until it is compiled. */
const firstStepEntries = 512;

/** Entries looked at between two looks at the bytes. */
const entriesAtOnce = 64;

interface Part {
  readonly table: StateTable;
  readonly encoder: EntryEncoder;
}

/**
 * Takes the snapshot of a cut (B2): every key (`base`), or those that changed since the last one (`delta`). Returns at once,
 * however many they are. Records may flow on: what they change is encoded before it is changed, the rest by {@link Snapshot.step}.
 * No table is dirty now, so this snapshot must become part of the reference that the next delta is added to, whatever happens to
 * its checkpoint; if it is lost, or abandoned, the next one must be a base. One snapshot at a time may be under way.
 *
 * @example
 * const snapshot = beginSnapshot(task.tables, { kind: "delta" });      // at the cut
 * const encoded = await encodeInSteps(snapshot, () => clock.sleep(0)); // records flow on in the pauses
 * const { bytes, slices } = await finishSnapshot(encoded);
 */
export function beginSnapshot(tables: readonly StateTable[], options: EncodeOptions): Snapshot {
  return new Snapshot(tables, options);
}

/** A snapshot under way; see {@link beginSnapshot}. */
export class Snapshot {
  readonly kind: SnapshotKind;
  readonly #parts: readonly Part[];
  readonly #bytesMax: number;
  readonly #slicing: Iterator<EncodedSlice, void>;
  readonly #slices: EncodedSlice[] = [];
  /** The part that is being encoded; at the end of them they are made into slices. */
  #at = 0;
  #entriesMax = firstStepEntries;
  #phase: "encoding" | "slicing" | "done" | "abandoned" = "encoding";

  constructor(tables: readonly StateTable[], options: EncodeOptions) {
    this.kind = options.kind;
    this.#bytesMax = options.bytesMax ?? snapshotBytesMax;
    const sorted = tables.toSorted((a, b) => (a.operator < b.operator ? -1 : 1));
    this.#parts = sorted.map((table) => {
      const expected = options.kind === "base" ? table.keys : table.dirty;
      return { table, encoder: new EntryEncoder(table, { bytesMax: this.#bytesMax, expected }) };
    });
    this.#slicing = slicesOf(this.#parts, options.sliceBytesTarget ?? sliceBytesTarget);
    for (const { table, encoder } of this.#parts) table.beginCut(options.kind, (row) => encoder.save(row));
  }

  /**
   * Does a bounded piece of the work, at a record boundary. True once all of it is done.
   *
   * @throws StreamError `invalid` where state holds what would not come back, naming operator, state and key group, or where it
   *   is too much. The snapshot is given up then: see {@link abandon}.
   */
  step(limits: StepLimits = stepLimits): boolean {
    invariant(this.#phase !== "abandoned", "a step of a snapshot that was abandoned");
    try {
      if (this.#phase === "encoding") this.#encode(limits);
      else if (this.#phase === "slicing") this.#slice(limits);
    } catch (cause) {
      this.abandon();
      throw cause;
    }
    return this.#phase === "done";
  }

  /** What was encoded, once a step was the last one. */
  get encoded(): EncodedSnapshot {
    invariant(this.#phase === "done", "a snapshot that is not encoded yet");
    const shapes = this.#parts.flatMap(({ table, encoder }) =>
      encoder.bytes === 0 ? [] : [[table.operator, encoder.shape] as const],
    );
    return { kind: this.kind, slices: this.#slices, operators: Object.fromEntries(shapes) };
  }

  /** Gives it up, wherever it stands. The next snapshot of these tables must be a base. */
  abandon(): void {
    this.#phase = "abandoned";
    for (const { table } of this.#parts) table.abandonCut();
  }

  #encode(limits: StepLimits): void {
    const bytesBefore = this.#bytes();
    const entriesMax = Math.min(limits.entries, this.#entriesMax);
    this.#entriesMax *= 2;
    for (let entries = 0; entries < entriesMax && this.#bytes() - bytesBefore < limits.bytes; ) {
      const part = this.#parts[this.#at];
      if (part === undefined) {
        this.#phase = "slicing";
        return;
      }
      const count = Math.min(entriesAtOnce, entriesMax - entries);
      const isOver = part.table.advanceCut(count);
      this.#check(part);
      entries += count;
      if (isOver) this.#at += 1;
    }
  }

  #check({ table, encoder }: Part): void {
    if (encoder.failure !== null) throw encoder.failure;
    if (this.#bytes() > this.#bytesMax) throw tooLarge(table.operator, this.#bytesMax);
  }

  #bytes(): number {
    let bytes = 0;
    for (const { encoder } of this.#parts) bytes += encoder.bytes;
    return bytes;
  }

  #slice(limits: StepLimits): void {
    for (let bytes = 0; bytes < limits.bytes; ) {
      const { value: slice } = this.#slicing.next();
      if (slice === undefined) {
        this.#phase = "done";
        return;
      }
      bytes += slice.bytes.length;
      this.#slices.push(slice);
    }
  }
}

function* slicesOf(parts: readonly Part[], target: number): Generator<EncodedSlice, void, void> {
  for (const { encoder } of parts) yield* encoder.slices(target);
}

/** Takes all steps of a snapshot, with a pause between two of them, in which records may flow. */
export async function encodeInSteps(snapshot: Snapshot, pause: () => Promise<void>): Promise<EncodedSnapshot> {
  while (!snapshot.step()) await pause();
  return snapshot.encoded;
}

/** A snapshot in one go, where nothing else waits: {@link beginSnapshot} and all steps. */
export function encodeSnapshot(tables: readonly StateTable[], options: EncodeOptions): EncodedSnapshot {
  const snapshot = beginSnapshot(tables, options);
  while (!snapshot.step());
  return snapshot.encoded;
}

const compressedFromBytes = 1_024;

/** A file up to this is compressed: a small one may then lie in the manifest, where each KiB is paid for. */
export const compressedFileBytesMax = 256 * 1024;

// Level 1 keeps up with the upload on a small function; higher ones cost several times the processor time for a tenth less.
const gzipLevel = 1;
const gzipSystemByte = 9;

export interface FinishOptions {
  /**
   * Whether slices are compressed where that makes them smaller. By default those of a file of at most 256 KiB: beyond that,
   * compressing costs more processor time than encoding, and the bucket asks for requests rather than bytes.
   */
  readonly compress?: boolean;
  /** Awaited between pieces of the work. */
  readonly pause?: () => Promise<void>;
}

/** A file, and what the index says of it. */
export type FinishedSnapshot = Required<Pick<SnapshotFile, "slices" | "operators">> & { readonly bytes: Uint8Array };

/** The file and the index of it, for the manifest. The same snapshot gives the same bytes. */
export async function finishSnapshot(
  encoded: EncodedSnapshot,
  { compress, pause }: FinishOptions = {},
): Promise<FinishedSnapshot> {
  const most = encoded.slices.reduce((sum, { bytes }) => sum + bytes.length, fileHeaderBytes);
  const file = new Uint8Array(most);
  file.set(fileHeader(encoded.kind));
  const slices: SnapshotSlice[] = [];
  let offset = fileHeaderBytes;
  let sincePause = 0;
  for (const { bytes, ...slice } of encoded.slices) {
    const stored = await storedBytes(bytes, compress ?? most <= compressedFileBytesMax);
    const codec = stored === bytes ? ("cbor" as const) : ("cbor+gzip" as const);
    file.set(stored, offset);
    slices.push({ ...slice, offset, length: stored.length, codec, sha256: sha256(stored) });
    offset += stored.length;
    sincePause += bytes.length;
    if (sincePause < stepLimits.bytes) continue;
    await pause?.();
    sincePause = 0;
  }
  return { bytes: file.subarray(0, offset), slices, operators: encoded.operators };
}

/** The bytes, compressed if that is wanted and pays. */
async function storedBytes(bytes: Uint8Array, compress: boolean): Promise<Uint8Array> {
  if (!compress || bytes.length < compressedFromBytes) return bytes;
  // Not on other threads: so little takes a millisecond, and a run in virtual time must not wait for what it cannot see.
  const zipped = gzipSync(bytes, { level: gzipLevel });
  zipped[gzipSystemByte] = 0xff; // "unknown": zlib names the operating system here
  return zipped.length < bytes.length ? zipped : bytes;
}

export function tooLarge(operator: string, bytesMax: number): StreamError {
  return new StreamError(
    "invalid",
    `operator "${operator}": the state of one task exceeds ${bytesMax} bytes in a snapshot; raise the parallelism, or keep less`,
  );
}
