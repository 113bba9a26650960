import type { Pending } from "../model/checkpoints.js";
import { asStreamError, invariant, keptMessage, StreamError } from "../model/errors.js";
import type { Desired, Failure, FailureReport, GenerationRecord, Head, Progress } from "../model/head.js";
import { checkpointId, coordinatorTask, type Millis, type Sha256, type TaskId } from "../model/ids.js";
import type { Functions } from "../ports/functions.js";
import type { LogShard } from "../ports/log.js";
import { type Decider, type Decision, decide, lookAgainAt } from "./decide.js";
import { emptyCache, type FactCache, type Facts, readFacts } from "./facts.js";
import { foldManifest, gatherAcks, shardsBefore, tasksOf } from "./fold.js";
import { noteFailure } from "./lease.js";
import { type OpeningContext, prepareRecord } from "./opening.js";
import { repeat } from "./repeat.js";
import { needsListing } from "./shard-table.js";
import { readHead, swapHead, type Versioned, writeGenerationRecord, writeManifest, writeMarker } from "./store.js";
import * as transitions from "./transitions.js";

/** Reads facts, decides, acts, until nothing is left to do. The session of task 0 has one, the supervisor another (R3). */
export interface Coordinator extends OpeningContext {
  readonly functions: Functions;
  readonly decider: Decider;
  readonly memory: CoordinatorMemory;
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
  for (let step = 1; ; step++) {
    const { store, memory, decider } = coordinator;
    const read = await readFacts(store, memory.facts, reports).catch((error) => failCorrupt(coordinator, error));
    const all = withOwn(read, own);
    const facts = isRefused(all.desired, memory) ? withoutRequest(all) : all;
    const decision = decide(facts, decider);
    if (decision.kind === "nothing") {
      if (facts !== all && own === null && memory.refused !== null) throw memory.refused.error;
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
  if (head !== null && head.value.endedAt === null) {
    const now = coordinator.store.clock.now();
    const { generation, completed } = head.value;
    const failure = { generation, at: now, task: null, kind: cause.kind, message: keptMessage(cause.message) };
    const at = completed?.checkpointId ?? checkpointId(0);
    await tryHead(coordinator, head.version, transitions.fail(head.value, { ...failure, checkpointId: at }, now));
  }
  throw cause;
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
  decision: Exclude<Decision, { readonly kind: "nothing" }>,
): Promise<unknown> {
  if (decision.kind === "open") return open(coordinator, facts, decision);
  invariant(facts.head !== null && facts.record !== null, `${decision.kind} without a head`);
  const { version, value: head } = facts.head;
  const { store } = coordinator;
  switch (decision.kind) {
    case "complete":
      return complete(coordinator, facts, decision.pending);
    case "invoke":
      return invoke(coordinator, head, facts.record, decision.task, decision.leaseVersion);
    case "trigger":
      return tryHead(coordinator, version, transitions.trigger(head, decision.pending));
    case "abort":
      return tryHead(coordinator, version, transitions.abort(head, facts.now));
    case "settle":
      // R7: no checkpoint follows whose completer would repair a missing marker.
      if (head.completed !== null) await writeMarker(store, head.incarnation, head.completed);
      return tryHead(coordinator, version, transitions.settle(head, decision.status, facts.now));
    case "note":
      return noteFailure(
        store,
        head,
        decision.failure,
        facts.leases.get(decision.failure.task ?? coordinatorTask) ?? null,
      );
    case "fail":
      return tryHead(coordinator, version, transitions.fail(head, decision.failure, facts.now));
  }
}

/** True where it is known to be won. Lost, or without an answer: the facts are read again, and the item says (R5). */
async function tryHead(coordinator: Coordinator, version: number | null, head: Head): Promise<boolean> {
  try {
    return (await swapHead(coordinator.store, version, head)).kind === "swapped";
  } catch (error) {
    if (!(error instanceof StreamError) || (error.kind !== "ambiguous" && error.kind !== "transient")) throw error;
    return false;
  }
}

/** B4, R1: fold, write, move the head, mark. */
async function complete(coordinator: Coordinator, facts: Facts, pending: Pending): Promise<void> {
  const { store, memory } = coordinator;
  invariant(facts.head !== null && facts.record !== null, "R1: complete without a head");
  const { version, value: head } = facts.head;
  const acks = gatherAcks(facts.record, facts.acks, facts.completed, facts.leases);
  invariant(acks !== null, "B4: complete without all acks");
  const previous =
    head.completed === null || facts.completed === null ? null : { ref: head.completed, manifest: facts.completed };
  const listed = await listShards(coordinator, facts.record, facts, acks);
  const manifest = foldManifest({
    record: facts.record,
    recordHash: head.generationRecord,
    pending,
    acks,
    previous,
    listed,
  });
  const ref = await writeManifest(store, manifest);
  const next = transitions.complete(head, ref, facts.now);
  invariant(next !== null, "R1: the facts were decided on, so its condition holds in them");
  if (previous !== null && memory.markedSha256 !== previous.ref.sha256) {
    await writeMarker(store, head.incarnation, previous.ref);
  }
  if (!(await tryHead(coordinator, version, next))) return;
  memory.facts.completed = { hash: ref.sha256, manifest };
  await writeMarker(store, head.incarnation, ref);
  memory.markedSha256 = ref.sha256;
}

async function listShards(
  coordinator: Coordinator,
  record: GenerationRecord,
  facts: Facts,
  acks: Parameters<typeof needsListing>[1],
): Promise<Readonly<Record<string, readonly LogShard[]>>> {
  const listed: Record<string, readonly LogShard[]> = {};
  const table = shardsBefore(record, facts.completed);
  for (const [name, source] of coordinator.plan.sources) {
    const before = table[name];
    if (before === undefined || !needsListing(before, acks, name)) continue;
    const stream = coordinator.bindStream(source.config.stream);
    listed[name] = await repeat(coordinator.store.clock, () => coordinator.log.shards(stream));
  }
  return listed;
}

/** R2: the record first, under its hash; then the head; then the sessions. */
async function open(
  coordinator: Coordinator,
  facts: Facts,
  decision: Extract<Decision, { readonly kind: "open" }>,
): Promise<void> {
  const { store } = coordinator;
  invariant(facts.desired !== null, "a generation is opened because somebody wants it");
  const head = facts.head?.value ?? null;
  const incarnation = head?.incarnation ?? Buffer.from(store.clock.random(6)).toString("hex");
  const opening = { reason: decision.reason, origin: decision.origin, incarnation };
  const record = await prepareRecord(coordinator, head, facts.record, facts.desired, opening).catch((error) =>
    cannotOpen(coordinator, facts, decision.failure, error),
  );
  if (record === null) return;
  const generationRecord = await writeGenerationRecord(store, record);
  const at = { generationRecord, origin: decision.origin, now: facts.now, failure: decision.failure };
  const next = head === null ? transitions.createHead(incarnation, at) : transitions.openGeneration(head, at);
  await tryHead(coordinator, facts.head?.version ?? null, next);
  const after = await readFacts(store, coordinator.memory.facts, []);
  // The item says whether our opening stands; invoking twice does no harm (R4), not at all costs ten seconds.
  if (after.head?.value.generationRecord !== generationRecord || after.record === null) return;
  for (const task of tasksOf(after.record))
    await invoke(coordinator, after.head.value, after.record, task, after.leases.get(task)?.version ?? 0);
}

/** A restart that cannot be is the pipeline's failure; a start that a person asked for is theirs to hear of, and fences nothing (R2). */
async function cannotOpen(
  coordinator: Coordinator,
  facts: Facts,
  failure: Failure | null,
  error: unknown,
): Promise<null> {
  const cause = asStreamError(error);
  if (facts.head === null || (cause.kind !== "invalid" && cause.kind !== "corrupt")) throw cause;
  if (failure === null) {
    coordinator.memory.refused = { requestId: facts.desired?.request?.id ?? "", error: cause };
    return null;
  }
  const why = { ...failure, kind: cause.kind, message: `${cause.message} (after: ${failure.message})` };
  await tryHead(coordinator, facts.head.version, transitions.fail(facts.head.value, why, facts.now));
  return null;
}

/**
 * P4: by the generation's version, which need not be that of the code that decides. An invocation that is lost is made again by
 * whoever finds the lease free (R5).
 */
async function invoke(
  coordinator: Coordinator,
  head: Head,
  record: GenerationRecord,
  task: TaskId,
  leaseVersion: number,
): Promise<void> {
  const { store, functions } = coordinator;
  const invocation = {
    pipeline: store.pipeline,
    incarnation: head.incarnation,
    generation: head.generation,
    task,
    leaseVersion,
  };
  await repeat(store.clock, () => functions.invokeTask(record.functionVersion, invocation));
}
