import type { Code, Desired, Failure, GenerationRecord, Head } from "../model/head.js";
import type { PlanSettings } from "../pipeline/plan.js";
import type { Facts } from "./facts.js";
import type { RestartDecision } from "./restart.js";
import { sameRef } from "./transitions.js";

// P4: a deploy is a change of the code in `desired`. What runs stops at an aligned checkpoint that its own code makes; the new code goes
// on from it. Code that fails before it has completed a checkpoint is taken back, and what ran before goes on.

/** What a generation of the code in `desired` is opened for; null: nothing. */
export type DeployDecision = { readonly kind: "open"; readonly failure: Failure | null } | null;

/** How long what runs is given for its last checkpoint, from the deploy on: one may be under way, and then its own. */
export const patienceOf = (settings: PlanSettings): number => 2 * settings.timeout;

export function decideDeploy(facts: Facts, head: Head, settings: PlanSettings): DeployDecision {
  const { desired, record } = facts;
  if (desired === null || record === null) return null;
  if (isTakenBack(facts)) return { kind: "open", failure: desired.rejection ?? null };
  if (desired.state !== "running") return null;
  const isOther = isDeployed(desired, record);
  switch (head.status) {
    case "stopped":
      // Also where the new code was taken back before it could open: what stopped for it goes on.
      return head.deploying ? { kind: "open", failure: isBack(desired) ? (desired.rejection ?? null) : null } : null;
    case "failed":
      return isOther ? { kind: "open", failure: null } : null;
    case "running":
      return isOther && head.pending === null && isOverdue(facts, settings) ? { kind: "open", failure: null } : null;
    case "stopping": {
      const isSlow = head.settledAt + settings.timeout <= facts.now;
      return isOther && head.deploying && isSlow ? { kind: "open", failure: null } : null;
    }
    default:
      // One that sleeps is woken by the new code; one that is finished has nothing left to do.
      return null;
  }
}

/** Whether what runs is to stop for other code. Not where a start is asked for: that opens at once. */
export function stopsForDeploy(facts: Facts, settings: PlanSettings): boolean {
  const { desired, record } = facts;
  if (desired === null || record === null || desired.state !== "running") return false;
  if ((desired.request !== null && desired.request.id !== record.requestId) || isTakenBack(facts)) return false;
  return isDeployed(desired, record) && !isOverdue(facts, settings);
}

/** Code of another version, that came by a deploy. One that came with a start opens what was asked for, or nothing (R2). */
export const isDeployed = ({ code, deployedAt = null }: Desired, record: GenerationRecord): boolean =>
  deployedAt !== null && code.functionVersion !== record.functionVersion;

const isOverdue = ({ desired, now }: Facts, settings: PlanSettings): boolean =>
  (desired?.deployedAt ?? 0) + patienceOf(settings) <= now;

/** Nobody acts for a generation whose code was taken back, but by opening the next. */
export const isTakenBack = ({ desired, record }: Pick<Facts, "desired" | "record">): boolean =>
  desired !== null &&
  record !== null &&
  desired.code.functionVersion !== record.functionVersion &&
  desired.rejected.includes(record.deployment ?? 0);

/** What is desired ran before a deployment that was taken back. */
const isBack = ({ code, rejected }: Desired): boolean => rejected.includes(code.deployment);

/** Of what a generation is opened with: what ran before a deployment that was taken back has not its number. */
export const deploymentOf = (desired: Desired): number => (isBack(desired) ? 0 : desired.code.deployment);

/** The code to go back to after this failure, which another attempt would meet again; null: it is no matter of the deploy. */
export function fallbackAfter(facts: Facts, head: Head, failure: Failure, restart: RestartDecision): Code | null {
  const { record, desired } = facts;
  if (record === null || desired?.code.functionVersion !== record.functionVersion) return null;
  if (!sameRef(head.completed, record.origin)) return null;
  return restart.kind === "give-up" || failure.kind === "bug" ? (record.fallback ?? null) : null;
}

/** What a generation that is opened now could go back to. A start is a person's, who is there to see what becomes of it. */
export function fallbackOf(
  head: Head | null,
  previous: GenerationRecord | null,
  desired: Desired,
  reason: GenerationRecord["reason"],
): Code | null {
  if (head === null || previous === null || reason === "start" || reason === "replay") return null;
  const { functionVersion, fingerprint } = previous;
  // Code that has completed nothing is nothing to go back to, but what it would have gone back to.
  const unproven = sameRef(head.completed, previous.origin) ? (previous.fallback ?? null) : null;
  const isOther = functionVersion !== desired.code.functionVersion;
  const code = isOther ? (unproven ?? { functionVersion, fingerprint }) : unproven;
  return code?.functionVersion === desired.code.functionVersion ? null : code;
}
