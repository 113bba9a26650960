import { StreamError } from "../model/errors.js";
import type { Desired, GenerationRecord } from "../model/head.js";
import type { Plan } from "../pipeline/plan.js";
import { checkModes, modeOf, type SinkModes } from "../pipeline/sink-modes.js";

/** A request that goes back to a checkpoint, and says what becomes of output after it (W2). */
export const isReplay = (request: Desired["request"]): boolean =>
  request !== null && request.kind === "restore" && Object.keys(request.sinks).length > 0;

/**
 * W2: the modes of the sinks of the next generation: those of the one before, until a request names others.
 *
 * @throws StreamError `invalid`: a sink that the plan has not, or that does not allow its mode; a fork that would write where its origin does
 */
export function modesAfter(plan: Plan, previous: GenerationRecord | null, desired: Desired): SinkModes {
  const { name } = plan.graph;
  const { request } = desired;
  const before = previous?.sinks ?? {};
  const asked = request === null || request.id === previous?.requestId ? {} : request.sinks;
  checkModes(name, plan.sinks, asked);
  const modes = { ...before, ...asked };
  const redirects = [...plan.sinks.keys()].flatMap((sink) =>
    modeOf(modes, sink).kind === "redirect" ? [[sink, modeOf(modes, sink)] as const] : [],
  );
  // A deploy may have made another sink of one that was redirected before.
  checkModes(name, plan.sinks, Object.fromEntries(redirects));
  if (previous !== null) checkFork(plan, previous, modes);
  return modes;
}

/** Whatever is asked of a fork, or deployed to it: its origin's targets are not its own. */
function checkFork(plan: Plan, { forkOf }: GenerationRecord, modes: SinkModes): void {
  if (forkOf === undefined) return;
  for (const sink of plan.sinks.keys()) {
    const { kind } = modeOf(modes, sink);
    if (kind === "redirect" || kind === "dry-run") continue;
    throw new StreamError(
      "invalid",
      `pipeline "${plan.graph.name}" is a fork of "${forkOf.pipeline}", and its sink "${sink}" would write where that one does (${kind}): redirect it, or let it run dry (W2)`,
    );
  }
}
