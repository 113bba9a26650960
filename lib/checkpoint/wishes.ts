import { StreamError } from "../model/errors.js";
import type { Desired } from "../model/head.js";
import type { Sha256 } from "../model/ids.js";
import { type CheckpointStore, readDesired, swapDesired } from "./store.js";

const attemptsMax = 10;

/**
 * A person starts the pipeline: R4, it opens a generation at once and waits for no deadline.
 *
 * @param id of the request, drawn by the caller: the generation that fulfils it names it
 */
export function wishRunning(
  store: CheckpointStore,
  code: { readonly functionVersion: string; readonly fingerprint: Sha256 },
  id: string,
): Promise<Desired> {
  return changeDesired(store, (before) => {
    // Ours, of which no answer came. Made again after a stop it would be running by wish alone: its generation has been (R5).
    if (before?.request?.id === id) return before;
    return {
      format: 1,
      state: "running",
      code: { ...code, deployment: deploymentAfter(before, code.functionVersion) },
      rejected: before?.rejected ?? [],
      request: { id, kind: "restart", from: null, sinks: {}, dropped: [] },
    };
  });
}

/** The pipeline stops at a checkpoint. Nothing is to stop where it never ran. */
export function wishStopped(store: CheckpointStore): Promise<Desired | null> {
  return changeDesired(store, (before) => (before === null ? null : { ...before, state: "stopped" }));
}

/** P4: only grows, so that an older supervisor never wins. */
function deploymentAfter(before: Desired | null, functionVersion: string): number {
  if (before === null) return 1;
  return before.code.functionVersion === functionVersion ? before.code.deployment : before.code.deployment + 1;
}

/** By compare-and-set. A change that was made although its answer was lost is found, or made again, which is the same (R5). */
async function changeDesired<D extends Desired | null>(
  store: CheckpointStore,
  change: (before: Desired | null) => D,
): Promise<D> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const before = await readDesired(store);
    const next = change(before?.value ?? null);
    if (next === null || next === before?.value) return next;
    const swapped = await swapDesired(store, before?.version ?? null, next).catch(lostAnswer);
    if (swapped?.kind === "swapped") return next;
  }
  throw new StreamError(
    "transient",
    `${store.pipeline}: what is desired could not be written in ${attemptsMax} attempts; try again`,
  );
}

function lostAnswer(error: unknown): null {
  if (error instanceof StreamError && (error.kind === "ambiguous" || error.kind === "transient")) return null;
  throw error;
}
