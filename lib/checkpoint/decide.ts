import type { CheckpointRef, Pending } from "../model/checkpoints.js";
import type { Failure, GenerationRecord, Head, Lease, Progress } from "../model/head.js";
import { checkpointId, type Millis, millis, type TaskId } from "../model/ids.js";
import type { PlanSettings } from "../pipeline/plan.js";
import type { Facts } from "./facts.js";
import { findFailure, isOnlyReported } from "./failures.js";
import { gatherAcks, tasksOf } from "./fold.js";
import { decideRestart } from "./restart.js";
import { childless } from "./shard-table.js";

/** What is to be done next. Carried out by compare-and-set: any two may try, one wins, the other observes (R3). */
export type Decision =
  | { readonly kind: "nothing"; readonly until: Millis | null }
  | {
      readonly kind: "open";
      readonly reason: GenerationRecord["reason"];
      readonly origin: CheckpointRef | null;
      readonly failure: Failure | null;
    }
  | { readonly kind: "fail"; readonly failure: Failure }
  /** Marks the lease of the failed task: a restart that waits must not rest on a report in one caller's memory (R4). */
  | { readonly kind: "note"; readonly failure: Failure }
  | { readonly kind: "complete"; readonly pending: Pending }
  | { readonly kind: "abort"; readonly pending: Pending }
  | { readonly kind: "trigger"; readonly pending: Pending }
  | { readonly kind: "settle"; readonly status: "suspended" | "stopped" | "finished" }
  | { readonly kind: "invoke"; readonly task: TaskId; readonly leaseVersion: number };

/** Who decides: only code of the generation's version completes its checkpoints, and opens only what `desired` names (P4). */
export interface Decider {
  readonly functionVersion: string;
  readonly settings: PlanSettings;
}

/** A free lease that nobody takes for so long was invoked in vain (R5). */
export const untakenMillis = 10_000;
/** A checkpoint waits while a task has uncommitted output of more completed checkpoints than this (B1). */
export const uncommittedMax = 2;

const nothing: Decision = { kind: "nothing", until: null };

/** R3: a pure function of facts. One decision at a time: when it is carried out, the facts are read again. */
export function decide(facts: Facts, me: Decider): Decision {
  if (facts.desired === null) return nothing;
  if (facts.head === null || facts.record === null) return decideFirst(facts, me);
  const head = facts.head.value;
  const request = facts.desired.request;
  if (request !== null && request.kind !== "savepoint" && request.id !== facts.record.requestId) {
    const opened = opening(facts, me, "start", request.kind === "restore" ? request.from : head.completed, null);
    // P4: code of another version goes on with what runs until the opening, so that one that cannot be fences nothing (R2).
    if (opened.kind === "open") return opened;
  }
  if (head.status === "failed" || head.endedAt !== null) return nothing;
  return (
    decideFailure(facts, head, me) ??
    decidePending(facts, head, me) ??
    decideEnd(facts, head) ??
    decideTrigger(facts, head, me.settings) ??
    decideInvoke(facts) ??
    nothing
  );
}

function decideFirst(facts: Facts, me: Decider): Decision {
  return facts.desired?.state === "running" ? opening(facts, me, "start", null, null) : nothing;
}

/** P4: a generation is opened with the version in `desired`, by code of that version, which alone knows its plan. */
function opening(
  facts: Facts,
  me: Decider,
  reason: GenerationRecord["reason"],
  origin: CheckpointRef | null,
  failure: Failure | null,
): Decision {
  if (facts.desired?.code.functionVersion !== me.functionVersion) return nothing;
  return { kind: "open", reason, origin, failure };
}

/** R4: each failure opens a generation, from what is complete; the restart strategy says when, or that no restart can help. */
function decideFailure(facts: Facts, head: Head, me: Decider): Decision | null {
  const failure = findFailure(facts, head, me.settings);
  if (failure === null) return null;
  const restart = decideRestart(head.failures, failure, facts.now, me.settings.restart);
  switch (restart.kind) {
    case "give-up":
      return { kind: "fail", failure };
    case "wait":
      return isOnlyReported(facts, head) ? { kind: "note", failure } : { kind: "nothing", until: restart.until };
    case "now":
      return opening(facts, me, "failure", head.completed, failure);
  }
}

/** B4, B5: all acks are there, or the time is up. */
function decidePending(facts: Facts, head: Head, me: Decider): Decision | null {
  const pending = head.pending;
  if (pending === null || facts.record === null) return null;
  const all = gatherAcks(facts.record, facts.acks, facts.completed, facts.leases) !== null;
  if (all && facts.record.functionVersion === me.functionVersion) return { kind: "complete", pending };
  if (pending.triggeredAt + me.settings.timeout <= facts.now) return { kind: "abort", pending };
  return null;
}

const endOf = { suspending: "suspended", stopping: "stopped", finishing: "finished" } as const;

/** C3: the end is reached when each lease says `committed` for the ack that counts in the completed checkpoint. */
function decideEnd(facts: Facts, head: Head): Decision | null {
  if (head.status !== "suspending" && head.status !== "stopping" && head.status !== "finishing") return null;
  const counted = new Map((facts.completed?.tasks ?? []).map((ack) => [ack.task, ack.checkpointId]));
  const settled = tasksOf(facts.record ?? { stages: [] }).every((task) => {
    const holder = facts.leases.get(task)?.value.holder;
    return holder?.kind === "done" && holder.committed >= (counted.get(task) ?? checkpointId(0));
  });
  return settled ? { kind: "settle", status: endOf[head.status] } : null;
}

/** B1. */
function decideTrigger(facts: Facts, head: Head, settings: PlanSettings): Decision | null {
  if (head.status !== "running" || head.pending !== null || facts.record === null) return null;
  const why = triggerReason(facts, head, settings, tasksOf(facts.record));
  if (why === null) return null;
  return {
    kind: "trigger",
    pending: {
      checkpointId: head.nextCheckpointId,
      savepoint: null,
      andThen: why.andThen,
      alignment: settings.alignment,
      reason: why.reason,
      triggeredAt: facts.now,
    },
  };
}

function triggerReason(
  facts: Facts,
  head: Head,
  settings: PlanSettings,
  tasks: readonly TaskId[],
): Pick<Pending, "andThen" | "reason"> | null {
  const progress = tasks.flatMap((task) => facts.progress.get(task) ?? []);
  const held = tasks.every((task) => facts.leases.get(task)?.value.holder.kind === "held");
  if (!held) return null;
  if (facts.desired?.state === "stopped") return { andThen: "stop", reason: "user" };
  if (progress.length === tasks.length && progress.every((task) => task.sourcesFinished)) {
    return { andThen: "finish", reason: "end" };
  }
  if (progress.some((task) => task.handover)) return { andThen: "continue", reason: "handover" };
  const due = head.lastTriggeredAt + settings.interval <= facts.now && head.settledAt + settings.minPause <= facts.now;
  const changed =
    progress.some((task) => task.changed) || isBehind(facts, head, progress) || isSilent(facts, settings, progress);
  const behind = progress.some((task) => task.uncommitted > uncommittedMax);
  return due && changed && !behind ? { andThen: "continue", reason: "interval" } : null;
}

/** What only another checkpoint brings forward: a cut for one that was aborted, and shards whose children an old list did not show. */
function isBehind(facts: Facts, head: Head, progress: readonly Progress[]): boolean {
  const completed = head.completed?.checkpointId ?? checkpointId(0);
  return (
    progress.some((task) => task.epoch > completed) ||
    Object.values(facts.completed?.shards ?? {}).some((source) => childless(source).length > 0)
  );
}

/**
 * R4: a session that has told how far it is, and says nothing any more, is asked for a checkpoint: one that is dead, and whose end
 * nobody heard of, is learnt of by its time-out. One that restores has said nothing yet, and is left alone.
 */
function isSilent(facts: Facts, settings: PlanSettings, progress: readonly Progress[]): boolean {
  return progress.some((task) => {
    const holder = facts.leases.get(task.task)?.value.holder;
    return holder?.kind === "held" && holder.session === task.session && task.at + settings.timeout < facts.now;
  });
}

/** R5: an invocation may be lost; whoever finds a lease free for long invokes its task again. */
function decideInvoke(facts: Facts): Decision | null {
  if (facts.record === null || facts.head === null) return null;
  for (const task of tasksOf(facts.record)) {
    const lease = facts.leases.get(task);
    const since = freeSince(lease?.value ?? null, facts.head.value);
    if (since !== null && since + untakenMillis <= facts.now)
      return { kind: "invoke", task, leaseVersion: lease?.version ?? 0 };
  }
  return null;
}

function freeSince(lease: Lease | null, head: Head): Millis | null {
  if (lease === null) return head.openedAt;
  return lease.holder.kind === "free" ? lease.holder.since : null;
}

/** When to look again although nothing was to be done: at a restart that is delayed. */
export const lookAgainAt = (decision: Decision): Millis | null =>
  decision.kind === "nothing" && decision.until !== null ? millis(decision.until) : null;
