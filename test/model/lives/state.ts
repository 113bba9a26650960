import type { Entries } from "../changes.js";

/** What each rule might say. The first is what docs/PROTOCOL.md says, each other one is wrong, or another way. */
export interface Rules {
  /** R2: what an opening makes of a status that says how the pipeline ends. */
  readonly opening: "status becomes running" | "status stays";
  /** B1: when a checkpoint that ends the pipeline is triggered. */
  readonly trigger: "even if nothing changed" | "if something changed";
  /** B1: the status in which a checkpoint is triggered. */
  readonly triggerWhile: "running" | "any status";
  /** C3: which sessions wait after the ack of a checkpoint that ends the pipeline. */
  readonly waiting: "every session" | "those with committables";
  /** C3: the statuses in which a lease released without `committed` is taken up again. */
  readonly successors: "until the end is reached" | "while running";
  /** C3: what each lease says before the end is reached. */
  readonly committed: "for the ack that counts" | "for the completed checkpoint";
}

export const asBuilt: Rules = {
  opening: "status becomes running",
  trigger: "even if nothing changed",
  triggerWhile: "running",
  waiting: "every session",
  successors: "until the end is reached",
  committed: "for the ack that counts",
};

export interface Setup {
  readonly rules: Rules;
  /** By task: what its shard has. */
  readonly records: readonly (readonly string[])[];
  readonly ending: "suspend" | "stop" | "finish";
  readonly budget: Budget;
}

export interface Budget {
  /** That end nothing. */
  readonly checkpoints: number;
  readonly aborts: number;
  readonly deaths: number;
  readonly handovers: number;
  /** Of a pipeline that sleeps, by the supervisor; of one that is suspended or stopped, by a person. */
  readonly wakes: number;
  /** Failures that are reported while all sessions run on as zombies. */
  readonly failures: number;
}

export const endings = {
  suspend: { under: "suspending", reached: "suspended" },
  stop: { under: "stopping", reached: "stopped" },
  finish: { under: "finishing", reached: "finished" },
} as const;

export type Status = "running" | (typeof endings)[keyof typeof endings]["under" | "reached"];

export interface File {
  readonly name: string;
  readonly checkpoint: number;
  readonly record: string;
}

export interface Ack {
  readonly checkpoint: number;
  readonly position: number;
  readonly files: readonly File[];
  readonly finished: boolean;
}

export interface Session {
  readonly id: number;
  readonly generation: number;
  readonly task: number;
  /** Its last ack, or the one that it started from. */
  readonly ack: Ack;
  readonly position: number;
  /** C1: staged, and not known to be committed. */
  readonly files: readonly File[];
  /** Read since its last cut. */
  readonly uncut: readonly string[];
  /** What checkpoints up to this one cover is to be committed before its first ack (C2). */
  readonly given: number;
  readonly hasAcked: boolean;
}

export interface Lease {
  /** The session that holds it; 0: it is free, or done. */
  readonly holder: number;
  /** What the next session starts from. */
  readonly ack: Ack;
  /** The checkpoint for which it says `committed`; 0: none. */
  readonly committed: number;
}

export interface State {
  readonly generation: number;
  readonly status: Status;
  readonly completed: number;
  readonly pending: number;
  /** Whether the pipeline rests after the pending checkpoint: `andThen` is not continue. */
  readonly pendingEnds: boolean;
  readonly nextCheckpoint: number;
  /** By task. */
  readonly leases: readonly Lease[];
  readonly sessions: readonly Session[];
  /** Of the pending checkpoint, by task. */
  readonly acks: Entries<Ack>;
  /** The acks that the completed checkpoint counts, by task. */
  readonly manifest: readonly Ack[];
  readonly shown: Entries<string>;
  readonly nextSession: number;
  readonly used: Budget;
}

export const isEnding = (status: Status): boolean => Object.values(endings).some(({ under }) => under === status);

export const isEnded = (status: Status): boolean => Object.values(endings).some(({ reached }) => reached === status);

/** Its sources are at their end. */
export const isOver = ({ records, ending }: Setup, { task, position }: Session): boolean =>
  ending === "finish" && position === records[task]?.length;
