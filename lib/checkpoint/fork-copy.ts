import type { Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Note } from "../model/frames.js";
import type { SnapshotFile, SnapshotRef } from "../model/snapshots.js";
import type { Stored } from "../model/stored.js";
import { loadBody } from "./bodies.js";
import { encodeDocument } from "./documents.js";
import { storedExchange } from "./exchange.js";
import { type Named, namedFrames } from "./named-frames.js";
import { incarnationPrefix, noteName } from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

/** From where to where a checkpoint is copied: both lie in one bucket, and one table. */
export interface Copying {
  readonly from: { readonly store: CheckpointStore; readonly incarnation: string };
  readonly to: { readonly store: CheckpointStore; readonly incarnation: string };
}

/**
 * Copies what a checkpoint refers to beneath the prefix of another pipeline, object by object, each checked (P3); and the frames that
 * were on their way, with their notes.
 *
 * @returns the snapshots of its tasks, as they lie there
 * @throws StreamError `corrupt`: something of it is gone or changed
 */
export async function copyParts(copying: Copying, manifest: Manifest): Promise<readonly SnapshotRef[]> {
  const snapshots: SnapshotRef[] = [];
  for (const { snapshot } of manifest.tasks) {
    const { base, deltas } = snapshot;
    const copied = await inTurn(base === null ? deltas : [base, ...deltas], (file) => copyFile(copying, file));
    const [first = null, ...rest] = copied;
    snapshots.push(base === null ? { ...snapshot, deltas: copied } : { ...snapshot, base: first, deltas: rest });
  }
  for (const named of namedFrames(manifest, [])) await copyFrames(copying, named);
  return snapshots;
}

async function inTurn<T>(items: readonly T[], copy: (item: T) => Promise<T>): Promise<readonly T[]> {
  const copied: T[] = [];
  for (const item of items) copied.push(await copy(item));
  return copied;
}

const copyFile = async (copying: Copying, file: SnapshotFile): Promise<SnapshotFile> => ({
  ...file,
  body: await copyBody(copying, file.body),
});

/** R6: under the same name beneath another prefix, which no other pipeline and incarnation has. */
async function copyBody({ from, to }: Copying, stored: Stored): Promise<Stored> {
  if (stored.kind === "inline") return stored;
  const before = incarnationPrefix(from.store.pipeline, from.incarnation);
  if (!stored.key.startsWith(before))
    throw new StreamError(
      "corrupt",
      `${stored.key} does not lie beneath ${before}, as what a checkpoint refers to does`,
    );
  const key = incarnationPrefix(to.store.pipeline, to.incarnation) + stored.key.slice(before.length);
  const bytes = await repeat(from.store.clock, () => loadBody(from.store.blobs, stored));
  await repeat(to.store.clock, () => to.store.blobs.put(key, bytes));
  return { ...stored, key };
}

const notesAtOnce = 256;

/** E1, E3: by the same generation, producer and number, so that the ranges of the checkpoint mean them. */
async function copyFrames(copying: Copying, { lane, from, to }: Named): Promise<void> {
  const exchange = storedExchange(copying.from.store);
  for (let next = from; next <= to; ) {
    const notes = await exchange.notes(lane, next, Math.min(notesAtOnce, to - next + 1));
    if (notes.length === 0)
      throw new StreamError(
        "corrupt",
        `frame ${next} on the edge "${lane.edge}", which the checkpoint names, is gone (P1)`,
      );
    for (const note of notes) await copyNote(copying, { ...lane, incarnation: copying.to.incarnation }, note);
    next += notes.length;
  }
}

async function copyNote(copying: Copying, lane: Named["lane"], note: Note): Promise<void> {
  const { store } = copying.to;
  const body = note.body === null ? null : await copyBody(copying, note.body);
  const at = { group: store.pipeline, name: noteName(lane, note.n) };
  await repeat(store.clock, () => store.registers.swap(at, null, encodeDocument<Note>({ ...note, body })));
}
