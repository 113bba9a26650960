import type { Json } from "../model/canonical-json.js";
import type { CommitPermit } from "../model/checkpoints.js";
import type { CheckpointId } from "../model/ids.js";
import type { Key } from "../model/keys.js";
import type { Clock } from "../ports/clock.js";
import type { Files } from "../ports/files.js";
import type { Objects } from "../ports/objects.js";
import type { Streams } from "../ports/streams.js";
import type { Tables } from "../ports/tables.js";
import type { DeadLetter } from "./dead-letter.js";

/** What has a logical name in a pipeline, and a physical one in an environment. */
export type TargetKind = "table" | "file" | "bucket" | "stream" | "database";

/** What a sink asks of a target of its own. */
export type OutsideStep =
  | "check"
  | "apply"
  | "write"
  | "prepare"
  | "commit"
  | "abort"
  | "leftovers"
  | "letters"
  | "close";

/** Makes a call to a target that is no port. */
export type SendOutside = <T>(step: OutsideStep, call: () => Promise<T>) => Promise<T>;

/** What a sink gets when a session opens it. */
export interface SinkResources {
  readonly tables: Tables;
  readonly streams: Streams;
  readonly files: Files;
  readonly objects: Objects;
  readonly clock: Clock;
  /** The physical name of a logical one. */
  readonly bind: (kind: TargetKind, logical: string) => string;
  /** W2: of a redirect. `bind` has put it behind names already, but for buckets and databases: there the sink puts it behind what it names within. */
  readonly suffix?: string | null;
  /** Names for what is staged (R6): `session` is this session's alone: it begins with `task`, which is that of all sessions that have run this sink's task, and goes on with the generation and "-". */
  readonly stage: {
    readonly task: string;
    readonly session: string;
    /** For the sink's first task: what tasks have staged that are no more begins with `prefix`, and with none of `spared`. Null: another task sees to it. */
    readonly gone?: { readonly prefix: string; readonly spared: readonly string[] } | null;
  };
  /** How calls to targets that are no ports are made; where it is missing they are just made. For tests, which lose some. */
  readonly send?: SendOutside;
}

/** Where rows of T go, and how they become visible (PROTOCOL, section 8). */
export type Sink<T> = HeldSink<T> | EagerSink<T> | TwoPhaseSink<T> | LogSink<T>;

interface AnySink {
  readonly kind: string;
  /** Plain data: part of the plan's graph. */
  readonly config: Json;
  /** W2: a session can open it for a target of another name. Where it says nothing it cannot. */
  readonly redirectable?: boolean;
  /** Opens it for a look at the dead letters that it has shown, outside of a session. Where it says nothing nobody can list them. */
  readonly letters?: (resources: SinkResources) => LetterReader;
}

/** The dead letters that a sink has shown, in the target that it writes to now. */
export interface LetterReader {
  /** Each once or more; null: this sink cannot say. */
  list(): Promise<readonly DeadLetter[] | null>;
  close(): Promise<void>;
}

/** Rows by a key, of which the newest is kept in the bucket, and written once the checkpoint that covers it is complete. */
export interface HeldSink<in T> extends AnySink {
  readonly delivery: "held";
  /** What makes two rows the same: of one key only the newest row of a checkpoint is written. @throws StreamError `invalid` where the row has no key */
  readonly keyOf: (row: T) => string;
  readonly open: (resources: SinkResources) => HeldWriter;
}

/**
 * Rows by a key, written at once: seen early, and again after a failure. Only where the sink's key is the key of the operator
 * before it (W3).
 */
export interface EagerSink<in T> extends AnySink {
  readonly delivery: "eager";
  readonly keyOf: (row: T) => string;
  /** What {@link keyOf} says of a row with the operator's key. @throws StreamError `invalid` where no row can have that key */
  readonly keyFor: (key: Key) => string;
  readonly open: (resources: SinkResources) => EagerWriter;
}

/** Rows that are staged out of sight, and shown by a second step once the checkpoint is complete. */
export interface TwoPhaseSink<in T> extends AnySink {
  readonly delivery: "two-phase";
  readonly open: (resources: SinkResources) => TwoPhaseWriter;
  readonly "~in"?: (row: T) => void;
}

/** Every row, in its order: kept in the bucket, and applied once the checkpoint that covers it is complete (a write-ahead log). */
export interface LogSink<in T> extends AnySink {
  readonly delivery: "log";
  /** Of a segment, at most. */
  readonly rowsMax: number;
  readonly open: (resources: SinkResources) => LogWriter;
  readonly "~in"?: (row: T) => void;
}

/** A row with the version of its preparation (W1). `key` is what the sink's `keyOf` said of it. */
export interface VersionedRow {
  readonly key: string;
  /** The row; of a deletion its key attributes. */
  readonly row: unknown;
  /** W4: the row of that key goes. */
  readonly change: "put" | "delete";
  readonly version: Uint8Array;
}

export interface HeldWrite extends VersionedRow {
  /** That it was prepared for; the permit must cover it (C2). */
  readonly checkpointId: CheckpointId;
}

interface AnyWriter {
  /** The physical target, kept in every committable. */
  readonly target: string;
  /** Looks at the target before anything is written. @throws StreamError `invalid`: absent, or with another key */
  check(): Promise<void>;
  /** The session ends, also where it failed (N4): nothing that was begun goes on, connections are closed. Called once. */
  close(): Promise<void>;
}

/** The outside of a held sink in one session: rows are applied only after the checkpoint that covers them is complete (C2). */
export interface HeldWriter extends AnyWriter {
  /** Before the ack, so that a row that cannot be stored leaves every checkpoint as it was. @throws StreamError `invalid` */
  validate(row: unknown): void;
  /** May be repeated by anyone at any time. `target` is the committable's, which may be another than this writer's. */
  apply(target: string, writes: readonly HeldWrite[], permit: CommitPermit): Promise<void>;
}

/** The outside of an eager sink in one session. */
export interface EagerWriter extends AnyWriter {
  /** May be repeated; an older version never replaces a newer one. @throws StreamError `invalid` where a row cannot be stored */
  put(rows: readonly VersionedRow[]): Promise<void>;
}

/**
 * The outside of a two-phase sink in one session. Between the cut and the commit lie minutes, or days after a failure: what is
 * staged must not expire.
 */
export interface TwoPhaseWriter extends AnyWriter {
  /** Takes a row of this epoch. Synchronous. @throws StreamError `invalid` where it cannot be written */
  write(row: unknown): void;
  /** Rows written since the last `mark` may be taken back by `rollback`; neither lies more than a record back. */
  mark(): void;
  rollback(): void;
  /** Bytes in memory that wait to be staged. */
  readonly waiting: number;
  /** Stages what waits. */
  flush(): Promise<void>;
  /**
   * The cut: rows that come now are of the next epoch. Synchronous; null where this one has none.
   *
   * @param unique differs for every sink, generation, checkpoint and task: what is shown is named by it (R6)
   */
  seal(unique: string): SealedEpoch | null;
  /** Shows what was staged. May be repeated by anyone at any time; what was shown already is no error (C4). */
  commit(prepared: Json, permit: CommitPermit): Promise<void>;
  /** Removes what earlier sessions staged, but for these: no ack names it. Never what a newer generation staged: the session that asks may be a zombie. */
  sweep(keep: readonly Json[]): Promise<void>;
}

/** Rows between two cuts. */
export interface SealedEpoch {
  readonly records: number;
  /** All that is staged is durable when it resolves (B3). The plain data is what `commit` gets. */
  prepare(): Promise<{ readonly prepared: Json; readonly bytes: number }>;
}

/** Which segment it is: the same rows always have the same token, whoever applies them, and however often. */
export interface SegmentToken {
  /** The sink's name in its pipeline. */
  readonly sink: string;
  /** Who prepared it: sink, incarnation, generation and task. At most 120 letters, digits, "-", "_" and ".". Segments of one lane are applied one after the other, in the order of (checkpoint, chunk). */
  readonly lane: string;
  readonly checkpoint: number;
  /** Within the checkpoint: 0, 1, 2… */
  readonly chunk: number;
  /** Checkpoint and chunk as a text that sorts as they do: `000000000042-000003`. Of one lane, what is not greater than the last one applied has been applied. */
  readonly position: string;
  /** Lane and position: of all segments of all pipelines only this one has it. An idempotency key. */
  readonly id: string;
}

/** Rows of one task for one sink, a part of what it prepared for a checkpoint. */
export interface Segment<out Row> {
  readonly token: SegmentToken;
  /** In the order in which the task gave them; the place of a row is the same at every repeat. At least one. */
  readonly rows: readonly Row[];
}

/** The outside of a log sink in one session. */
export interface LogWriter extends AnyWriter {
  /** When a row comes: one that cannot be applied later fails its record. @throws StreamError `invalid` */
  validate(row: unknown): void;
  /** May be repeated by anyone at any time (C5). `target` is the committable's, which may be another than this writer's. */
  apply(target: string, segment: Segment<unknown>, permit: CommitPermit): Promise<void>;
}
