import { type Entries, entry } from "../changes.js";
import type { Rules } from "./rules.js";

export type Alignment = "unaligned" | "aligned" | "at-least-once";

/** A tiny pipeline, what may befall it, and the rules that it goes by. */
export interface Setup {
  readonly rules: Rules;
  /** Tasks per stage, generation by generation; the last plan stays. The first stage reads, each other takes from the one before. */
  readonly plans: readonly (readonly number[])[];
  /** `at`: the shard's place in the space of hash keys, from 0 to 1 (K2). */
  readonly shards: Entries<{
    readonly records: readonly string[];
    readonly at: number;
    readonly parents?: readonly string[];
  }>;
  /** Of checkpoint 1, 2, …; the last one stays. */
  readonly alignments: readonly Alignment[];
  /** E5, in frames. */
  readonly window: number;
  /** Whether the last stage writes to a two-phase sink. */
  readonly sink: boolean;
  /** Whether the shards come to an end, and with them the tasks. */
  readonly bounded: boolean;
  readonly promise: "exactly once" | "at least once";
  /** How often each of these may happen in a run. */
  readonly budget: Budget;
}

export interface Budget {
  readonly openings: number;
  readonly checkpoints: number;
  readonly aborts: number;
  readonly handovers: number;
}

/** E2. `to: null`: a lane of the own generation, which is still open. */
export interface Range {
  readonly generation: number;
  readonly producer: number;
  readonly from: number;
  readonly to: number | null;
  readonly keyGroups: readonly number[];
}

/** E1. Here each frame has one record, or none: then it is a barrier. */
export interface Frame {
  readonly stage: number;
  readonly generation: number;
  readonly producer: number;
  readonly n: number;
  readonly epoch: number;
  readonly record: string;
  /** Its producer is finished: nothing comes after it. */
  readonly isLast: boolean;
}

/** A file that was staged for a checkpoint. `keyGroup`: the first one of the task that staged it (C2). */
export interface Committable {
  readonly name: string;
  readonly checkpoint: number;
  readonly keyGroup: number;
  readonly records: readonly string[];
}

/** What a task gives to a checkpoint, and what it starts from. */
export interface Ack {
  /** By shard: how many records were read. */
  readonly positions: Entries<number>;
  /** The state: every record that it reflects, in the order in which they came. */
  readonly history: readonly string[];
  readonly expected: readonly Range[];
  readonly sent: number;
  readonly committables: readonly Committable[];
  readonly finished: boolean;
}

export interface AckOf {
  readonly checkpoint: number;
  readonly ack: Ack;
}

/** A task, and the session that runs it. */
export interface Task extends Ack {
  readonly stage: number;
  readonly index: number;
  readonly epoch: number;
  /** The checkpoint whose barriers it waits for (B2); 0: none. */
  readonly waitingFor: number;
  /** Output since its last cut. */
  readonly uncut: readonly string[];
  /** Cut, not yet acked. */
  readonly cut: AckOf | null;
  /** Its last ack, where it may hand it on. */
  readonly acked: AckOf | null;
  /** Whether it read, put or wrote anything since its last cut (N1). */
  readonly hasBegun: boolean;
  /** What checkpoints up to this one cover is to be committed before its first ack (C2). */
  readonly given: number;
  /** It has finished, its ack is in a complete checkpoint, and its lease is done (B4). */
  readonly isGone: boolean;
}

/** K3: the last frame that the shard's owner had sent by the ack that finished it. */
export interface FinishedShard {
  readonly generation: number;
  readonly producer: number;
  readonly sent: number;
}

export interface Manifest {
  readonly checkpoint: number;
  readonly generation: number;
  readonly plan: readonly number[];
  /** By `stage/index`. */
  readonly acks: Entries<Ack>;
  readonly finished: Entries<FinishedShard>;
  readonly entered: readonly string[];
}

export interface State {
  readonly generation: number;
  readonly completed: number;
  /** 0: none. */
  readonly pending: number;
  readonly nextCheckpoint: number;
  readonly tasks: readonly Task[];
  readonly frames: readonly Frame[];
  /** Of the pending checkpoint, by `stage/index`. */
  readonly acks: Entries<Ack>;
  readonly manifest: Manifest | null;
  /** What sessions of earlier generations may still commit. */
  readonly zombies: readonly Committable[];
  /** What a reader of the sink sees. */
  readonly shown: Entries<readonly string[]>;
  /** E1: a name that was written with two contents; else empty. */
  readonly clash: string;
  readonly used: Budget;
}

export const nameOf = ({ stage, index }: Pick<Task, "stage" | "index">): string => `${stage}/${index}`;

/** K1 with two key groups. */
export const keyGroupOf = (record: string): number => (record.startsWith("x") ? 0 : 1);

/** K2. */
export const keyGroupsOf = (index: number, tasks: number): readonly number[] =>
  [0, 1].filter((group) => Math.floor((group * tasks) / 2) === index);

export const planOf = (setup: Setup, generation: number): readonly number[] =>
  entry(setup.plans, Math.min(generation, setup.plans.length) - 1);

export const alignmentOf = (setup: Setup, checkpoint: number): Alignment =>
  entry(setup.alignments, Math.min(checkpoint, setup.alignments.length) - 1);

export const isRoot = (setup: Setup, shard: string): boolean => entry(setup.shards, shard).parents === undefined;

/** A shard that was split or merged ends. */
export const isClosed = (setup: Setup, shard: string): boolean =>
  Object.values(setup.shards).some(({ parents }) => parents?.includes(shard));

export const isRead = (setup: Setup, { positions }: Pick<Ack, "positions">): boolean =>
  Object.entries(positions).every(([shard, position]) => position === entry(setup.shards, shard).records.length);

/** The frames that a range of a task of `stage` stands for, and that exist. */
export const framesOf = (state: State, stage: number, range: Range): readonly Frame[] =>
  state.frames.filter(
    (frame) => frame.stage === stage - 1 && frame.generation === range.generation && frame.producer === range.producer,
  );

export const nextFrame = (state: State, stage: number, range: Range): Frame | undefined =>
  framesOf(state, stage, range).find(({ n }) => n === range.from);

export const withTask = (state: State, task: Task): State => ({
  ...state,
  tasks: state.tasks.map((other) => (other.stage === task.stage && other.index === task.index ? task : other)),
});

export const ackOf = (task: Task): Ack => ({
  positions: task.positions,
  history: task.history,
  expected: task.expected,
  sent: task.sent,
  committables: task.committables,
  finished: task.finished,
});
