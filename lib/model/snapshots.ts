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
  /** By operator; absent in files that older versions wrote. */
  readonly operators?: Readonly<Record<string, StoredShape>>;
}

/** What a key is: {@link Key} by its type. */
export type KeyType = "string" | "number" | "bigint" | "boolean" | "array";

/** Of what form the state of an operator is in a file: what new code must agree with. */
export interface StoredShape {
  /** The types of the keys that stand in the file, sorted. */
  readonly keys: readonly KeyType[];
  /** The kind of each state, by its name. */
  readonly states: Readonly<Record<string, "value" | "list" | "map">>;
}

/** A base and the changes since, oldest first. null: no state. */
export interface SnapshotRef {
  readonly format: 1;
  readonly base: SnapshotFile | null;
  readonly deltas: readonly SnapshotFile[];
}
