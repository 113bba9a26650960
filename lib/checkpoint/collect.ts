import type { Head } from "../model/head.js";
import { checkpointId, type Millis } from "../model/ids.js";
import { floorFor, type Garbage, isDue, noted, ripest, type Stock, stages, stillHolds } from "./garbage.js";
import { type ManifestReader, readLineage } from "./history.js";
import { listManifests, readCollected, takeStock, writeCollected } from "./inventory.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readHead, swapHead, type Versioned } from "./store.js";
import { raiseFloor } from "./transitions.js";

export interface Collection {
  readonly floor: number;
  /** Objects and items that were deleted. */
  readonly removed: number;
  /** Something was left for the next call. */
  readonly more: boolean;
}

export interface CollectOptions {
  /** Complete checkpoints of the lineage that are kept. */
  readonly retained: number;
  /** Nothing is begun when less than {@link closingMillis} is left. */
  readonly deadline: Millis;
}

/** Objects that one call finds, beside frames. */
const listedMax = 5_000;
/** Objects and items that one call deletes: what one call finds, with its frames and their notes, is less. */
export const removedMax = 30_000;
/** DeleteObjects takes so many; as many lie between two looks at the head. */
const objectsAtOnce = 1_000;
const itemsAtOnce = 25;
const closingMillis = 5_000;
const raisesMax = 3;

/**
 * G1, G2: raises the floor, and then deletes what nothing refers to: bounded, with no memory of its own, and harmless wherever it is
 * cut off. Any number may run at a time.
 *
 * A quiet call makes two requests (the head, and the register `collected`). One that collects makes about ten, for a pipeline of several
 * tasks one or two more for each way from a task to an operator, and as many as there are things to delete.
 *
 * @returns null where nothing was due
 * @throws StreamError `corrupt`: a manifest or list that a restorable checkpoint needs is gone or changed; then nothing was deleted
 */
export async function collect(store: CheckpointStore, options: CollectOptions): Promise<Collection | null> {
  const found = await readHead(store);
  const before = await readCollected(store);
  const now = store.clock.now();
  if (found === null || !isDue(found.value, before, options.retained, now)) return null;
  const manifests = await listManifests(store, found.value);
  const head = await raise(store, found, manifests.read, options.retained);
  if (head === null) return null;
  const seen = before?.incarnation === head.incarnation ? before.seen : [];
  const { stock, garbage, isWhole } = await takeStock(store, {
    head,
    now,
    ripe: ripest(seen, now),
    manifests,
    most: listedMax,
  });
  const done = await remove(store, stock, isWhole ? garbage : withoutLast(garbage), options.deadline);
  const more = !isWhole || !done.isAll;
  await writeCollected(store, {
    format: 1,
    incarnation: head.incarnation,
    at: now,
    completed: head.completed?.checkpointId ?? checkpointId(0),
    seen: noted(seen, head, now),
    savepoints: head.savepoints.map(({ sha256 }) => sha256),
    more,
  });
  return { floor: head.floor, removed: done.removed, more };
}

/** G2: by compare-and-set, before anything below it is deleted. Null where others keep moving the head: the next call tries again. */
async function raise(
  store: CheckpointStore,
  found: Versioned<Head>,
  read: ManifestReader,
  retained: number,
): Promise<Head | null> {
  let current: Versioned<Head> | null = found;
  for (let attempt = 1; attempt <= raisesMax && current !== null; attempt++) {
    const head: Head = current.value;
    const next = raiseFloor(head, floorFor(head, await readLineage(read, head, retained), retained));
    if (next === head) return head;
    const swapped = await swapHead(store, current.version, next).catch(() => null);
    if (swapped?.kind === "swapped") return next;
    // Lost, or without an answer: the item says (R5).
    current = await readHead(store);
  }
  return null;
}

/** While parts are left, the manifests that name them stay. */
const withoutLast = (garbage: Garbage): Garbage => {
  const none = { objects: [], items: [] };
  return { ...garbage, generation: none, manifest: none, copy: none };
};

async function remove(
  store: CheckpointStore,
  stock: Stock,
  garbage: Garbage,
  deadline: Millis,
): Promise<{ readonly removed: number; readonly isAll: boolean }> {
  let removed = 0;
  for (const batch of batchesOf(garbage)) {
    const size = batch.objects.length + batch.items.length;
    const isLate = store.clock.now() + closingMillis > deadline;
    if (isLate || removed + size > removedMax) return { removed, isAll: false };
    if (!stillHolds(stock, (await readHead(store))?.value ?? null)) return { removed, isAll: false };
    if (batch.objects.length > 0) await repeat(store.clock, () => store.blobs.remove(batch.objects));
    const group = store.pipeline;
    await Promise.all(batch.items.map((name) => repeat(store.clock, () => store.registers.remove({ group, name }))));
    removed += size;
  }
  return { removed, isAll: true };
}

function* batchesOf(garbage: Garbage): Generator<{ readonly objects: string[]; readonly items: string[] }> {
  for (const stage of stages) {
    const { objects, items } = garbage[stage];
    for (let at = 0; at < objects.length; at += objectsAtOnce)
      yield { objects: objects.slice(at, at + objectsAtOnce), items: [] };
    for (let at = 0; at < items.length; at += itemsAtOnce)
      yield { objects: [], items: items.slice(at, at + itemsAtOnce) };
  }
}
