import type { CheckpointRef, Pending } from "../model/checkpoints.js";
import type { Code, Failure, GenerationRecord, Head, Lease } from "../model/head.js";
import { checkpointId, type Millis, millis, type TaskId } from "../model/ids.js";
import type { ShardTable } from "../model/shards.js";
import type { PlanSettings } from "../pipeline/plan.js";
import { decideAsleep } from "./asleep.js";
import { decideDeploy, fallbackAfter, isTakenBack } from "./deploys.js";
import type { Facts } from "./facts.js";
import { findFailure, isOnlyReported } from "./failures.js";
import { gatherAcks, tasksOf } from "./fold.js";
import { failureOf, openingLimit, sessionLimit } from "./limits.js";
import { decideRestart } from "./restart.js";
import { decideSavepoint } from "./savepoints.js";
import { isReplay } from "./sink-modes.js";
import { decideTrigger } from "./triggers.js";

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
  /** The last checkpoint of a pipeline that rests is the savepoint that somebody asks for. */
  | { readonly kind: "savepoint"; readonly savepoint: NonNullable<Pending["savepoint"]> }
  /** P4: the code of this generation is taken back, and this one is desired again. */
  | { readonly kind: "reject"; readonly failure: Failure; readonly code: Code }
  | { readonly kind: "refuse-savepoint"; readonly requestId: string; readonly message: string }
  /** All whose invocation was lost, at once. */
  | {
      readonly kind: "invoke";
      readonly leases: readonly { readonly task: TaskId; readonly leaseVersion: number }[];
    }
  /** N3: at the shards of a pipeline that sleeps. What it finds is a fact of the next decision. */
  | { readonly kind: "look"; readonly checkpoint: CheckpointRef };

/** Who decides: only code of the generation's version completes its checkpoints, and opens only what `desired` names (P4). */
export interface Decider {
  readonly functionVersion: string;
  readonly settings: PlanSettings;
  /** K2: whether a generation of these stages has no task for a shard of this table, for it is of two tasks. */
  readonly needsExchange: (stages: GenerationRecord["stages"], shards: ShardTable) => boolean;
}

/** A free lease that nobody takes for so long was invoked in vain (R5). */
export const untakenMillis = 10_000;

const nothing: Decision = { kind: "nothing", until: null };

/** R3: a pure function of facts. One decision at a time: when it is carried out, the facts are read again. */
export function decide(facts: Facts, me: Decider): Decision {
  if (facts.desired === null) return nothing;
  if (facts.head === null || facts.record === null) return decideFirst(facts, me);
  const head = facts.head.value;
  const request = facts.desired.request;
  if (request !== null && request.id !== facts.record.requestId) {
    const reason = isReplay(request) ? "replay" : "start";
    const opened = opening(facts, me, reason, request.kind === "restore" ? request.from : head.completed, null);
    // P4: code of another version goes on with what runs until the opening, so that one that cannot be fences nothing (R2).
    if (opened.kind === "open") return opened;
  }
  const deploy = decideDeploy(facts, head, me.settings);
  if (deploy?.kind === "open") {
    const opened = opening(facts, me, "deploy", head.completed, deploy.failure);
    if (opened.kind === "open" || isTakenBack(facts)) return opened;
  }
  const savepoint = decideSavepoint(facts, head);
  if (savepoint !== null) return savepoint;
  if (head.status === "suspended") return decideAsleep(facts, head, me);
  if (head.status === "failed" || head.endedAt !== null) return nothing;
  return (
    decideLimit(facts, head) ??
    decideFailure(facts, head, me) ??
    decidePending(facts, head, me) ??
    decideExchange(facts, head, me) ??
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

/** Sessions that follow each other too fast: the pipeline rests, whatever else there is to do. */
function decideLimit(facts: Facts, head: Head): Decision | null {
  const limit = sessionLimit(facts.leases, facts.now);
  return limit === null ? null : { kind: "fail", failure: failureOf(head, limit, facts.now) };
}

/** R4: each failure opens a generation, from what is complete; the restart strategy says when, or that no restart can help. */
function decideFailure(facts: Facts, head: Head, me: Decider): Decision | null {
  const failure = findFailure(facts, head, me.settings);
  if (failure === null) return null;
  const restart = decideRestart(head.failures, failure, facts.now, me.settings.restart);
  const code = fallbackAfter(facts, head, failure, restart);
  if (code !== null) return { kind: "reject", failure, code };
  switch (restart.kind) {
    case "give-up":
      return { kind: "fail", failure };
    case "wait":
      return isOnlyReported(facts, head) ? { kind: "note", failure } : { kind: "nothing", until: restart.until };
    case "now": {
      const limit = openingLimit(head, facts.now);
      if (limit === null) return opening(facts, me, "failure", head.completed, failure);
      const message = `${limit}; the last failure: ${failure.message}`;
      return { kind: "fail", failure: { ...failureOf(head, message, facts.now), task: failure.task } };
    }
  }
}

/**
 * B4, B5: all acks are there, or the time is up. The end is reached only where every ack says so: what sessions had told before was
 * no fact, and a session that took a task over in between may not have read to the end yet. Then the end is asked for again.
 */
function decidePending(facts: Facts, head: Head, me: Decider): Decision | null {
  const pending = head.pending;
  if (pending === null || facts.record === null) return null;
  const acks = gatherAcks(facts.record, facts.acks, facts.completed, facts.leases);
  const all = acks !== null;
  if (all && pending.andThen === "finish" && !acks.every((ack) => ack.finished)) return { kind: "abort", pending };
  if (all && facts.record.functionVersion === me.functionVersion) return { kind: "complete", pending };
  if (pending.triggeredAt + me.settings.timeout <= facts.now) return { kind: "abort", pending };
  return null;
}

/** K2: nobody reads a shard that is of two tasks; the next generation has an exchange. */
function decideExchange(facts: Facts, head: Head, me: Decider): Decision | null {
  const { record, completed } = facts;
  if (head.status !== "running" || head.pending !== null || record === null || completed === null) return null;
  const opened = me.needsExchange(record.stages, completed.shards)
    ? opening(facts, me, "rescale", head.completed, null)
    : nothing;
  return opened.kind === "open" ? opened : null;
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

/** R5: invocations may be lost; whoever finds leases free for long invokes their tasks again. */
function decideInvoke(facts: Facts): Decision | null {
  if (facts.record === null || facts.head === null) return null;
  const { value: head } = facts.head;
  const untaken = tasksOf(facts.record).flatMap((task) => {
    const lease = facts.leases.get(task);
    const since = freeSince(lease?.value ?? null, head);
    return since !== null && since + untakenMillis <= facts.now ? [{ task, leaseVersion: lease?.version ?? 0 }] : [];
  });
  return untaken.length === 0 ? null : { kind: "invoke", leases: untaken };
}

function freeSince(lease: Lease | null, head: Head): Millis | null {
  if (lease === null) return head.openedAt;
  return lease.holder.kind === "free" ? lease.holder.since : null;
}

/** When to look again although nothing was to be done: at a restart that is delayed. */
export const lookAgainAt = (decision: Decision): Millis | null =>
  decision.kind === "nothing" && decision.until !== null ? millis(decision.until) : null;
