import type { Entries } from "../changes.js";

/** What each rule might say. The first is what docs/PROTOCOL.md says, each other one is wrong, or another way. */
export interface Rules {
  /** G1: which complete checkpoints may be restored. */
  readonly restorable: "at or above the floor, savepoints, the completed one" | "at or above the floor, savepoints";
  /** G2: how high the floor may rise. */
  readonly floor: "on the lineage of the completed one" | "to the newest by number";
  /** G2: which frames of the current generation go. */
  readonly frames: "those that nothing refers to" | "those of epochs below the floor";
  /** G2: what of the current generation may go. */
  readonly below: "the floor and the completed one" | "the floor";
  /** G1: when the files of an older generation may go. */
  readonly older: "when none of its sessions may act" | "at once";
  /** G2, R7. */
  readonly marker: "goes first" | "goes last";
  /** C4: what a reader of files does with those it has taken. */
  readonly reader: "keeps those that are listed" | "deletes them";
}

export const asBuilt: Rules = {
  restorable: "at or above the floor, savepoints, the completed one",
  floor: "on the lineage of the completed one",
  frames: "those that nothing refers to",
  below: "the floor and the completed one",
  older: "when none of its sessions may act",
  marker: "goes first",
  reader: "keeps those that are listed",
};

export interface Setup {
  readonly rules: Rules;
  /** The checkpoint that is one; 0: none. */
  readonly savepoint: number;
  /** Whether it stages files. */
  readonly sink: boolean;
  readonly budget: Budget;
}

export interface Budget {
  readonly checkpoints: number;
  readonly failures: number;
  readonly replays: number;
  readonly frames: number;
  readonly collections: number;
  readonly drops: number;
  readonly takings: number;
}

/** A snapshot, a frame, or a staged file. `checkpoint`: that it was made for; the epoch of a frame. */
export interface Thing {
  readonly name: string;
  readonly generation: number;
  readonly checkpoint: number;
}

export interface Manifest {
  readonly previous: number;
  /** The snapshot, and the one that it is a change of. */
  readonly snapshots: readonly string[];
  /** Frames that are not taken yet. */
  readonly frames: readonly string[];
  /** Committables: the checkpoints for which they were staged. */
  readonly files: readonly number[];
}

/** The only task, which reads its own frames. */
export interface Session {
  readonly generation: number;
  readonly hasLoaded: boolean;
  readonly snapshots: readonly string[];
  readonly frames: readonly string[];
  readonly files: readonly number[];
  readonly epoch: number;
  readonly sent: number;
  /** Its snapshot for the pending checkpoint is there. */
  readonly hasUploaded: boolean;
}

export interface State {
  readonly generation: number;
  readonly completed: number;
  readonly floor: number;
  readonly savepoints: readonly number[];
  readonly nextCheckpoint: number;
  /** Of complete checkpoints, as far as they are there. */
  readonly manifests: Entries<Manifest>;
  readonly markers: readonly number[];
  readonly things: readonly Thing[];
  readonly session: Session;
  /** What sessions of older generations may still commit. */
  readonly zombies: readonly number[];
  /** What a collector has judged, and has still to delete. */
  readonly garbage: null | { readonly things: readonly string[]; readonly checkpoints: readonly number[] };
  /** Final files. */
  readonly shown: Entries<"there" | "taken" | "back">;
  readonly broken: string;
  readonly used: Budget;
}

export const staged = (checkpoint: number): string => `the file staged for ${checkpoint}`;

export const referencesOf = ({ snapshots, frames, files }: Manifest): readonly string[] => [
  ...snapshots,
  ...frames,
  ...files.map(staged),
];

export const isThere = ({ things }: State, name: string): boolean => things.some((thing) => thing.name === name);

/** G1. */
export function restorable({ rules }: Setup, { manifests, floor, savepoints, completed }: State): readonly number[] {
  const isCompleted = (c: number) =>
    rules.restorable === "at or above the floor, savepoints, the completed one" && c === completed;
  return Object.keys(manifests)
    .map(Number)
    .filter((c) => c >= floor || savepoints.includes(c) || isCompleted(c));
}
