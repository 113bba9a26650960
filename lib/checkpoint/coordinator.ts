import { asStreamError, invariant, keptMessage, type StreamError } from "../model/errors.js";
import type { Desired, FailureReport, Head, Progress } from "../model/head.js";
import { coordinatorTask, type Millis, type Sha256 } from "../model/ids.js";
import type { Functions } from "../ports/functions.js";
import { moveHead, type TellCheckpoint } from "./checkpoint-events.js";
import { complete } from "./completing.js";
import { type Decider, type Decision, decide, lookAgainAt } from "./decide.js";
import { emptyCache, type FactCache, type Facts, readFacts } from "./facts.js";
import { noteFailure } from "./lease.js";
import { failureOf } from "./limits.js";
import type { OpeningContext } from "./opening.js";
import { invoke, open, reject } from "./opening-steps.js";
import { nameLast } from "./savepoints.js";
import { readHead, type Versioned, writeMarker } from "./store.js";
import * as transitions from "./transitions.js";
import { tryHead } from "./try-head.js";
import { type Look, lookAtShards } from "./watch.js";

/** Reads facts, decides, acts, until nothing is left to do. The session of task 0 has one, the supervisor another (R3). */
export interface Coordinator extends OpeningContext {
  readonly functions: Functions;
  readonly decider: Decider;
  readonly memory: CoordinatorMemory;
  readonly tell: TellCheckpoint;
}

/** What saves a request; nothing rests on it. */
export interface CoordinatorMemory {
  readonly facts: FactCache;
  /** Hash of the last checkpoint whose marker this coordinator knows to stand in the bucket. */
  markedSha256: Sha256 | null;
  /** A request that cannot be carried out, and why: what runs goes on without it (R2). */
  refused: { readonly requestId: string; readonly error: StreamError } | null;
}

export const emptyMemory = (): CoordinatorMemory => ({ facts: emptyCache(), markedSha256: null, refused: null });

export interface Coordinated {
  /** The head as it was when nothing more was to be done. */
  readonly head: Versioned<Head> | null;
  readonly facts: Facts;
  /** When to look again at the latest, where a decision waits for a time. */
  readonly lookAgainAt: Millis | null;
}

const stepsMax = 12;

/**
 * @param reports failures that the caller was told of
 * @param own the caller's progress, newer than what it has put; null where the caller is no session
 * @throws StreamError where a start or restore that a person asked for cannot be: once all else is done, and never to a session
 */
export async function coordinate(
  coordinator: Coordinator,
  reports: readonly FailureReport[],
  own: Progress | null,
): Promise<Coordinated> {
  let look: Look | null = null;
  for (let step = 1; ; step++) {
    const { store, memory, decider } = coordinator;
    const read = await readFacts(store, memory.facts, reports).catch((error) => failCorrupt(coordinator, error));
    const all = { ...withOwn(read, own), look };
    const facts = isRefused(all.desired, memory) ? withoutRequest(all) : all;
    const decision = decide(facts, decider);
    if (decision.kind === "look" && own === null && step < stepsMax) {
      look = await lookBehind(coordinator, facts, decision);
      continue;
    }
    // A pipeline that sleeps has no sessions: one that is told so is on its way out.
    if (decision.kind === "nothing" || decision.kind === "look") {
      const isOver = facts !== all || all.desired?.request === null;
      if (isOver && own === null && memory.refused !== null) throw memory.refused.error;
      return { head: facts.head, facts, lookAgainAt: lookAgainAt(decision) };
    }
    await perform(coordinator, facts, decision);
    // Contention, or answers that are lost: the next look goes on.
    if (decision.kind === "invoke" || step === stepsMax) return { head: facts.head, facts, lookAgainAt: null };
  }
}

/**
 * For a session: what passes (a service that does not answer for a while) is the next look's to try again, and ends no healthy
 * generation (R2). @throws StreamError as {@link coordinate} does, and where not even the head can be read
 */
export async function coordinateInSession(coordinator: Coordinator, own: Progress): Promise<Versioned<Head> | null> {
  try {
    return (await coordinate(coordinator, [], own)).head;
  } catch (error) {
    const { kind } = asStreamError(error);
    if (kind !== "transient" && kind !== "ambiguous") throw error;
    return readHead(coordinator.store);
  }
}

/** Facts that are gone or changed stop the pipeline with that cause: no restart can read them either (P3). */
async function failCorrupt(coordinator: Coordinator, error: unknown): Promise<never> {
  const cause = asStreamError(error);
  const head = cause.kind === "corrupt" ? await readHead(coordinator.store) : null;
  if (head !== null && (head.value.endedAt === null || head.value.status === "suspended")) {
    const now = coordinator.store.clock.now();
    const failure = { ...failureOf(head.value, keptMessage(cause.message), now), kind: cause.kind };
    await moveHead(coordinator, head, transitions.fail(head.value, failure, now));
  }
  throw cause;
}

/** N3. */
function lookBehind(
  coordinator: Coordinator,
  facts: Facts,
  { checkpoint }: Extract<Decision, { readonly kind: "look" }>,
): Promise<Look> {
  invariant(facts.completed !== null, "N3: a pipeline that sleeps has a checkpoint");
  return lookAtShards(coordinator, checkpoint, facts.completed);
}

function withOwn(facts: Facts, own: Progress | null): Facts {
  if (own === null || facts.head?.value.generation !== own.generation) return facts;
  return { ...facts, progress: new Map([...facts.progress, [own.task, own]]) };
}

const isRefused = (desired: Desired | null, memory: CoordinatorMemory): boolean =>
  memory.refused !== null && desired?.request?.id === memory.refused.requestId;

const withoutRequest = (facts: Facts): Facts => ({
  ...facts,
  desired: facts.desired === null ? null : { ...facts.desired, request: null },
});

async function perform(
  coordinator: Coordinator,
  facts: Facts,
  decision: Exclude<Decision, { readonly kind: "nothing" | "look" }>,
): Promise<unknown> {
  if (decision.kind === "open") return open(coordinator, facts, decision);
  invariant(facts.head !== null && facts.record !== null, `${decision.kind} without a head`);
  const { version, value: head } = facts.head;
  const { store } = coordinator;
  switch (decision.kind) {
    case "complete":
      return complete(coordinator, facts, decision.pending);
    case "invoke":
      return invoke(coordinator, head, facts.record, decision.leases);
    case "trigger":
      return tryHead(store, version, transitions.trigger(head, decision.pending));
    case "abort":
      return moveHead(coordinator, facts.head, transitions.abort(head, facts.now));
    case "settle":
      // R7: no checkpoint follows whose completer would repair a missing marker.
      if (head.completed !== null) await writeMarker(store, head.incarnation, head.completed);
      return tryHead(store, version, transitions.settle(head, decision.status, facts.now));
    case "reject":
      return reject(store, facts.record, decision.code, decision.failure);
    case "savepoint":
      return nameLast(store, facts.head, decision.savepoint);
    case "refuse-savepoint":
      return tryHead(store, version, transitions.refuseSavepoint(head, decision.requestId, decision.message));
    case "note":
      return noteFailure(
        store,
        head,
        decision.failure,
        facts.leases.get(decision.failure.task ?? coordinatorTask) ?? null,
      );
    case "fail":
      return moveHead(coordinator, facts.head, transitions.fail(head, decision.failure, facts.now));
  }
}
