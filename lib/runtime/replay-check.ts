import { checkRestore, type RestoreCheck } from "../checkpoint/opening-check.js";
import { readHead } from "../checkpoint/store.js";
import type { CheckpointRef } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Plan } from "../pipeline/plan.js";
import type { SinkResources } from "../pipeline/sink.js";
import { checkModes, modeOf, resourcesIn, type SinkModes } from "../pipeline/sink-modes.js";
import type { World } from "../ports/world.js";
import { type Bindings, coordinatorOf, type Deployment } from "./deployment.js";

// What a replay would meet, before it fences what runs: asked of the very code that is to go on, where that is, so that its plan, its
// rights, its network and its variables are those that count.

/** W2, P1, P2: what the code of a deployment is asked. */
export type ReplayQuestion =
  | { readonly about: "restore"; readonly from: CheckpointRef; readonly dropped: readonly string[] }
  /** All but those in a dry run are looked at. */
  | { readonly about: "targets"; readonly sinks: SinkModes };

/** What the function of tasks is invoked with, and waited for. */
export interface ReplayCall {
  readonly pipeline: string;
  readonly ask: ReplayQuestion;
}

export const isReplayCall = (event: unknown): event is ReplayCall => {
  const { pipeline, ask } = (event ?? {}) as Partial<ReplayCall>;
  return typeof pipeline === "string" && typeof ask?.about === "string";
};

/** Changes nothing. @throws StreamError `transient`, `corrupt`: it could not be told */
export async function answerReplay(deployment: Deployment, { pipeline, ask }: ReplayCall): Promise<RestoreCheck> {
  const { plan, world, bindings } = deployment;
  const { name } = plan.graph;
  if (name !== pipeline)
    return { problems: [`the function runs pipeline "${name}", not "${pipeline}"; call the one of that`], notes: [] };
  if (ask.about === "targets") {
    const look = async () => {
      checkModes(name, plan.sinks, ask.sinks);
      await checkTargets(plan, ask.sinks, lookResources(world, bindings));
    };
    return { problems: await refusalsOf(look), notes: [] };
  }
  const coordinator = coordinatorOf(deployment, world);
  const head = await readHead(coordinator.store);
  if (head === null) return { problems: [`pipeline "${name}" has no head in the function's table`], notes: [] };
  return checkRestore(coordinator, head.value, ask.from, ask.dropped);
}

async function refusalsOf(check: () => Promise<void>): Promise<readonly string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    const { kind, message } = asStreamError(error);
    if (kind === "invalid") return [message];
    throw error;
  }
}

/** Enough to look at a sink's target: nothing is staged. */
export const lookResources = (
  { tables, streams, files, objects, clock }: Pick<World, "tables" | "streams" | "files" | "objects" | "clock">,
  bindings: Bindings,
): SinkResources => ({
  tables,
  streams,
  files,
  objects,
  clock,
  bind: (kind, logical) => bindings[kind](logical),
  stage: { task: "look-", session: "look-" },
});

/** W2: of a dry run nothing is asked. @throws StreamError `invalid`: of the first sink whose target is absent, unfit, or refused */
export async function checkTargets(plan: Plan, modes: SinkModes, resources: SinkResources): Promise<void> {
  for (const [name, sink] of plan.sinks) {
    const mode = modeOf(modes, name);
    if (mode.kind === "dry-run") continue;
    const writer = sink.open(resourcesIn(mode, resources));
    try {
      await writer.check();
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      throw new StreamError(error.kind, `sink "${name}": ${error.message}`, { cause: error });
    } finally {
      await writer.close();
    }
  }
}
