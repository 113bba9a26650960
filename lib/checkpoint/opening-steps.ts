import { asStreamError, invariant, keptMessage, type StreamError } from "../model/errors.js";
import { type Code, type Failure, type GenerationRecord, type Head, rejectedKind } from "../model/head.js";
import type { TaskId } from "../model/ids.js";
import { moveHead } from "./checkpoint-events.js";
import type { Coordinator } from "./coordinator.js";
import type { Decision } from "./decide.js";
import { isDeployed } from "./deploys.js";
import { type Facts, readFacts } from "./facts.js";
import { tasksOf } from "./fold.js";
import { failureOf } from "./limits.js";
import { prepareRecord } from "./opening.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readHead, writeGenerationRecord } from "./store.js";
import * as transitions from "./transitions.js";
import { tryHead } from "./try-head.js";
import { rejectDeployment, takeBackRequest } from "./wishes.js";

type Opening = Extract<Decision, { readonly kind: "open" }>;

/** R2: the record first, under its hash; then the head; then the sessions. */
export async function open(coordinator: Coordinator, facts: Facts, decision: Opening): Promise<void> {
  const { store } = coordinator;
  invariant(facts.desired !== null, "a generation is opened because somebody wants it");
  const head = facts.head?.value ?? null;
  const incarnation = head?.incarnation ?? Buffer.from(store.clock.random(6)).toString("hex");
  const opening = { reason: decision.reason, origin: decision.origin, incarnation };
  const record = await prepareRecord(coordinator, head, facts.record, facts.desired, opening).catch((error) =>
    cannotOpen(coordinator, facts, decision, error),
  );
  if (record === null) return;
  const generationRecord = await writeGenerationRecord(store, record);
  const { reason, origin, failure } = decision;
  const at = { generationRecord, reason, origin, now: facts.now, failure };
  const next = head === null ? transitions.createHead(incarnation, at) : transitions.openGeneration(head, at);
  await moveHead(coordinator, facts.head, next);
  const after = await readFacts(store, coordinator.memory.facts, []);
  // The item says whether our opening stands; invoking twice does no harm (R4), not at all costs ten seconds.
  if (after.head?.value.generationRecord !== generationRecord || after.record === null) return;
  const leases = tasksOf(after.record).map((task) => ({ task, leaseVersion: after.leases.get(task)?.version ?? 0 }));
  await invoke(coordinator, after.head.value, after.record, leases);
}

/** A restart or a waking that cannot be is the pipeline's failure; a start that a person asked for is theirs to hear of, and fences nothing (R2). */
async function cannotOpen(
  coordinator: Coordinator,
  facts: Facts,
  { reason, failure }: Opening,
  error: unknown,
): Promise<null> {
  const cause = asStreamError(error);
  if (facts.head === null || (cause.kind !== "invalid" && cause.kind !== "corrupt")) throw cause;
  if (reason === "start" || reason === "replay") {
    // By facts that are old nobody is refused: what they name may be collected by now, or be complete. The next look has newer ones.
    if (await isPast(coordinator.store, facts.head.version)) return null;
    coordinator.memory.refused = { requestId: facts.desired?.request?.id ?? "", error: cause };
    await refuseOwnCode(coordinator.store, facts, cause);
    return null;
  }
  const { version, value: head } = facts.head;
  const back = facts.record;
  // P4: what ran before can go on from there, whether it runs still, or stopped for this.
  if (back !== null && facts.desired !== null && isDeployed(facts.desired, back)) {
    const why = { ...failureOf(head, cause.message, facts.now), kind: rejectedKind };
    await rejectDeployment(coordinator.store, facts.desired.code, back, why);
    if (head.endedAt === null) await tryHead(coordinator.store, version, transitions.noteRejection(head, why));
    return null;
  }
  const message = failure === null ? cause.message : `${cause.message} (after: ${failure.message})`;
  const why = { ...(failure ?? failureOf(head, message, facts.now)), kind: cause.kind, message };
  await moveHead(coordinator, facts.head, transitions.fail(head, why, facts.now));
  return null;
}

const isPast = async (store: CheckpointStore, version: number): Promise<boolean> =>
  (await repeat(store.clock, () => readHead(store)))?.version !== version;

/** P4: else code that nobody has deployed would go on from where what runs is, with what was said of its sinks. */
async function refuseOwnCode(store: CheckpointStore, facts: Facts, { message }: StreamError): Promise<void> {
  const { head, record, desired, now } = facts;
  if (head === null || record === null || desired?.request?.ownCode !== true) return;
  const { functionVersion, fingerprint } = record;
  const state = head.value.status === "stopped" ? "stopped" : "running";
  const why = `version ${desired.code.functionVersion} was asked for, and cannot go on from there: ${message}`;
  const failure = failureOf(head.value, keptMessage(why), now);
  await takeBackRequest(store, desired.request.id, { functionVersion, fingerprint, state }, failure);
}

/** P4: the code of a generation is taken back. What is desired then opens the next one (R2). */
export function reject(store: CheckpointStore, record: GenerationRecord, back: Code, failure: Failure): Promise<void> {
  const { deployment, functionVersion, fingerprint } = record;
  const message = keptMessage(
    `deployment ${deployment} (version ${functionVersion}) was taken back: ${failure.message}`,
  );
  return rejectDeployment(store, { deployment, functionVersion, fingerprint }, back, { ...failure, message });
}

/** Invocations under way at a time. */
const invokedAtOnce = 16;

/**
 * P4: by the generation's version, which need not be that of the code that decides. An invocation that is lost is made again by
 * whoever finds the lease free (R5).
 */
export async function invoke(
  coordinator: Coordinator,
  head: Head,
  record: GenerationRecord,
  leases: readonly { readonly task: TaskId; readonly leaseVersion: number }[],
): Promise<void> {
  const { store, functions } = coordinator;
  const { incarnation, generation } = head;
  for (let i = 0; i < leases.length; i += invokedAtOnce) {
    const calls = leases.slice(i, i + invokedAtOnce).map((lease) => {
      const invocation = { pipeline: store.pipeline, incarnation, generation, ...lease };
      return repeat(store.clock, () => functions.invokeTask(record.functionVersion, invocation));
    });
    await Promise.all(calls);
  }
}
