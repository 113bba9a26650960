import type { Ack, Manifest } from "../model/checkpoints.js";
import type { Desired, FailureReport, GenerationRecord, Head, Lease, Progress } from "../model/head.js";
import type { Millis, TaskId } from "../model/ids.js";
import { tasksOf } from "./fold.js";
import * as store from "./store.js";
import { readTaskFacts } from "./task-facts.js";
import type { Look } from "./watch.js";

/** All that a decision rests on, read in one go: the head first, so that whatever is decided is from a version no newer than the rest. */
export interface Facts {
  readonly now: Millis;
  readonly desired: Desired | null;
  readonly head: store.Versioned<Head> | null;
  readonly record: GenerationRecord | null;
  /** Of the head's generation; a task whose lease was never taken has none. */
  readonly leases: ReadonlyMap<TaskId, store.Versioned<Lease>>;
  readonly progress: ReadonlyMap<TaskId, Progress>;
  /** Of the pending checkpoint. */
  readonly acks: readonly Ack[];
  /** The manifest of `head.completed`. */
  readonly completed: Manifest | null;
  readonly reports: readonly FailureReport[];
  /** What the supervisor found behind the positions of a pipeline that sleeps, once it has looked (N3). */
  readonly look: Look | null;
}

/** What stays the same under a name, kept between two readings of the facts. */
export interface FactCache {
  record: { readonly hash: string; readonly record: GenerationRecord } | null;
  completed: { readonly hash: string; readonly manifest: Manifest } | null;
}

export const emptyCache = (): FactCache => ({ record: null, completed: null });

export async function readFacts(
  from: store.CheckpointStore,
  cache: FactCache,
  reports: readonly FailureReport[],
): Promise<Facts> {
  const head = await store.readHead(from);
  const desired = (await store.readDesired(from))?.value ?? null;
  const base = { now: from.clock.now(), desired, head, reports, look: null };
  if (head === null)
    return { ...base, record: null, leases: new Map(), progress: new Map(), acks: [], completed: null };
  const { incarnation, generation, pending } = head.value;
  const record = await cachedRecord(from, cache, head.value);
  // One that sleeps has no sessions: what its last ones left is of no interest.
  const tasks = head.value.status === "suspended" ? [] : tasksOf(record);
  const [ofTasks, acks, completed] = await Promise.all([
    readTaskFacts(from, incarnation, generation, tasks),
    pending === null ? [] : store.listAcks(from, incarnation, generation, pending.checkpointId),
    cachedManifest(from, cache, head.value),
  ]);
  return { ...base, ...ofTasks, record, acks, completed };
}

async function cachedRecord(from: store.CheckpointStore, cache: FactCache, head: Head): Promise<GenerationRecord> {
  if (cache.record?.hash !== head.generationRecord) {
    cache.record = { hash: head.generationRecord, record: await store.readGenerationRecord(from, head) };
  }
  return cache.record.record;
}

export async function cachedManifest(
  from: store.CheckpointStore,
  cache: FactCache,
  head: Head,
): Promise<Manifest | null> {
  if (head.completed === null) return null;
  if (cache.completed?.hash !== head.completed.sha256) {
    const manifest = await store.readManifest(from, head.incarnation, head.completed);
    cache.completed = { hash: head.completed.sha256, manifest };
  }
  return cache.completed.manifest;
}
