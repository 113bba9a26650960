import { rowsOfWhom } from "../../connectors/table-items.js";
import { StreamError } from "../../model/errors.js";
import type { Plan } from "../../pipeline/plan.js";
import { modeOf, type SinkModes } from "../../pipeline/sink-modes.js";
import { sinkTargets } from "../dev/resources.js";
import type { Target } from "../environment.js";

/**
 * W1, W2: a table of a redirect that has rows of another pipeline, such as a fork's that was there before, would fail the first commit,
 * when what runs is fenced already.
 *
 * @param incarnation of who is to write; null: of one that is not made yet
 * @returns what is so, and need not be what somebody wants
 * @throws StreamError `invalid`, naming the sinks and their tables
 */
export async function checkRows(
  target: Target,
  plan: Plan,
  modes: SinkModes,
  incarnation: string | null,
): Promise<readonly string[]> {
  const notes: string[] = [];
  const foreign: string[] = [];
  for (const { sink, kind, name } of sinkTargets(target, plan, modes)) {
    if (kind !== "table" || modeOf(modes, sink).kind !== "redirect") continue;
    const whose = await rowsOfWhom(target.clients.dynamo, name).catch(unlessUnknown);
    if (plan.sinks.get(sink)?.kind === "dynamo-counters") {
      if (whose.size > 0)
        notes.push(`sink "${sink}": the table "${name}" has counters already, which go on from there`);
    } else if ([...whose].some((one) => one !== "" && one !== incarnation))
      foreign.push(`  sink "${sink}": table "${name}"`);
  }
  if (foreign.length === 0) return notes;
  throw new StreamError(
    "invalid",
    `pipeline "${plan.graph.name}": what a redirect names has rows of another pipeline, or of a fork, and cannot be written over (W1):\n${foreign.join("\n")}\ngive the redirect another suffix, or make the table anew`,
  );
}

/** It is not there yet, or may not be read from here. */
function unlessUnknown(error: unknown): ReadonlySet<string> {
  if (error instanceof StreamError && error.kind === "invalid") return new Set();
  throw error;
}

/**
 * W2: a fork writes beside, and not where the pipeline itself is redirected to.
 *
 * @param now the modes of what runs
 * @throws StreamError `invalid`, naming the sink
 */
export function checkApart(pipeline: string, now: SinkModes, modes: SinkModes): void {
  for (const [sink, mode] of Object.entries(modes)) {
    const own = modeOf(now, sink);
    if (mode.kind !== "redirect" || own.kind !== "redirect" || own.suffix !== mode.suffix) continue;
    throw new StreamError(
      "invalid",
      `the sink "${sink}" of pipeline "${pipeline}" is redirected by the suffix "${mode.suffix}" itself: give the fork another one (W2)`,
    );
  }
}
