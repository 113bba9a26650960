import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import { type CheckpointId, checkpointId, type Generation, generation, type Sha256 } from "../model/ids.js";
import { storedKeysIn } from "./garbage.js";
import { readList } from "./inventory.js";
import { readCopy, readMarker } from "./marked.js";
import { countOf, framesOf, readNotes } from "./named-notes.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

/**
 * A checkpoint that the bucket alone proves: marked, its manifest has its hash, and all that it refers to is there (R7). One that leaves
 * frames to be taken needs their notes too, which only the table has.
 */
export interface Found {
  readonly ref: CheckpointRef;
  readonly manifest: Manifest;
}

export interface Distrusted {
  readonly checkpointId: CheckpointId;
  readonly why: string;
  /** All else is there, but not the notes of so many frames that were on their way: these lie in the table alone (E1). */
  readonly framesWithoutNotes: number;
}

/** What the bucket says of an incarnation. Each newest first. */
export interface Bucket {
  readonly trusted: readonly Found[];
  readonly distrusted: readonly Distrusted[];
  readonly savepoints: readonly names.SavepointMark[];
  /** Ids of manifests without a marker. */
  readonly unmarked: readonly CheckpointId[];
  readonly records: readonly { readonly generation: Generation; readonly sha256: Sha256 }[];
  /** The highest that any name has. */
  readonly generation: Generation;
  readonly checkpointId: CheckpointId;
}

export async function readBucket(store: CheckpointStore, incarnation: string): Promise<Bucket> {
  const prefix = names.incarnationPrefix(store.pipeline, incarnation);
  const keys = await repeat(store.clock, () => keysUnder(store, prefix));
  const parsed = [...keys].flatMap((key) => names.parseObjectKey(prefix, key) ?? []);
  const trusted: Found[] = [];
  const distrusted: Distrusted[] = [];
  for (const name of parsed) {
    if (name.kind !== "marker") continue;
    const found = await prove(store, incarnation, name.checkpointId, keys);
    if ("why" in found) distrusted.push({ checkpointId: name.checkpointId, ...found });
    else trusted.push(found);
  }
  const marked = new Set(parsed.flatMap((name) => (name.kind === "marker" ? [name.checkpointId] : [])));
  const manifests = parsed.flatMap((name) => (name.kind === "manifest" ? [name.ref] : []));
  const parts = parsed.flatMap((name) => (name.kind === "part" ? [name] : []));
  const places = [...parts, ...manifests];
  const records = parsed.flatMap((name) => (name.kind === "record" ? [name] : []));
  const generations = [...places, ...records, ...trusted.map(({ ref }) => ref)].map((at) => at.generation);
  const newest = (a: { readonly checkpointId: number }, b: { readonly checkpointId: number }) =>
    b.checkpointId - a.checkpointId;
  return {
    trusted: trusted.sort((a, b) => newest(a.ref, b.ref)),
    distrusted: distrusted.sort(newest),
    savepoints: parsed.flatMap((name) => (name.kind === "savepoint" ? [name] : [])).sort(newest),
    unmarked: [...new Set(manifests.map((ref) => ref.checkpointId))].filter((id) => !marked.has(id)),
    records: records.sort((a, b) => b.generation - a.generation),
    generation: generation(greatest([...generations, ...generationsOnly(keys, prefix)])),
    checkpointId: checkpointId(greatest([...places.map((at) => at.checkpointId), ...marked])),
  };
}

async function keysUnder(store: CheckpointStore, prefix: string): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for await (const { key } of store.blobs.list(prefix)) keys.add(key);
  return keys;
}

/** R6: whatever lies under a generation, its number has been used. */
function generationsOnly(keys: ReadonlySet<string>, prefix: string): readonly number[] {
  return [...keys].flatMap((key) => {
    const digits = /^(\d{8,})\//.exec(key.slice(prefix.length))?.[1];
    return digits === undefined ? [] : [Number(digits)];
  });
}

const greatest = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.max(a, b), 0);

async function prove(
  store: CheckpointStore,
  incarnation: string,
  id: CheckpointId,
  keys: ReadonlySet<string>,
): Promise<Found | Omit<Distrusted, "checkpointId">> {
  try {
    const ref = await readMarker(store, incarnation, id);
    const manifest = await readCopy(store, incarnation, ref);
    const missing = (await referencesOf(store, manifest)).find((key) => !keys.has(key));
    if (missing !== undefined) return { why: `${missing} is gone`, framesWithoutNotes: 0 };
    const framesWithoutNotes = await checkFrames(store, manifest, keys);
    if (framesWithoutNotes === 0) return { ref, manifest };
    return { why: inFlight(incarnation, framesWithoutNotes), framesWithoutNotes };
  } catch (error) {
    const { kind, message } = asStreamError(error);
    if (kind !== "corrupt") throw error;
    return { why: message, framesWithoutNotes: 0 };
  }
}

/**
 * E3: the frames that a restore would read.
 *
 * @returns how many have no note
 * @throws StreamError `corrupt`: a note is not what was written, or a frame that has one is gone
 */
async function checkFrames(store: CheckpointStore, manifest: Manifest, keys: ReadonlySet<string>): Promise<number> {
  let withoutNotes = 0;
  for (const frames of framesOf(manifest)) {
    for await (const found of readNotes(store, manifest.incarnation, frames)) {
      if (found.kind === "changed") throw found.error;
      if (found.kind === "gone") withoutNotes += countOf([found.frames]);
      else if (found.note.body?.kind === "object" && !keys.has(found.note.body.key))
        throw new StreamError("corrupt", `${found.note.body.key} is gone, which has ${found.where}`);
    }
  }
  return withoutNotes;
}

const inFlight = (incarnation: string, frames: number): string =>
  `${frames} ${frames === 1 ? "frame was" : "frames were"} on the way between its tasks, and the notes that say what they hold were in the table alone (items "note/${incarnation}/…")`;

async function referencesOf(store: CheckpointStore, manifest: Manifest): Promise<readonly string[]> {
  const keys = storedKeysIn(manifest);
  for (const ack of manifest.tasks) storedKeysIn(await readList(store, ack), keys);
  return [...keys];
}

/** The links of the chain behind a checkpoint that are there, itself first, down to the floor. */
export function chain(trusted: readonly Found[], from: CheckpointRef, floor: number): readonly Found[] {
  const byHash = new Map<string, Found>(trusted.map((one) => [one.ref.sha256, one]));
  const links: Found[] = [];
  for (let ref: CheckpointRef | null = from; ref !== null && ref.checkpointId >= floor; ) {
    const found = byHash.get(ref.sha256);
    if (found === undefined) return links;
    links.push(found);
    ref = found.manifest.previous;
  }
  return links;
}
