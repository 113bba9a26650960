import type { KeyGroups } from "./checkpoints.js";
import type { CheckpointId, SessionId, Sha256 } from "./ids.js";
import type { Stored } from "./stored.js";

/** A part of a snapshot file that can be read by itself: the keys of one operator in a range of key groups. */
export interface SnapshotSlice {
  readonly operator: string;
  readonly stateVersion: number;
  readonly keyGroups: KeyGroups;
  readonly offset: number;
  readonly length: number;
  readonly keys: number;
  readonly codec: "cbor" | "cbor+gzip";
  readonly sha256: Sha256;
}

/** One file: slices one after the other, so that a task of any other cutting reads its own by a ranged get. */
export interface SnapshotFile {
  readonly format: 1;
  readonly body: Stored;
  readonly session: SessionId;
  readonly epoch: CheckpointId;
  readonly slices: readonly SnapshotSlice[];
}

/** A base and the changes since, oldest first. null: no state. */
export interface SnapshotRef {
  readonly format: 1;
  readonly base: SnapshotFile | null;
  readonly deltas: readonly SnapshotFile[];
}
