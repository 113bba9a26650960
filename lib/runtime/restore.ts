import { loadBody } from "../checkpoint/bodies.js";
import { shardsBefore } from "../checkpoint/fold.js";
import { type Heir, type InheritedSnapshot, inherit } from "../checkpoint/inherit.js";
import type { Claim } from "../checkpoint/lease.js";
import { repeat } from "../checkpoint/repeat.js";
import { type CheckpointStore, readAck, readManifest } from "../checkpoint/store.js";
import type { Ack, Committable, Manifest, Range } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord } from "../model/head.js";
import { type CheckpointId, checkpointId } from "../model/ids.js";
import type { ShardTable } from "../model/shards.js";

/** What a session begins with. Hand-over and restore are the same code (N1): both start from acks. */
export interface Start {
  readonly epoch: CheckpointId;
  readonly snapshots: readonly InheritedSnapshot[];
  readonly shards: ShardTable;
  /** C1: what the acks listed. */
  readonly committables: readonly Committable[];
  /** C4: what any task of the checkpoint lists. Empty after a hand-over, which leaves nothing behind that is not listed. */
  readonly listed: readonly Committable[];
  /** E2, E3: frames that are still expected; of the own generation only after a hand-over. */
  readonly ranges: readonly Range[];
  /** By edge, the last frame of this task in this generation. */
  readonly sent: Ack["sent"];
  readonly recordsIn: number;
  readonly recordsOut: number;
  /** W2: by sink, rows that were counted in a dry run. */
  readonly dryRows: Readonly<Record<string, number>>;
  readonly fromHandover: boolean;
}

/**
 * From this generation's ack that the lease names; where it names none, from the origin; where there is none, from the start (P0).
 *
 * @throws StreamError `corrupt`: something that the checkpoint needs is gone or changed (P3)
 */
export async function readStart(store: CheckpointStore, claim: Claim, heir: Heir): Promise<Start> {
  const { head, record, lease } = claim;
  const base = head.completed === null ? null : await readManifest(store, head.incarnation, head.completed);
  if (lease.ack !== null) {
    const ack = await readAck(store, head.incarnation, head.generation, lease.ack, lease.task);
    if (ack === null)
      throw new StreamError(
        "corrupt",
        `the ack of checkpoint ${lease.ack} of task ${lease.task} is gone, its lease names it (N1)`,
      );
    return fromAck(store, ack, withPositions(shardsBefore(record, base), ack));
  }
  const origin = record.origin === null ? null : await originOf(store, claim, base);
  if (origin === null) return { ...emptyStart, shards: shardsBefore(record, null) };
  return fromOrigin(store, origin, heir, record);
}

const emptyStart = {
  epoch: checkpointId(0),
  snapshots: [],
  committables: [],
  listed: [],
  ranges: [],
  sent: {},
  recordsIn: 0,
  recordsOut: 0,
  dryRows: {},
  fromHandover: false,
};

async function originOf(store: CheckpointStore, claim: Claim, completed: Manifest | null): Promise<Manifest | null> {
  const { origin } = claim.record;
  if (origin === null) return null;
  if (claim.head.completed?.sha256 === origin.sha256) return completed;
  return readManifest(store, claim.head.incarnation, origin);
}

/** N1: the task goes on as it stood at the cut. */
async function fromAck(store: CheckpointStore, ack: Ack, shards: ShardTable): Promise<Start> {
  return {
    epoch: ack.checkpointId,
    snapshots: isEmpty(ack) ? [] : [{ ref: ack.snapshot, keyGroups: ack.keyGroups, isWhole: true }],
    shards,
    committables: await loadList(store, ack),
    listed: [],
    ranges: ack.expected,
    sent: ack.sent,
    recordsIn: ack.figures.recordsIn,
    recordsOut: ack.figures.recordsOut,
    dryRows: dryRowsIn([ack]),
    fromHandover: true,
  };
}

/** E4: every restore is a rescale. */
async function fromOrigin(
  store: CheckpointStore,
  origin: Manifest,
  heir: Heir,
  record: GenerationRecord,
): Promise<Start> {
  const { snapshots, ranges, lists, figures } = inherit(origin, heir);
  const listed = new Map(
    await Promise.all(origin.tasks.map(async (ack) => [ack, await loadList(store, ack)] as const)),
  );
  const sum = (of: (ack: Ack) => number) => figures.reduce((total, ack) => total + of(ack), 0);
  return {
    epoch: origin.checkpointId,
    snapshots,
    shards: shardsBefore(record, origin),
    committables: lists
      .flatMap((ack) => listed.get(ack) ?? [])
      .filter(({ sink }) => heir.sinks.includes(sink))
      .toSorted((a, b) => a.checkpointId - b.checkpointId),
    listed: [...listed.values()].flat(),
    // P2: who drops an operator's state drops what was on its way to it.
    ranges: ranges.filter(({ edge }) => !record.dropped.includes(edge)),
    sent: {},
    recordsIn: sum((ack) => ack.figures.recordsIn),
    recordsOut: sum((ack) => ack.figures.recordsOut),
    dryRows: Object.fromEntries(Object.entries(dryRowsIn(lists)).filter(([sink]) => heir.sinks.includes(sink))),
    fromHandover: false,
  };
}

/** By sink. */
export function dryRowsIn(acks: readonly Ack[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { figures } of acks)
    for (const [sink, rows] of Object.entries(figures.dryRows ?? {})) sums[sink] = (sums[sink] ?? 0) + rows;
  return sums;
}

const isEmpty = ({ snapshot }: Ack): boolean => snapshot.base === null && snapshot.deltas.length === 0;

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
