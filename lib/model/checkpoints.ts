import type { Json } from "./canonical-json.js";
import type { CheckpointId, Generation, Millis, SessionId, Sha256, TaskId } from "./ids.js";
import type { ShardEntry, ShardTable } from "./shards.js";
import type { SnapshotRef } from "./snapshots.js";
import type { Stored } from "./stored.js";

/** Names one manifest: R6. */
export interface CheckpointRef {
  readonly generation: Generation;
  readonly checkpointId: CheckpointId;
  readonly sha256: Sha256;
}

/** What sessions do after their ack. */
export type AndThen = "continue" | "suspend" | "stop" | "finish";

export type Alignment = "unaligned" | "aligned" | "at-least-once";

/** A checkpoint under way. */
export interface Pending {
  readonly checkpointId: CheckpointId;
  readonly savepoint: null | { readonly name: string; readonly requestId: string };
  readonly andThen: AndThen;
  readonly alignment: Alignment;
  readonly reason: "interval" | "handover" | "idle" | "user" | "deploy" | "end";
  readonly triggeredAt: Millis;
}

export type KeyGroups = readonly [first: number, last: number];

/** Frames that a consumer still expects (E2). */
export interface Range {
  readonly edge: string;
  readonly generation: Generation;
  readonly producer: number;
  readonly from: number;
  readonly to: number | null;
  readonly keyGroups: KeyGroups;
}

/** Plain data that says how to make prepared output visible. Names its physical target: a redirect never moves what was prepared (C2). */
export type Committable = HeldCommittable | TwoPhaseCommittable | LogCommittable;

interface Prepared {
  readonly sink: string;
  readonly target: string;
  readonly generation: Generation;
  /** The epoch in which it was prepared: part of the version of its writes (W1). */
  readonly epoch: CheckpointId;
  /** The checkpoint that it was prepared for. It may have been aborted: whichever later one completes covers it (C1). */
  readonly checkpointId: CheckpointId;
  readonly task: TaskId;
  readonly index: number;
  readonly records: number;
}

/** Rows that are kept in the bucket until a checkpoint covers them. */
export interface HeldCommittable extends Prepared {
  readonly kind: "held";
  readonly body: Stored;
}

/** What the sink has staged, in the sink's own words. */
export interface TwoPhaseCommittable extends Prepared {
  readonly kind: "two-phase";
  readonly prepared: Json;
}

/** Every row, in order, kept in the bucket in segments: each repeat finds the same ones. */
export interface LogCommittable extends Prepared {
  readonly kind: "log";
  readonly segments: readonly { readonly body: Stored; readonly records: number }[];
}

export interface AckFigures {
  readonly cutAt: Millis;
  readonly ackedAt: Millis;
  /** Of this task in this generation, since its state began: totals of the lineage, so that a checkpoint says how many records it reflects. */
  readonly recordsIn: number;
  readonly recordsOut: number;
  /** W2: by sink, rows that a dry run has looked at and not written; absent where there is none. Of the lineage, since it began. */
  readonly dryRows?: Readonly<Record<string, number>>;
  /** Bytes written for this ack: snapshot and committables. */
  readonly bytes: number;
  readonly requests: Readonly<Record<string, number>>;
}

/** The fact that a task's part of a checkpoint is durable (B3). Created once. */
export interface Ack {
  readonly format: 1;
  readonly generation: Generation;
  readonly checkpointId: CheckpointId;
  readonly task: TaskId;
  readonly session: SessionId;
  readonly keyGroups: KeyGroups;
  readonly snapshot: SnapshotRef;
  /** By source name. */
  readonly positions: Readonly<Record<string, readonly { readonly shardId: string; readonly at: ShardEntry["at"] }[]>>;
  readonly sent: Readonly<Record<string, number>>;
  readonly expected: readonly Range[];
  /** C1: every committable not yet confirmed committed. By reference where the list is long. */
  readonly committables: readonly Committable[] | Stored;
  readonly wakeAt: Millis | null;
  readonly finished: boolean;
  readonly idle: boolean;
  readonly figures: AckFigures;
}

/** The fold of all acks of a checkpoint (B4). */
export interface Manifest {
  readonly format: 1;
  readonly pipeline: string;
  readonly incarnation: string;
  readonly generation: Generation;
  readonly generationRecord: Sha256;
  readonly fingerprint: Sha256;
  readonly checkpointId: CheckpointId;
  readonly savepoint: string | null;
  readonly andThen: AndThen;
  readonly alignment: Alignment;
  readonly triggeredAt: Millis;
  readonly previous: CheckpointRef | null;
  readonly origin: CheckpointRef | null;
  readonly shards: ShardTable;
  readonly tasks: readonly Ack[];
  readonly wakeAt: Millis | null;
  /** Only of a savepoint whose state a person wrote: it stands beside the line of checkpoints until somebody starts from it (G1). */
  readonly written?: WrittenBy;
}

/** How the state of a savepoint came about that no task cut. */
export interface WrittenBy {
  readonly how: "set" | "delete" | "write";
  /** Whose positions, frames and output it has; null: the sources begin at their start. */
  readonly from: CheckpointRef | null;
}

declare const permit: unique symbol;
/**
 * Proof that a checkpoint was seen complete: {@link Committable}s that it covers may be committed (C2).
 * Only the code that observed R1 can make one.
 */
export interface CommitPermit {
  readonly [permit]: true;
  readonly completed: CheckpointRef;
}
