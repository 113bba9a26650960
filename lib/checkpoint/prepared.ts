import type { Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Plan } from "../pipeline/plan.js";
import { readList } from "./inventory.js";
import type { CheckpointStore } from "./store.js";

/**
 * C2: what a checkpoint lists is written by the sinks that prepared it, so they must be there. Found before anything is fenced.
 *
 * @throws StreamError `invalid`: a sink was renamed or removed, or delivers otherwise now; `corrupt`: the list is gone (P3)
 */
export async function checkPrepared(store: CheckpointStore, plan: Plan, manifest: Manifest): Promise<void> {
  const { name } = plan.graph;
  for (const ack of manifest.tasks) {
    for (const { sink, kind } of await readList(store, ack)) {
      const now = plan.sinks.get(sink)?.delivery;
      if (now === kind) continue;
      const what = now === undefined ? "the pipeline does not have" : `was ${kind} then and is ${now} now`;
      throw new StreamError(
        "invalid",
        `pipeline "${name}", checkpoint ${manifest.checkpointId}: it has output for the sink "${sink}", which ${what}. Put the sink back as it was, let the pipeline run once without input, and stop it: that checkpoint has none`,
      );
    }
  }
}
