import type { Json } from "../model/canonical-json.js";
import type { CommitPermit } from "../model/checkpoints.js";
import type { CheckpointId } from "../model/ids.js";
import type { Clock } from "../ports/clock.js";
import type { Tables } from "../ports/tables.js";

/** A row with the version of its preparation (W1). `key` is what {@link Sink.keyOf} said of it. */
export interface HeldWrite {
  readonly key: string;
  readonly row: unknown;
  readonly version: Uint8Array;
  /** That it was prepared for; the permit must cover it (C2). */
  readonly checkpointId: CheckpointId;
}

/** What a sink gets when a session opens it. */
export interface SinkResources {
  readonly tables: Tables;
  readonly clock: Clock;
  /** The physical name of a logical one. */
  readonly bind: (logical: string) => string;
}

/** The outside of a held sink in one session: rows are applied only after the checkpoint that covers them is complete (C2). */
export interface HeldWriter {
  /** The physical target, kept in every committable. */
  readonly target: string;
  /** Looks at the target before anything is written. @throws StreamError `invalid`: absent, or with another key */
  check(): Promise<void>;
  /** Before the ack, so that a row that cannot be stored leaves every checkpoint as it was. @throws StreamError `invalid` */
  validate(row: unknown): void;
  /** May be repeated by anyone at any time. `target` is the committable's, which may be another than this writer's. */
  apply(target: string, writes: readonly HeldWrite[], permit: CommitPermit): Promise<void>;
}

/** Where rows of T go. */
export interface Sink<in T> {
  readonly kind: string;
  readonly delivery: "held";
  /** Plain data: part of the plan's graph. */
  readonly config: Json;
  /** What makes two rows the same: of one key only the newest row of a checkpoint is written. @throws StreamError `invalid` where the row has no key */
  readonly keyOf: (row: T) => string;
  readonly open: (resources: SinkResources) => HeldWriter;
}
