import type { KeyGroups } from "./checkpoints.js";
import type { CheckpointId, Generation, SessionId, Sha256 } from "./ids.js";
import type { Stored } from "./stored.js";

/** The frames of one producer on one edge in one generation: n = 1, 2, 3 … (E1). */
export interface Lane {
  readonly incarnation: string;
  readonly generation: Generation;
  /** Named by the operator that it feeds, so that it survives another cutting of stages (E4). */
  readonly edge: string;
  /** The place of the producing task among all tasks of its generation. */
  readonly producer: number;
}

/** The records of a frame for a range of key groups: a part that can be read, and checked, by itself (P3). */
export interface FrameSlice {
  readonly keyGroups: KeyGroups;
  readonly offset: number;
  readonly length: number;
  readonly records: number;
  readonly codec: "cbor" | "cbor+gzip";
  readonly sha256: Sha256;
}

/** The fact that announces frame n of a lane, created after the frame is durable (E1). A barrier is one too: the first of an epoch. */
export interface Note {
  readonly format: 1;
  readonly n: number;
  /** Of all its records: the checkpoint that its producer had cut for last. */
  readonly epoch: CheckpointId;
  readonly session: SessionId;
  readonly records: number;
  /** null: it has no records, and only says that an epoch began. */
  readonly body: Stored | null;
  /** Ascending, disjoint; only ranges that have records. */
  readonly slices: readonly FrameSlice[];
}
