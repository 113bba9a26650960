import type { CheckpointId } from "../model/ids.js";
import type { Key } from "../model/keys.js";
import type { Plan } from "../pipeline/plan.js";
import type { EagerWriter, HeldWriter, LogWriter, TwoPhaseWriter } from "../pipeline/sink.js";
import { modeOf, type SinkModes } from "../pipeline/sink-modes.js";
import { DryRunOutput } from "./dry-run-output.js";
import { EagerOutput } from "./eager-output.js";
import { HeldOutput } from "./held-output.js";
import { LogOutput } from "./log-output.js";
import { TwoPhaseOutput } from "./two-phase-output.js";

/** What an operator's rows go into: synchronous. What becomes of them at a cut is the output's own. */
export interface RowTaker {
  /** Rows taken so far, of all epochs. */
  readonly rows: number;
  /** @param key of the operator that the sink follows, where it follows one. @throws StreamError `invalid` for a row that the sink cannot take */
  add(row: unknown, key?: Key): void;
  /** What comes now may be taken back, until the next `mark`. */
  mark(): void;
  rollback(): void;
}

export type Output = HeldOutput | EagerOutput | TwoPhaseOutput | LogOutput | DryRunOutput;
export type Outputs = ReadonlyMap<string, Output>;

/** A sink opened by a session. */
export type OpenedWriter =
  | { readonly delivery: "held"; readonly writer: HeldWriter }
  | { readonly delivery: "eager"; readonly writer: EagerWriter }
  | { readonly delivery: "two-phase"; readonly writer: TwoPhaseWriter }
  | { readonly delivery: "log"; readonly writer: LogWriter };

/** The version of the next write of this task (W1): `seq` counts over all its sinks. */
export type VersionOf = (epoch: CheckpointId, seq: number) => Uint8Array;

/** What outputs begin with. */
export interface FirstOutput {
  readonly epoch: CheckpointId;
  readonly versionOf: VersionOf;
  readonly modes: SinkModes;
  /** W2: rows counted before, of sinks in a dry run. */
  readonly dryRows: Readonly<Record<string, number>>;
}

/** The outputs of a task's sinks. */
export function openOutputs(plan: Plan, writers: ReadonlyMap<string, OpenedWriter>, first: FirstOutput): Outputs {
  let seq = 0;
  const nextSeq = () => ++seq;
  const outputs = new Map<string, Output>();
  for (const [name, sink] of plan.sinks) {
    const opened = writers.get(name);
    // Another stage has it.
    if (opened === undefined) continue;
    if (modeOf(first.modes, name).kind === "dry-run")
      outputs.set(name, new DryRunOutput(name, sink, opened, first.dryRows[name] ?? 0));
    else if (sink.delivery === "held") outputs.set(name, new HeldOutput(sink, nextSeq));
    else if (sink.delivery === "eager" && opened.delivery === "eager")
      outputs.set(name, new EagerOutput(name, sink, opened.writer, nextSeq, first));
    else if (opened.delivery === "two-phase") outputs.set(name, new TwoPhaseOutput(opened.writer));
    else if (sink.delivery === "log" && opened.delivery === "log")
      outputs.set(name, new LogOutput(sink, opened.writer));
  }
  return outputs;
}

/** Outputs that keep what comes, for a task without an outside: all of a key's newest rows, or all rows where the sink has no key. */
export function keptOutputs(plan: Plan): ReadonlyMap<string, HeldOutput> {
  let seq = 0;
  const nextSeq = () => ++seq;
  return new Map(
    [...plan.sinks].map(([name, sink]) => {
      const keyOf = "keyOf" in sink ? sink.keyOf : () => String(seq);
      return [name, new HeldOutput({ keyOf }, nextSeq)];
    }),
  );
}

/** Rows wait for the outside: the session takes no more records until they are gone. */
export const isPressed = (output: Output, heldRowsMax: number): boolean =>
  output.kind === "held" || output.kind === "log" ? needsCut(output, heldRowsMax) : output.waiting >= output.waitingMax;

/** Rows wait for a checkpoint, and are as many as should. */
export function needsCut(output: Output, heldRowsMax: number): boolean {
  if (output.kind === "held") return output.waiting >= heldRowsMax;
  if (output.kind !== "log") return false;
  // Without a limit, what a cut waits for is taken whatever it gives.
  return output.waiting >= heldRowsMax || (output.bytes >= output.bytesMax && Number.isFinite(heldRowsMax));
}

/** Rows can be passed on now, without a checkpoint. */
export const hasWaiting = (output: Output): output is EagerOutput | TwoPhaseOutput =>
  output.kind === "eager" ? output.waiting > 0 : output.kind === "two-phase" && output.waiting >= output.worthwhile;
