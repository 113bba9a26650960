import { type Claim, claimLease, releaseLease } from "../checkpoint/lease.js";
import { repeat } from "../checkpoint/repeat.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { asStreamError, keptMessage, StreamError } from "../model/errors.js";
import type { Invocation } from "../model/head.js";
import { type Millis, type SessionId, sessionId } from "../model/ids.js";
import type { Identity } from "./cut.js";
import { type Deployment, storeOf } from "./deployment.js";
import { type GuardedWorld, guardWorld } from "./guard.js";
import { checkMemory } from "./memory.js";
import { openParts } from "./open-parts.js";
import type { SessionEnding } from "./phase.js";
import { placeOf } from "./place.js";
import { readStart, type Start } from "./restore.js";
import { Session } from "./session.js";
import type { SessionParts } from "./session-parts.js";
import { closeWriters, openWriters } from "./writers.js";

/** Between two attempts of a session that failed to say so. */
const markPauseMillis = 250;
const markPauseMillisMax = 5_000;

/** How a session ended, for its log. */
export type SessionOutcome =
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "failed"; readonly failure: string; readonly message: string }
  | SessionEnding;

/**
 * One invocation of a task: claims its lease, restores, runs until its time or the checkpoint says that it ends, passes the
 * lease on. Never throws for what the protocol foresees: an error would fence a healthy session (R4).
 */
export async function runSession(
  deployment: Deployment,
  invocation: Invocation,
  execution: { readonly requestId: string; readonly deadline: Millis },
): Promise<SessionOutcome> {
  const guarded = guardWorld(deployment.world);
  const store = storeOf(deployment, guarded.world);
  // R4: drawn in this execution. Nothing in the event may serve: a retry repeats it.
  const session = sessionId(Buffer.from(store.clock.random(8)).toString("hex"));
  try {
    const { functionVersion } = deployment;
    const claimed = await claimLease(store, invocation, { session, functionVersion, ...execution });
    if (claimed.kind === "refused") return claimed;
    return await runClaimed(deployment, guarded, invocation, claimed.claim, session, execution.deadline);
  } finally {
    guarded.end();
    await guarded.idle();
  }
}

async function runClaimed(
  deployment: Deployment,
  guarded: GuardedWorld,
  invocation: Invocation,
  claim: Claim,
  session: SessionId,
  deadline: Millis,
): Promise<SessionOutcome> {
  // What the session began ends before its lease is passed on (N4): its calls have a guard of their own.
  const inner = guardWorld(guarded.world);
  const ended = await runToEnd(deployment, inner, invocation, claim, session, deadline);
  inner.end();
  await inner.idle();
  if (ended instanceof StreamError)
    return failInOrder(guarded, storeOf(deployment, guarded.world), invocation, claim, { error: ended, deadline });
  if (ended.kind !== "fenced") await passOn(deployment, guarded, invocation, claim, ended);
  return ended;
}

async function runToEnd(
  deployment: Deployment,
  guarded: GuardedWorld,
  invocation: Invocation,
  claim: Claim,
  session: SessionId,
  deadline: Millis,
): Promise<SessionEnding | StreamError> {
  try {
    const place = placeOf(deployment.plan, claim.record, invocation.task);
    const me: Identity = { ...invocation, session, keyGroups: place.keyGroups };
    const start = await readStart(storeOf(deployment, guarded.world), claim, place.heir);
    checkMemory(invocation.task, start.snapshots, deployment.memoryBytes ?? null);
    const writers = openWriters(deployment, guarded.world, place, me, claim.record.sinks);
    try {
      const parts = await openParts(deployment, guarded, claim, place, me, start, deadline, writers);
      return await runParts(parts, me, start, claim);
    } finally {
      await closeWriters(writers, guarded.world.clock, deadline, deployment.log);
    }
  } catch (error) {
    return asStreamError(error);
  }
}

async function runParts(parts: SessionParts, me: Identity, start: Start, claim: Claim): Promise<SessionEnding> {
  const running = new Session(parts, me, start, claim.head);
  try {
    await running.restore(start);
    return await running.run();
  } finally {
    // N4: calls of users, too, are ended before the session returns.
    await parts.calls.end();
  }
}

async function passOn(
  deployment: Deployment,
  guarded: GuardedWorld,
  invocation: Invocation,
  claim: Claim,
  end: Exclude<SessionEnding, { readonly kind: "fenced" }>,
): Promise<void> {
  const store = storeOf(deployment, guarded.world);
  const released = await releaseLease(store, claim, invocation, end);
  if (released.kind === "lost") return;
  const { functions } = guarded.world;
  // R5: the successor is invoked with the version that the release left. The end of the pipeline is the supervisor's to note.
  const call =
    end.kind === "handover"
      ? () => functions.invokeTask(deployment.functionVersion, { ...invocation, leaseVersion: released.version })
      : () => functions.callSupervisor({ pipeline: invocation.pipeline, report: null });
  await repeat(store.clock, call).catch(() => undefined);
}

/** R4: marks the lease and calls the supervisor, so that nobody waits for a deadline. */
async function failInOrder(
  guarded: GuardedWorld,
  store: CheckpointStore,
  invocation: Invocation,
  claim: Claim,
  end: { readonly error: StreamError; readonly deadline: Millis },
): Promise<SessionOutcome> {
  const { kind } = end.error;
  const message = keptMessage(end.error.message);
  if (kind === "fenced") return { kind: "fenced" };
  const failed = { kind: "failed", failure: kind, message } as const;
  await markFailed(store, invocation, claim, failed, end.deadline);
  const report = { invocation, kind, message };
  await repeat(store.clock, () =>
    guarded.world.functions.callSupervisor({ pipeline: invocation.pipeline, report }),
  ).catch(() => undefined);
  return failed;
}

/** A supervisor that is called while the registers are out of reach can do nothing, and loses the report: so the mark waits for them. */
async function markFailed(
  store: CheckpointStore,
  invocation: Invocation,
  claim: Claim,
  failed: Extract<SessionOutcome, { readonly kind: "failed" }>,
  deadline: Millis,
): Promise<void> {
  for (let pause = markPauseMillis; ; pause = Math.min(2 * pause, markPauseMillisMax)) {
    try {
      await releaseLease(store, claim, invocation, failed);
      return;
    } catch (error) {
      const { kind } = asStreamError(error);
      const passes = kind === "transient" || kind === "ambiguous";
      if (!passes || store.clock.now() + 2 * pause >= deadline) return;
    }
    await store.clock.sleep(pause);
  }
}
