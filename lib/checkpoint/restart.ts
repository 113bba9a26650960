import { type Failure, failuresMax, rejectedKind } from "../model/head.js";
import { type Millis, millis } from "../model/ids.js";
import type { PlanSettings } from "../pipeline/plan.js";

export type RestartDecision =
  | { readonly kind: "now" }
  | { readonly kind: "wait"; readonly until: Millis }
  | { readonly kind: "give-up"; readonly failures: number };

/** Kinds of failure that another attempt would meet again: a person must act. */
const hopeless: ReadonlySet<string> = new Set(["invalid", "corrupt"]);

/**
 * As many failures as the head remembers, with no checkpoint between them, are a loop also where each takes minutes: a session that
 * dies at its deadline again and again. (A healthy pipeline completes a checkpoint in that time even where nothing comes, B1.)
 */
const slowLoopMillis = 6 * 3_600_000;

/**
 * The restart strategy: exponential delay, and a limit in a window. The first failure restarts at once; the next ones no sooner
 * than a delay after the failure before, which doubles. Failures with a completed checkpoint between them are progress, not a loop.
 */
export function decideRestart(
  failures: readonly Failure[],
  failure: Failure,
  now: Millis,
  restart: PlanSettings["restart"],
): RestartDecision {
  if (hopeless.has(failure.kind)) return { kind: "give-up", failures: 1 };
  const own = failures.filter(({ kind }) => kind !== rejectedKind);
  const loop = own.filter(
    (earlier) => earlier.checkpointId === failure.checkpointId && earlier.at > now - restart.window,
  );
  const slow = own.filter(
    (earlier) => earlier.checkpointId === failure.checkpointId && earlier.at > now - slowLoopMillis,
  );
  if (slow.length >= failuresMax) return { kind: "give-up", failures: slow.length + 1 };
  if (loop.length >= restart.attempts) return { kind: "give-up", failures: loop.length + 1 };
  const last = loop.at(-1);
  if (last === undefined) return { kind: "now" };
  const delay = Math.min(restart.initialDelay * 2 ** (loop.length - 1), restart.maxDelay);
  return last.at + delay <= now ? { kind: "now" } : { kind: "wait", until: millis(last.at + delay) };
}
