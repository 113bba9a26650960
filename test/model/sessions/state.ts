import type { Entries } from "../changes.js";

/** What each rule might say. The first is what docs/PROTOCOL.md says, each other one is wrong. */
export interface Rules {
  /** R1: what the compare-and-set that completes a checkpoint compares. */
  readonly completing: "generation and pending" | "generation";
  /** R2: what an opening makes of the completed checkpoint. */
  readonly opening: "completed is the origin" | "completed stays";
  /** R4: where the id that a session puts into the lease comes from. */
  readonly sessionId: "drawn at the execution" | "in the invocation";
  /** R5: what a session does after a release whose answer was lost. */
  readonly release: "is its last act" | "is read back";
  /** C1: what an ack lists. */
  readonly listing: "what is not known to be committed" | "what is new";
  /** N1: what a session hands over. */
  readonly handover: "its ack" | "state and positions";
  /** W2: which files a reader takes for shown. */
  readonly reader: "those of the lineage" | "all";
}

export const asBuilt: Rules = {
  completing: "generation and pending",
  opening: "completed is the origin",
  sessionId: "drawn at the execution",
  release: "is its last act",
  listing: "what is not known to be committed",
  handover: "its ack",
  reader: "those of the lineage",
};

export interface Setup {
  readonly rules: Rules;
  /** By task: what its shard has. */
  readonly records: readonly (readonly string[])[];
  readonly budget: Budget;
}

export interface Budget {
  readonly checkpoints: number;
  readonly aborts: number;
  readonly failures: number;
  readonly replays: number;
  readonly handovers: number;
  /** Answers of a release. */
  readonly lost: number;
  /** Invocations that are delivered twice. */
  readonly repeats: number;
}

/** R6, W2: its name has the generation, the checkpoint and the session that staged it. */
export interface File {
  readonly generation: number;
  readonly checkpoint: number;
  readonly session: number;
  readonly records: readonly string[];
}

export interface Ack {
  readonly checkpoint: number;
  readonly position: number;
  readonly files: readonly File[];
}

export interface Session {
  readonly id: number;
  readonly generation: number;
  readonly task: number;
  /** Its last ack, or the one that it started from. */
  readonly ack: Ack;
  readonly position: number;
  readonly files: readonly File[];
  /** Output since its last cut. */
  readonly uncut: readonly string[];
  /** What checkpoints up to this one cover is to be committed before its first ack (C2). */
  readonly given: number;
  /** The head as it last saw it. */
  readonly seen: { readonly pending: number; readonly completed: number };
}

export interface Lease {
  readonly version: number;
  readonly holder: number;
  /** What its session started from. */
  readonly start: Ack;
}

/** R5: a release without an answer, which may still happen, on the condition of its lease's version. */
export interface LateRelease {
  readonly generation: number;
  readonly task: number;
  readonly version: number;
  readonly ack: Ack;
}

export interface Manifest {
  readonly generation: number;
  readonly acks: readonly Ack[];
}

export interface State {
  readonly generation: number;
  readonly completed: number;
  readonly pending: number;
  readonly nextCheckpoint: number;
  /** By generation, from 1 on: the checkpoint it was opened from, and that one's generation. */
  readonly origins: readonly { readonly generation: number; readonly checkpoint: number }[];
  /** By task. */
  readonly leases: readonly Lease[];
  readonly sessions: readonly Session[];
  readonly lateReleases: readonly LateRelease[];
  /** Of this generation, by `checkpoint/task`. */
  readonly acks: Entries<Ack>;
  readonly manifests: Entries<Manifest>;
  /** Final files, by name. */
  readonly shown: Entries<File>;
  readonly nextSession: number;
  readonly used: Budget;
}

export const spent = ({ used }: State, what: keyof Budget): Budget => ({ ...used, [what]: used[what] + 1 });

export const mayHappen = ({ budget }: Setup, { used }: State, what: keyof Budget): boolean => used[what] < budget[what];
