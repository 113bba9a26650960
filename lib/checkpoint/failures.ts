import { keptMessage } from "../model/errors.js";
import type { Failure, FailureReport, Head, Lease } from "../model/head.js";
import { checkpointId, type TaskId } from "../model/ids.js";
import type { PlanSettings } from "../pipeline/plan.js";
import type { Facts } from "./facts.js";
import type { Versioned } from "./store.js";

/** A session that reached its deadline is dead so long after it, whatever the clocks differ by (only time rests on that). */
export const deadlineGraceMillis = 5_000;

/** R4: how a failure is learnt of: a report of the failure destination, a lease marked failed, a deadline, or aborts in a row. */
export function findFailure(facts: Facts, head: Head, settings: PlanSettings): Failure | null {
  const found = fromReports(facts, head) ?? fromLeases(facts) ?? fromAborts(head, settings);
  if (found === null) return null;
  return {
    generation: head.generation,
    at: facts.now,
    checkpointId: head.completed?.checkpointId ?? checkpointId(0),
    ...found,
    message: keptMessage(found.message),
  };
}

/** A failure that only this call knows of: it must be noted before a restart may wait, or nobody hears of it again. */
export const isOnlyReported = (facts: Facts, head: Head): boolean => fromReports(facts, head) !== null;

type Found = Pick<Failure, "task" | "kind" | "message">;

/** R2: a failure reported by a zombie opens nothing: its generation is compared, and the version of its lease. */
function fromReports(facts: Facts, head: Head): Found | null {
  const report = facts.reports.find(
    ({ invocation }) =>
      invocation.incarnation === head.incarnation &&
      invocation.generation === head.generation &&
      isAboutNow(invocation, facts.leases.get(invocation.task)),
  );
  return report === undefined ? null : { task: report.invocation.task, kind: report.kind, message: report.message };
}

/** The invocation held the lease when it died, or died before it took it; one that has passed its lease on is of no interest. */
function isAboutNow(invocation: FailureReport["invocation"], lease: Versioned<Lease> | undefined): boolean {
  if (lease === undefined) return true;
  if (lease.value.holder.kind === "free") return lease.version === invocation.leaseVersion;
  return lease.value.holder.kind === "held" && lease.version === invocation.leaseVersion + 1;
}

function fromLeases(facts: Facts): Found | null {
  for (const [task, lease] of facts.leases) {
    const found = fromLease(task, lease.value, facts);
    if (found !== null) return found;
  }
  return null;
}

function fromLease(task: TaskId, lease: Lease, facts: Facts): Found | null {
  const holder = lease.holder;
  if (holder.kind === "failed") return { task, kind: holder.failure, message: holder.message };
  if (holder.kind === "held" && holder.deadline + deadlineGraceMillis <= facts.now) {
    return { task, kind: "deadline", message: `session ${holder.session} of task ${task} reached its deadline` };
  }
  return null;
}

function fromAborts(head: Head, settings: PlanSettings): Found | null {
  if (head.consecutiveAborts <= settings.tolerableFailures) return null;
  return {
    task: null,
    kind: "aborts",
    message: `${head.consecutiveAborts} checkpoints in a row were aborted after ${settings.timeout} ms`,
  };
}
