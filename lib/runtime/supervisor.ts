import { collect } from "../checkpoint/collect.js";
import { type Coordinated, coordinate } from "../checkpoint/coordinator.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { asStreamError } from "../model/errors.js";
import type { Head, SupervisorCall } from "../model/head.js";
import type { Millis } from "../model/ids.js";
import { coordinatorOf, type Deployment } from "./deployment.js";
import { guardWorld } from "./guard.js";
import { measuresOf } from "./measures.js";
import { deployOwn, passOn } from "./release.js";

/** G1: what cannot be collected now the next call collects; it is no reason for the supervisor to fail. */
async function collectQuietly(deployment: Deployment, store: CheckpointStore, deadline: Millis): Promise<void> {
  try {
    const done = await collect(store, { retained: deployment.plan.settings.retained, deadline });
    if (done !== null && done.removed > 0) deployment.log({ event: "collected", ...done });
  } catch (error) {
    const { kind, message } = asStreamError(error);
    deployment.log({ event: "not collected", kind, message });
  }
}

/** A delayed restart that lies within this is waited for; a later one is the next scheduled call's. */
const waitMarginMillis = 2_000;

/**
 * One call of the supervisor: on a schedule, by the failure destination of the tasks, or by a session that failed. It reconciles
 * what is desired with the facts, and keeps nothing (PROTOCOL, section 9). It never touches a sink.
 *
 * @throws StreamError where a start or restore that a person asked for cannot be
 */
export async function runSupervisor(
  deployment: Deployment,
  call: SupervisorCall,
  execution: { readonly deadline: Millis },
): Promise<Head | null> {
  const guarded = guardWorld(deployment.world);
  const coordinator = coordinatorOf(deployment, guarded.world);
  const { clock } = deployment.world;
  const reports = call.report === null ? [] : [call.report];
  try {
    await deployOwn(deployment, coordinator);
    for (;;) {
      const done: Coordinated = await coordinate(coordinator, reports, null);
      const again = done.lookAgainAt;
      if (again === null || again + waitMarginMillis > execution.deadline) {
        await passOn(deployment, guarded.world.functions, call, done.facts);
        deployment.log({ event: "supervised", at: done.facts.now, metrics: measuresOf(done.facts) });
        return done.head?.value ?? null;
      }
      await clock.sleep(Math.max(1, again - clock.now()));
    }
  } finally {
    await collectQuietly(deployment, coordinator.store, execution.deadline);
    guarded.end();
    await guarded.idle();
  }
}
