import { canonicalJson } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";
import type { Failure, GenerationRecord, Head, Invocation, Lease } from "../model/head.js";
import { type CheckpointId, coordinatorTask, type Millis, type SessionId } from "../model/ids.js";
import { countOne, noneYet } from "./limits.js";
import { type CheckpointStore, readGenerationRecord, readHead, readLease, swapLease, type Versioned } from "./store.js";

/** A session that runs: its lease, and the head and generation it runs in. */
export interface Claim {
  readonly lease: Lease;
  /** Of the item, as this session left it. */
  readonly version: number;
  readonly head: Head;
  readonly record: GenerationRecord;
}

export type ClaimResult =
  | { readonly kind: "held"; readonly claim: Claim }
  | { readonly kind: "refused"; readonly why: string };

export interface Claimant {
  readonly session: SessionId;
  readonly requestId: string;
  readonly functionVersion: string;
  readonly deadline: Millis;
}

/** An invocation for a lease version that does not exist yet asks again for so long (R5). */
const notYetMillis = 10_000;
const notYetPauseMillis = 250;
const attemptsMax = 8;

/**
 * R4: takes the lease (g, t) by compare-and-set from exactly the version that the invocation names. A claimant that loses, comes
 * late, or is of another function version (P4) is refused, which is no error: an error would fence a healthy session.
 */
export async function claimLease(store: CheckpointStore, invocation: Invocation, me: Claimant): Promise<ClaimResult> {
  const head = (await readHead(store))?.value;
  if (head === undefined || head.incarnation !== invocation.incarnation || head.generation !== invocation.generation) {
    return refused(`generation ${invocation.generation} is not the running one`);
  }
  if (head.endedAt !== null) return refused(`the pipeline is ${head.status}`);
  const record = await readGenerationRecord(store, head);
  if (record.functionVersion !== me.functionVersion) {
    return refused(
      `P4: generation ${head.generation} runs version ${record.functionVersion}, this is ${me.functionVersion}`,
    );
  }
  const before = await awaitVersion(store, invocation);
  if (before.kind === "refused") return before;
  if (before.lease !== null && before.lease.value.holder.kind !== "free") return refused("the lease is not free");
  const lease: Lease = {
    format: 1,
    generation: invocation.generation,
    task: invocation.task,
    ack: before.lease?.value.ack ?? null,
    sessions: countOne(before.lease?.value.sessions ?? null, store.clock.now()),
    holder: {
      kind: "held",
      session: me.session,
      requestId: me.requestId,
      since: store.clock.now(),
      deadline: me.deadline,
    },
  };
  const taken = await takeFrom(store, invocation, lease);
  return taken
    ? { kind: "held", claim: { lease, version: invocation.leaseVersion + 1, head, record } }
    : refused("another session took the lease");
}

const refused = (why: string) => ({ kind: "refused", why }) as const;

type Awaited =
  | { readonly kind: "found"; readonly lease: Versioned<Lease> | null }
  | { readonly kind: "refused"; readonly why: string };

/** R5: the release that made the version may still be under way to us: ask again for a while. */
async function awaitVersion(store: CheckpointStore, invocation: Invocation): Promise<Awaited> {
  const until = store.clock.now() + notYetMillis;
  for (;;) {
    const lease = await readLease(store, invocation.incarnation, invocation.generation, invocation.task);
    const version = lease?.version ?? 0;
    if (version === invocation.leaseVersion) return { kind: "found", lease };
    if (version > invocation.leaseVersion)
      return refused(`lease version ${invocation.leaseVersion} is past, it is at ${version}`);
    if (store.clock.now() >= until)
      return refused(`lease version ${invocation.leaseVersion} never came, it is at ${version}`);
    await store.clock.sleep(notYetPauseMillis);
  }
}

/**
 * R5: where the answer was lost, the item says what happened. Our session id was drawn in this execution, so an item that names
 * it is ours; while the item stands at the old version the write may still come, so it is sent again.
 */
async function takeFrom(store: CheckpointStore, invocation: Invocation, lease: Lease): Promise<boolean> {
  const expected = invocation.leaseVersion === 0 ? null : invocation.leaseVersion;
  return settleSwap(store, invocation, expected, lease, (current) => holds(current, lease));
}

const holds = (current: Lease, mine: Lease): boolean =>
  current.holder.kind === "held" && mine.holder.kind === "held" && current.holder.session === mine.holder.session;

/**
 * R4, R5: passes the lease on, the last act of a session: after it was sent it may only be sent again. Returns the version that
 * the successor is invoked with. `end` is the ack it leaves, or that all is committed (C3).
 */
export async function releaseLease(
  store: CheckpointStore,
  claim: Claim,
  invocation: Invocation,
  end:
    | { readonly kind: "handover"; readonly ack: CheckpointId }
    | { readonly kind: "done"; readonly ack: CheckpointId; readonly committed: CheckpointId }
    | { readonly kind: "failed"; readonly failure: string; readonly message: string },
): Promise<{ readonly kind: "released"; readonly version: number } | { readonly kind: "lost" }> {
  const lease: Lease = { ...claim.lease, ...ending(end, claim, store) };
  const text = canonicalJson(lease);
  const done = await settleSwap(store, invocation, claim.version, lease, (current) => canonicalJson(current) === text);
  return done ? { kind: "released", version: claim.version + 1 } : { kind: "lost" };
}

function ending(
  end: Parameters<typeof releaseLease>[3],
  claim: Claim,
  store: CheckpointStore,
): Pick<Lease, "ack" | "holder"> {
  switch (end.kind) {
    case "handover":
      return { ack: end.ack, holder: { kind: "free", since: store.clock.now() } };
    case "done":
      return { ack: end.ack, holder: { kind: "done", committed: end.committed } };
    case "failed": {
      const session = claim.lease.holder.kind === "held" ? claim.lease.holder.session : ("" as SessionId);
      return { ack: claim.lease.ack, holder: { kind: "failed", session, failure: end.failure, message: end.message } };
    }
  }
}

/** Swaps until the item says that it happened, or that it never can. */
async function settleSwap(
  store: CheckpointStore,
  invocation: Invocation,
  expected: number | null,
  lease: Lease,
  isMine: (current: Lease) => boolean,
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const swapped = await attemptSwap(store, invocation.incarnation, expected, lease);
    if (swapped === "swapped") return true;
    const current = await readLease(store, invocation.incarnation, lease.generation, lease.task);
    const version = current?.version ?? 0;
    if (version === (expected ?? 0) + 1 && current !== null && isMine(current.value)) return true;
    if (version > (expected ?? 0)) return false;
    if (attempt === attemptsMax) {
      throw new StreamError(
        "ambiguous",
        `the lease of task ${lease.task} cannot be changed: ${attemptsMax} attempts without an answer`,
      );
    }
    await store.clock.sleep(50 * 2 ** attempt);
  }
}

async function attemptSwap(
  store: CheckpointStore,
  incarnation: string,
  expected: number | null,
  lease: Lease,
): Promise<"swapped" | "unknown"> {
  try {
    const result = await swapLease(store, incarnation, expected, lease);
    return result.kind === "swapped" ? "swapped" : "unknown";
  } catch (error) {
    if (error instanceof StreamError && (error.kind === "ambiguous" || error.kind === "transient")) return "unknown";
    throw error;
  }
}

/**
 * R4: a failure that only a report told of is noted in the lease, so that a restart that waits does not rest on one caller's
 * memory. The session, should it live after all, finds its lease moved. Whether it happened the facts say, when they are read again (R5).
 */
export async function noteFailure(
  store: CheckpointStore,
  head: Head,
  failure: Failure,
  lease: Versioned<Lease> | null,
): Promise<void> {
  const holder = lease?.value.holder;
  const session = holder?.kind === "held" ? holder.session : ("none" as SessionId);
  const failed: Lease = {
    format: 1,
    generation: head.generation,
    task: failure.task ?? coordinatorTask,
    ack: lease?.value.ack ?? null,
    sessions: lease?.value.sessions ?? noneYet(store.clock.now()),
    holder: { kind: "failed", session, failure: failure.kind, message: failure.message },
  };
  await attemptSwap(store, head.incarnation, lease?.version ?? null, failed);
}
