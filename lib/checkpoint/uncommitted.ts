import type { Ack, Committable } from "../model/checkpoints.js";
import type { Head, Lease, Progress } from "../model/head.js";
import { type CheckpointId, checkpointId, type TaskId } from "../model/ids.js";
import { tasksOf } from "./fold.js";
import { readList } from "./inventory.js";
import {
  type CheckpointStore,
  listAcks,
  readGenerationRecord,
  readLease,
  readManifest,
  readProgress,
} from "./store.js";

/** Output that a complete checkpoint covers, and that is not known to be written: it is not seen yet. */
export interface Uncommitted {
  readonly checkpointId: CheckpointId;
  readonly sink: string;
  readonly rows: number;
  /** What the last commit of the sink failed with, as the head has it; null: none failed. */
  readonly cause: string | null;
}

/** A session tells once a second what it knew a second before. */
const newsMillis = 2_000;
/** So many of the newest checkpoints are looked at for acks; of tasks that have acked none of them the completed one's counts. */
const ackedMax = 8;

/**
 * C1, C2: what the newest ack of each task lists of completed checkpoints, but for what a lease or a session says is committed. For
 * people: sessions say so a second or two later.
 *
 * @throws StreamError `corrupt`: the manifest, an ack or a list is gone or changed (P3)
 */
export async function readUncommitted(store: CheckpointStore, head: Head): Promise<readonly Uncommitted[]> {
  if (head.completed === null) return [];
  const manifest = await readManifest(store, head.incarnation, head.completed);
  const newest = new Map(manifest.tasks.map((ack) => [ack.task, ack]));
  const last = head.nextCheckpointId - 1;
  for (let id = Math.max(head.completed.checkpointId + 1, last - ackedMax + 1); id <= last; id++) {
    for (const ack of await listAcks(store, head.incarnation, head.generation, checkpointId(id)))
      newest.set(ack.task, ack);
  }
  const tasks = await readTasks(store, head);
  const found = new Map<string, Uncommitted>();
  for (const ack of newest.values()) {
    for (const { checkpointId: id, sink, records } of await listedOf(store, head, ack, tasks)) {
      const place = `${id} ${sink}`;
      const rows = (found.get(place)?.rows ?? 0) + records;
      found.set(place, { checkpointId: id, sink, rows, cause: causeOf(head, sink) });
    }
  }
  return [...found.values()].sort((a, b) => b.checkpointId - a.checkpointId || (a.sink < b.sink ? -1 : 1));
}

interface TaskState {
  readonly lease: Lease | null;
  readonly progress: Progress | null;
}

async function readTasks(store: CheckpointStore, head: Head): Promise<ReadonlyMap<TaskId, TaskState>> {
  const { incarnation, generation } = head;
  const states = tasksOf(await readGenerationRecord(store, head)).map(async (task) => {
    const lease = (await readLease(store, incarnation, generation, task))?.value ?? null;
    return [task, { lease, progress: await readProgress(store, incarnation, generation, task) }] as const;
  });
  return new Map(await Promise.all(states));
}

async function listedOf(
  store: CheckpointStore,
  head: Head,
  ack: Ack,
  tasks: ReadonlyMap<TaskId, TaskState>,
): Promise<readonly Committable[]> {
  const covered = (await readList(store, ack)).filter(
    (item) => item.checkpointId <= (head.completed?.checkpointId ?? 0),
  );
  // Who was given it commits it before it tells how far it is (C2).
  if (ack.generation < head.generation) return [...tasks.values()].every(hasBegun) ? [] : covered;
  const { lease, progress } = tasks.get(ack.task) ?? { lease: null, progress: null };
  const holder = lease?.holder;
  if (holder?.kind === "done") return covered.filter((item) => item.checkpointId > holder.committed);
  if (progress === null || progress.at < head.settledAt + newsMillis) return covered;
  // A task commits in order: what is left are the newest.
  const ids = [...new Set(covered.map((item) => item.checkpointId))].sort((a, b) => b - a);
  const left = new Set(ids.slice(0, progress.uncommitted));
  return covered.filter((item) => left.has(item.checkpointId));
}

const hasBegun = ({ lease, progress }: TaskState): boolean => progress !== null || lease?.holder.kind === "done";

/** A commit says which sink failed. */
const causeOf = (head: Head, sink: string): string | null =>
  head.failures.findLast(({ message }) => message.startsWith(`sink "${sink}": `))?.message ?? null;
