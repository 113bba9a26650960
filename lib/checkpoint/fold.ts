import type { Ack, CheckpointRef, Manifest, Pending } from "../model/checkpoints.js";
import { invariant } from "../model/errors.js";
import type { GenerationRecord, Lease } from "../model/head.js";
import { type Millis, millis, type Sha256, type TaskId, taskId } from "../model/ids.js";
import type { ShardTable } from "../model/shards.js";
import type { LogShard } from "../ports/log.js";
import { readFurther } from "./retention.js";
import { foldShards } from "./shard-table.js";

/** All tasks of a generation, coordinator first. */
export function tasksOf(record: Pick<GenerationRecord, "stages">): readonly TaskId[] {
  return record.stages.flatMap((stage, stageIndex) =>
    Array.from({ length: stage.tasks }, (_, index) => taskId(stageIndex, index)),
  );
}

/**
 * B4: one ack of each task, in the order of the tasks, or null while one is missing.
 * A task that finished in this generation counts with its finished ack for all later checkpoints, once its lease is done: while a
 * session runs it, that one acks too, and is the one that commits and ends (C3).
 */
export function gatherAcks(
  record: GenerationRecord,
  acks: readonly Ack[],
  previous: Manifest | null,
  leases: ReadonlyMap<TaskId, { readonly value: Lease }>,
): readonly Ack[] | null {
  const gathered: Ack[] = [];
  for (const task of tasksOf(record)) {
    const isDone = leases.get(task)?.value.holder.kind === "done";
    const ack =
      acks.find((candidate) => candidate.task === task) ?? (isDone ? finishedAck(record, previous, task) : undefined);
    if (ack === undefined) return null;
    gathered.push(ack);
  }
  return gathered;
}

function finishedAck(record: GenerationRecord, previous: Manifest | null, task: TaskId): Ack | undefined {
  if (previous?.generation !== record.generation) return undefined;
  return previous.tasks.find((ack) => ack.task === task && ack.finished);
}

export interface FoldInput {
  readonly record: GenerationRecord;
  readonly recordHash: Sha256;
  readonly pending: Pending;
  readonly acks: readonly Ack[];
  /** The completed checkpoint before, in this lineage, and its name. */
  readonly previous: { readonly ref: CheckpointRef; readonly manifest: Manifest } | null;
  readonly listed: Readonly<Record<string, readonly LogShard[]>>;
}

/** B4: the manifest, a pure function: no clock, no name of the folder. */
export function foldManifest(input: FoldInput): Manifest {
  const { record, pending, previous } = input;
  return {
    format: 1,
    pipeline: record.pipeline,
    incarnation: record.incarnation,
    generation: record.generation,
    generationRecord: input.recordHash,
    fingerprint: record.fingerprint,
    checkpointId: pending.checkpointId,
    savepoint: pending.savepoint?.name ?? null,
    andThen: pending.andThen,
    alignment: pending.alignment,
    triggeredAt: pending.triggeredAt,
    previous: previous?.ref ?? null,
    origin: record.origin,
    shards: foldShards(shardsBefore(record, previous?.manifest ?? null), input.acks, input.listed),
    tasks: input.acks,
    wakeAt: earliest(input.acks.map((ack) => ack.wakeAt)),
  };
}

/**
 * K3: the table of the completed manifest; of sources that it does not know, the generation record's (P0). What was read while the
 * pipeline slept stands in the record alone (N3), until the generation's own first checkpoint.
 */
export function shardsBefore(record: GenerationRecord, previous: Manifest | null): ShardTable {
  invariant(
    previous !== null || record.shards !== null,
    "P0: neither a checkpoint nor the generation record has a shard table",
  );
  const known = { ...record.shards, ...previous?.shards };
  return previous !== null && previous.generation !== record.generation
    ? readFurther(known, record.readTo ?? null)
    : known;
}

function earliest(times: readonly (Millis | null)[]): Millis | null {
  const set = times.filter((time) => time !== null);
  return set.length === 0 ? null : millis(Math.min(...set));
}
