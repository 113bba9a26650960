import type { CheckpointRef, Pending } from "./checkpoints.js";
import type { CheckpointId, Generation, Millis, SessionId, Sha256, TaskId } from "./ids.js";
import type { ShardTable } from "./shards.js";

export type Status =
  | "running"
  | "suspending"
  | "suspended"
  | "stopping"
  | "stopped"
  | "finishing"
  | "finished"
  | "failed";

/** Why a generation ended. `checkpointId` is what was complete then: failures with progress between them are no crash loop. */
export interface Failure {
  readonly generation: Generation;
  readonly at: Millis;
  readonly task: TaskId | null;
  readonly kind: string;
  readonly message: string;
  readonly checkpointId: CheckpointId;
}

export const failuresMax = 10;

/** The kind of a failure that took a deployment back (P4): it counts against nothing that runs. */
export const rejectedKind = "rejected";

/** How often something happened since `since`. An hour later a new count begins. */
export interface HourCount {
  readonly since: Millis;
  readonly count: number;
}

/** The one item per pipeline that decides, changed only by compare-and-set on its version (PROTOCOL, section 3). */
export interface Head {
  readonly format: 1;
  /** 6 random bytes, hex; drawn when the head is first created. */
  readonly incarnation: string;
  readonly generation: Generation;
  readonly generationRecord: Sha256;
  readonly openedAt: Millis;
  /** Generations opened: each invokes its sessions by itself, so that their number needs a limit (R4). */
  readonly openings: HourCount;
  readonly origin: CheckpointRef | null;
  readonly pending: Pending | null;
  readonly completed: CheckpointRef | null;
  readonly lastTriggeredAt: Millis;
  /** When the last checkpoint was completed or aborted, or this generation opened: `minPause` counts from it. */
  readonly settledAt: Millis;
  readonly endedAt: Millis | null;
  /** Since when the complete checkpoints say that nothing came; null where something came before the last one (N2). */
  readonly idleSince: Millis | null;
  readonly nextCheckpointId: CheckpointId;
  readonly status: Status;
  readonly consecutiveAborts: number;
  /** Tips that an opening abandoned, that is only where its origin was not `completed` (R7). */
  readonly left: readonly CheckpointRef[];
  /** The checkpoint that it stops at, or has stopped at, is a deploy's: the code that is desired opens the next generation by itself (P4). */
  readonly deploying: boolean;
  readonly floor: CheckpointId;
  readonly savepoints: readonly Savepoint[];
  /** What became of the savepoint that was last asked for: one request makes one savepoint, however often it is read (R5). */
  readonly asked: AskedSavepoint | null;
  readonly failures: readonly Failure[];
}

/** A complete checkpoint that is kept until somebody deletes it. */
export interface Savepoint extends CheckpointRef {
  readonly name: string;
  /** Of the request that made it; null where it was found in the bucket (R7). */
  readonly requestId: string | null;
}

export interface AskedSavepoint {
  readonly requestId: string;
  /** Checkpoints that were to be it, and were aborted. */
  readonly aborts: number;
  /** Null while it is under way. */
  readonly ended: null | { readonly kind: "made" } | { readonly kind: "failed"; readonly message: string };
}

/** W2: what becomes of the output of a sink. */
export type SinkMode =
  | { readonly kind: "normal" }
  | { readonly kind: "redirect"; readonly suffix: string }
  | { readonly kind: "dry-run" }
  | { readonly kind: "overwrite" };

/** Which code runs. */
export interface Code {
  readonly functionVersion: string;
  readonly fingerprint: Sha256;
}

/** What people want; an item of its own, so that no wish waits for the protocol. Changed by compare-and-set. */
export interface Desired {
  readonly format: 1;
  readonly state: "running" | "suspended" | "stopped";
  readonly code: { readonly deployment: number; readonly functionVersion: string; readonly fingerprint: Sha256 };
  /** When the code was deployed, by the clock of whoever wrote it: what runs is given some time for its last checkpoint (P4). */
  readonly deployedAt: Millis | null;
  /** Deployments that were taken back; then `code` has the number of the last one, and what ran before it. */
  readonly rejected: readonly number[];
  /** Why the last of them was. */
  readonly rejection: Failure | null;
  readonly request: {
    readonly id: string;
    readonly kind: "restore" | "restart";
    readonly from: CheckpointRef | null;
    /** W2: those that are to be otherwise than before. */
    readonly sinks: Readonly<Record<string, SinkMode>>;
    readonly dropped: readonly string[];
    /** P4: `code` came with it, and is no deployment: where the request cannot be carried out it goes with it. */
    readonly ownCode?: true;
  } | null;
  /** Beside the request, so that a start that is not carried out yet is not lost by it. What became of it the head says. */
  readonly savepoint: { readonly id: string; readonly name: string } | null;
}

/** Content-addressed, selected by `head.generationRecord` (R6). */
export interface GenerationRecord {
  readonly format: 1;
  readonly pipeline: string;
  readonly incarnation: string;
  readonly generation: Generation;
  readonly reason: "start" | "failure" | "wake" | "rescale" | "deploy" | "replay";
  readonly requestId: string | null;
  readonly origin: CheckpointRef | null;
  readonly fingerprint: Sha256;
  readonly functionVersion: string;
  /** The number that `desired` had for it; 0 where it was gone back to. */
  readonly deployment: number;
  /** P4: what ran before, until this code has completed a checkpoint; null where there is nothing to go back to. */
  readonly fallback: Code | null;
  readonly library: string;
  readonly stages: readonly { readonly name: string; readonly tasks: number; readonly operators: readonly string[] }[];
  /** P0: only where origin is null; copied from generation to generation until the first checkpoint. */
  readonly shards: ShardTable | null;
  /** N3: how far the origin's positions were read while the pipeline slept, later than its manifest says. */
  readonly readTo: ReadTimes | null;
  readonly dropped: readonly string[];
  /** W2: of sinks that are not as usual; kept by later generations until a request names others. */
  readonly sinks: Readonly<Record<string, SinkMode>>;
  /** Of a fork: what its first checkpoint was copied from. */
  readonly forkOf?: { readonly pipeline: string; readonly incarnation: string; readonly checkpointId: CheckpointId };
}

/** Server times by source and shard. */
export type ReadTimes = Readonly<Record<string, Readonly<Record<string, Millis>>>>;

/**
 * What the supervisor's looks at a sleeping pipeline leave behind (N3). Advisory: a later `readTo` of the same positions, those of
 * the checkpoint that is named, and of no others.
 */
export interface Watch {
  readonly format: 1;
  readonly checkpoint: CheckpointRef;
  readonly readTo: ReadTimes;
}

/** One session at a time runs a task: key (incarnation, generation, task). Passed on only by release (R4). */
export interface Lease {
  readonly format: 1;
  readonly generation: Generation;
  readonly task: TaskId;
  /** What the next session starts from: this generation's ack of that id; null = the origin. */
  readonly ack: CheckpointId | null;
  /** Sessions that took this lease: each invokes the next, so that their number needs a limit (R4). */
  readonly sessions: HourCount;
  readonly holder:
    | { readonly kind: "free"; readonly since: Millis }
    | {
        readonly kind: "held";
        readonly session: SessionId;
        readonly requestId: string;
        readonly since: Millis;
        readonly deadline: Millis;
      }
    | { readonly kind: "failed"; readonly session: SessionId; readonly failure: string; readonly message: string }
    | { readonly kind: "done"; readonly committed: CheckpointId };
}

/** Advisory: one writer, plain put. A lost or late one costs time only. */
export interface Progress {
  readonly format: 1;
  readonly generation: Generation;
  readonly task: TaskId;
  readonly session: SessionId;
  readonly seq: number;
  readonly at: Millis;
  readonly epoch: CheckpointId;
  /** Something changed since the last cut: a checkpoint is worth its price (B1). */
  readonly changed: boolean;
  readonly idleSince: Millis | null;
  readonly behindMillis: number;
  /** Records in, over the lineage. */
  readonly records: number;
  readonly taken: Readonly<Record<string, number>>;
  /** W2: as in the figures of an ack; absent where no sink is in a dry run. */
  readonly dryRows?: Readonly<Record<string, number>>;
  /** A sink that shows rows at checkpoints has so many that no more records are taken: the next checkpoint should not wait. */
  readonly pressed: boolean;
  /** Completed checkpoints with output not yet committed. */
  readonly uncommitted: number;
  /** All sources of this task are bounded and read to their end. */
  readonly sourcesFinished: boolean;
  /** The session's reserve of time has begun: it asks for a checkpoint (N1). */
  readonly handover: boolean;
}

/** What an invocation of a task carries. Everything else is read. */
export interface Invocation {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly generation: Generation;
  readonly task: TaskId;
  readonly leaseVersion: number;
}

/** What a supervisor is called with: nothing (its schedule), or what became of an invocation. */
export interface SupervisorCall {
  readonly pipeline: string;
  readonly report: FailureReport | null;
  /** P4: the version whose code is to act. Absent: that of the supervisor which is called. */
  readonly by?: string;
}

/** An invocation that ended badly, as the failure destination or the session itself says it. */
export interface FailureReport {
  readonly invocation: Invocation;
  readonly kind: string;
  readonly message: string;
}
