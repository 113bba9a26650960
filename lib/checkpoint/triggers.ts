import type { Manifest, Pending } from "../model/checkpoints.js";
import type { Head, Progress } from "../model/head.js";
import { checkpointId, type TaskId } from "../model/ids.js";
import type { PlanSettings } from "../pipeline/plan.js";
import type { Decision } from "./decide.js";
import { stopsForDeploy } from "./deploys.js";
import type { Facts } from "./facts.js";
import { tasksOf } from "./fold.js";
import { idleSince } from "./idle.js";
import { wantedSavepoint } from "./savepoints.js";
import { unfollowed } from "./shard-table.js";

/** A checkpoint waits while a task has uncommitted output of more completed checkpoints than this (B1). */
export const uncommittedMax = 2;

/** B1: whether a checkpoint is triggered now, and what sessions do after it. */
export function decideTrigger(facts: Facts, head: Head, settings: PlanSettings): Decision | null {
  if (head.status !== "running" || head.pending !== null || facts.record === null) return null;
  const tasks = tasksOf(facts.record);
  const why = triggerReason(facts, head, settings, tasks);
  if (why === null) return null;
  const savepoint = why === handover && head.consecutiveAborts > 0 ? null : wantedSavepoint(facts.desired, head);
  // B2: where the pipeline rests, its channels are empty, so that other code and another topology may go on from there; so are a savepoint's.
  const isAligned = (why.andThen !== "continue" || savepoint !== null) && hasChannels(facts, tasks);
  const alignment = isAligned ? "aligned" : settings.alignment;
  return {
    kind: "trigger",
    pending: {
      checkpointId: head.nextCheckpointId,
      savepoint,
      andThen: why.andThen,
      alignment,
      reason: why.reason,
      triggeredAt: facts.now,
    },
  };
}

/** One task has none, unless it was restored from several and still takes what was on its way between them (E3). */
const hasChannels = ({ completed }: Facts, tasks: readonly TaskId[]): boolean =>
  tasks.length > 1 || completed?.tasks.some(({ expected }) => expected.length > 0) === true;

function triggerReason(
  facts: Facts,
  head: Head,
  settings: PlanSettings,
  tasks: readonly TaskId[],
): Pick<Pending, "andThen" | "reason"> | null {
  const progress = tasks.flatMap((task) => facts.progress.get(task) ?? []);
  const held = tasks.every((task) => facts.leases.get(task)?.value.holder.kind === "held");
  // A session that restores cannot cut, and what the one before it has told counts no more.
  const isAbleToCut = progress.length === tasks.length && progress.every((task) => isOfHolder(facts, task));
  if (!held || !isAbleToCut) return null;
  const mustLeave = progress.some((task) => task.handover);
  // N1: an aligned one that is aborted again and again would let sessions die at their deadline. What they hand over goes on stopping.
  if (mustLeave && head.consecutiveAborts > 0) return handover;
  if (facts.desired?.state === "stopped") return { andThen: "stop", reason: "user" };
  if (knowAllShards(facts, head, progress) && progress.every((task) => task.sourcesFinished)) {
    return { andThen: "finish", reason: "end" };
  }
  if (stopsForDeploy(facts, settings)) return { andThen: "stop", reason: "deploy" };
  if (mustSleep(facts, head, settings, progress)) return facts.desired?.state === "running" ? idle : asked;
  if (mustLeave) return handover;
  if (wantedSavepoint(facts.desired, head) !== null) return { andThen: "continue", reason: "user" };
  const isPressed = progress.some((task) => task.pressed);
  const isTime = isPressed || head.lastTriggeredAt + settings.interval <= facts.now;
  if (!isTime || head.settledAt + settings.minPause > facts.now) return null;
  const changed = progress.some((task) => task.changed) || isBehind(facts, head, progress);
  const behind = progress.some((task) => task.uncommitted > uncommittedMax);
  return isSilent(facts, settings, progress) || (changed && !behind)
    ? { andThen: "continue", reason: "interval" }
    : null;
}

const handover = { andThen: "continue", reason: "handover" } as const;
const idle = { andThen: "suspend", reason: "idle" } as const;
const asked = { andThen: "suspend", reason: "user" } as const;

/** N2: only the whole pipeline sleeps, whether or not anything changed since the last checkpoint. */
function mustSleep(facts: Facts, head: Head, settings: PlanSettings, progress: readonly Progress[]): boolean {
  if (facts.desired?.state === "suspended") return true;
  if (settings.suspendAfter === null || progress.length < facts.leases.size) return false;
  if (!progress.every((task) => isOfHolder(facts, task))) return false;
  const since = idleSince(head, facts.completed, progress);
  return since !== null && since + settings.suspendAfter <= facts.now;
}

/**
 * Whether what the tasks say of their sources is of all shards. One task knows its own; of several, a child may be another task's than
 * its parent, and its owner may have told that it is finished before it saw the checkpoint that let the child in. So its word counts
 * from its cut for that checkpoint on, and only if acks speak of all open shards: else another one comes first, as for any change.
 */
function knowAllShards({ completed }: Facts, head: Head, progress: readonly Progress[]): boolean {
  // What a generation begins with all its sessions know.
  if (progress.length === 1 || completed === null || completed.generation !== head.generation) return true;
  return progress.every((task) => task.epoch >= completed.checkpointId) && !hasUnread(completed);
}

/** K3: shards that the checkpoint has let in, of sources that are read: none of its acks speaks of them yet. */
function hasUnread({ shards, tasks }: Manifest): boolean {
  return Object.entries(shards).some(([name, source]) => {
    const positions = tasks.flatMap((ack) => ack.positions[name] ?? []);
    const known = new Set(positions.map(({ shardId }) => shardId));
    const isRead = tasks.some((ack) => name in ack.positions);
    return isRead && source.shards.some(({ shardId, at }) => at.kind === "open" && !known.has(shardId));
  });
}

/**
 * What only another checkpoint brings forward: a cut for one that was aborted, shards whose children an old list did not show, and the
 * end of several tasks, which is not asked for while no ack speaks of shards that were let in.
 */
function isBehind(facts: Facts, head: Head, progress: readonly Progress[]): boolean {
  const completed = head.completed?.checkpointId ?? checkpointId(0);
  if (progress.some((task) => task.epoch > completed)) return true;
  if (facts.completed === null) return false;
  if (progress.length > 1 && hasUnread(facts.completed)) return true;
  // The table of a source that the plan no longer has is carried on; nobody reads it, so that no checkpoint would help.
  const { shards, tasks } = facts.completed;
  const read = new Set(tasks.flatMap((ack) => Object.keys(ack.positions)));
  return Object.entries(shards).some(([name, source]) => read.has(name) && unfollowed(source).length > 0);
}

/**
 * R4: a session that has told how far it is, and says nothing any more, is asked for a checkpoint: one that is dead, and whose end
 * nobody heard of, is learnt of by its time-out. One that restores has said nothing yet, and is left alone.
 */
function isSilent(facts: Facts, settings: PlanSettings, progress: readonly Progress[]): boolean {
  return progress.some((task) => isOfHolder(facts, task) && task.at + settings.timeout < facts.now);
}

/** Of the session that runs the task now, not of the one before. */
function isOfHolder(facts: Facts, task: Progress): boolean {
  const holder = facts.leases.get(task.task)?.value.holder;
  return holder?.kind === "held" && holder.session === task.session;
}
