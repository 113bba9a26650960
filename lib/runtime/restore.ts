import { loadBody } from "../checkpoint/bodies.js";
import { shardsBefore } from "../checkpoint/fold.js";
import type { Claim } from "../checkpoint/lease.js";
import { repeat } from "../checkpoint/repeat.js";
import { type CheckpointStore, readAck, readManifest } from "../checkpoint/store.js";
import type { Ack, Committable, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import { type CheckpointId, checkpointId, type TaskId } from "../model/ids.js";
import type { ShardTable } from "../model/shards.js";
import type { SnapshotRef } from "../model/snapshots.js";

/** What a session begins with. Hand-over and restore are the same code (N1): both start from an ack. */
export interface Start {
  readonly epoch: CheckpointId;
  readonly snapshot: SnapshotRef | null;
  readonly shards: ShardTable;
  /** C1: what the ack listed. */
  readonly committables: readonly Committable[];
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly fromHandover: boolean;
}

/**
 * From this generation's ack that the lease names; where it names none, from the origin; where there is none, from the start (P0).
 *
 * @throws StreamError `corrupt`: something that the checkpoint needs is gone or changed (P3)
 */
export async function readStart(store: CheckpointStore, claim: Claim): Promise<Start> {
  const { head, record, lease } = claim;
  const base = head.completed === null ? null : await readManifest(store, head.incarnation, head.completed);
  if (lease.ack !== null) {
    const ack = await readAck(store, head.incarnation, head.generation, lease.ack, lease.task);
    if (ack === null)
      throw new StreamError(
        "corrupt",
        `the ack of checkpoint ${lease.ack} of task ${lease.task} is gone, its lease names it (N1)`,
      );
    return fromAck(store, ack, withPositions(shardsBefore(record, base), ack), true);
  }
  const origin = record.origin === null ? null : await originOf(store, claim, base);
  if (origin === null) return { ...emptyStart, shards: shardsBefore(record, null) };
  return fromAck(store, ackOf(origin, lease.task), shardsBefore(record, origin), false);
}

const emptyStart = {
  epoch: checkpointId(0),
  snapshot: null,
  committables: [],
  recordsIn: 0,
  recordsOut: 0,
  fromHandover: false,
};

async function originOf(store: CheckpointStore, claim: Claim, completed: Manifest | null): Promise<Manifest | null> {
  const { origin } = claim.record;
  if (origin === null) return null;
  if (claim.head.completed?.sha256 === origin.sha256) return completed;
  return readManifest(store, claim.head.incarnation, origin);
}

function ackOf(manifest: Manifest, task: TaskId): Ack {
  const ack = manifest.tasks.find((candidate) => candidate.task === task);
  if (ack === undefined)
    throw new StreamError("corrupt", `checkpoint ${manifest.checkpointId} has no ack of task ${task}`);
  return ack;
}

async function fromAck(store: CheckpointStore, ack: Ack, shards: ShardTable, fromHandover: boolean): Promise<Start> {
  return {
    epoch: ack.checkpointId,
    snapshot: ack.snapshot.base === null && ack.snapshot.deltas.length === 0 ? null : ack.snapshot,
    shards,
    committables: await loadList(store, ack),
    recordsIn: ack.figures.recordsIn,
    recordsOut: ack.figures.recordsOut,
    fromHandover,
  };
}

async function loadList(store: CheckpointStore, ack: Ack): Promise<readonly Committable[]> {
  const stored = ack.committables;
  if (!("kind" in stored)) return stored;
  const bytes = await repeat(store.clock, () => loadBody(store.blobs, stored));
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as readonly Committable[];
}

/** An ack that is not folded yet, or never will be, is ahead of the table (N1: a hand-over after an aborted checkpoint). */
function withPositions(table: ShardTable, ack: Ack): ShardTable {
  return Object.fromEntries(
    Object.entries(table).map(([name, source]) => {
      const positions = new Map((ack.positions[name] ?? []).map((entry) => [entry.shardId, entry.at]));
      const shards = source.shards.map((entry) => ({ ...entry, at: positions.get(entry.shardId) ?? entry.at }));
      return [name, { ...source, shards }];
    }),
  );
}
