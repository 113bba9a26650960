import type { Coordinator } from "../checkpoint/coordinator.js";
import type { Facts } from "../checkpoint/facts.js";
import { failureOf } from "../checkpoint/limits.js";
import { checkRestore } from "../checkpoint/opening-check.js";
import { readDesired, readGenerationRecord, readHead } from "../checkpoint/store.js";
import { noteRejection, sameRef } from "../checkpoint/transitions.js";
import { tryHead } from "../checkpoint/try-head.js";
import { type Deployed, isNewer, rejectDeployment, wishDeployed } from "../checkpoint/wishes.js";
import { asStreamError, keptMessage } from "../model/errors.js";
import { type Desired, type Head, rejectedKind, type SupervisorCall } from "../model/head.js";
import type { Functions } from "../ports/functions.js";
import type { Deployment } from "./deployment.js";

// P4: how a deployment takes effect. The supervisor of newer code wishes for that code by itself, and whoever is called for code that is
// not its own passes the call on.

/**
 * Makes this code the one that is desired, where it is newer. What it could not be restored with is found before: then it is taken
 * back at once, and what runs is not disturbed (R2).
 */
export async function deployOwn(deployment: Deployment, coordinator: Coordinator): Promise<void> {
  const { release = null, functionVersion, plan } = deployment;
  if (release === null) return;
  const own: Deployed = { deployment: release, functionVersion, fingerprint: plan.fingerprint };
  try {
    await deploy(deployment, coordinator, own);
  } catch (error) {
    // The next call tries again; meanwhile there is other work to do.
    const { kind, message } = asStreamError(error);
    deployment.log({ event: "not deployed", ...own, kind, message });
  }
}

async function deploy(deployment: Deployment, coordinator: Coordinator, own: Deployed): Promise<void> {
  const { store } = coordinator;
  const desired = (await readDesired(store))?.value ?? null;
  if (!isNewer(own, desired)) return;
  const problems = desired === null ? [] : await problemsOf(coordinator);
  if (desired !== null && problems.length > 0) await takeBack(coordinator, own, desired, problems);
  else await wishDeployed(store, own);
  deployment.log({ event: problems.length === 0 ? "deployed" : "taken back", ...own, problems });
}

async function problemsOf(coordinator: Coordinator): Promise<readonly string[]> {
  const head = (await readHead(coordinator.store))?.value ?? null;
  // What is finished goes on from nowhere: that its records are past their retention by now (P1) is nothing against the code.
  if (head === null || head.completed === null || head.status === "finished") return [];
  const record = await readGenerationRecord(coordinator.store, head);
  const dropped = sameRef(record.origin, head.completed) ? record.dropped : [];
  return (await checkRestore(coordinator, head, head.completed, dropped)).problems;
}

async function takeBack({ store }: Coordinator, own: Deployed, desired: Desired, problems: readonly string[]) {
  const head = await readHead(store);
  if (head === null) return;
  const why = `deployment ${own.deployment} (version ${own.functionVersion}) was taken back before it began: ${problems.join("; ")}`;
  const failure = { ...failureOf(head.value, keptMessage(why), store.clock.now()), kind: rejectedKind };
  await rejectDeployment(store, own, desired.code, failure);
  if (head.value.endedAt === null) await tryHead(store, head.version, noteRejection(head.value, failure));
}

/**
 * A generation is opened by the code that is desired (P4). Where a deployment was taken back, that is not the code of the functions
 * that the schedule calls: so it is called by its version.
 */
export async function passOn(
  deployment: Deployment,
  functions: Functions,
  call: SupervisorCall,
  { desired, head, record }: Pick<Facts, "desired" | "head" | "record">,
): Promise<void> {
  if (call.by !== undefined || desired === null || desired.code.functionVersion === deployment.functionVersion) return;
  if (!isReleased(desired) || (head !== null && rests(head.value, desired, record))) return;
  const { functionVersion: by } = desired.code;
  await functions.callSupervisor({ ...call, by }).catch((error: unknown) => {
    const { kind, message } = asStreamError(error);
    deployment.log({ event: "not passed on", by, kind, message });
  });
}

const isReleased = ({ code, rejected, deployedAt = null }: Desired): boolean =>
  deployedAt !== null || rejected.includes(code.deployment);

/** Nobody asks for anything more: what is stopped is started, and what is finished is replayed, by the code that is desired. */
const rests = (head: Head, { state, request }: Desired, record: Facts["record"]): boolean =>
  head.endedAt !== null &&
  (state === "stopped" || (head.status === "finished" && (request === null || request.id === record?.requestId)));
