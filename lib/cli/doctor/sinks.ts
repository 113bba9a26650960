import { dynamoTables } from "../../connectors/dynamo-tables.js";
import type { Plan } from "../../pipeline/plan.js";
import { modeOf, resourcesIn, type SinkModes } from "../../pipeline/sink-modes.js";
import { resourcesOf, sinkTargets } from "../dev/resources.js";
import type { Target } from "../environment.js";
import { type Finding, failure, isAbsent, ok } from "./findings.js";
import { missing } from "./stores.js";

/**
 * Of each sink: whether its target is there and fits. Nothing is written, so that the right to write is not tried.
 *
 * @param modes of the generation that runs (W2)
 */
export async function sinkFindings(target: Target, plan: Plan, modes: SinkModes): Promise<readonly Finding[]> {
  const named = new Map(sinkTargets(target, plan, modes).map((found) => [found.sink, found]));
  const all: Finding[] = [];
  for (const [name, sink] of plan.sinks) {
    const found = named.get(name);
    const check = found === undefined ? `sink "${name}"` : `sink "${name}", ${found.kind} "${found.name}"`;
    const mode = modeOf(modes, name);
    if (mode.kind === "dry-run") {
      all.push(ok(check, "is not written: it is in a dry run"));
      continue;
    }
    const writer = sink.open(resourcesIn(mode, resourcesOf(target)));
    try {
      const isMissing = found?.kind === "table" && (await isNoTable(target, found.name));
      if (!isMissing) await writer.check();
      all.push(isMissing ? missing(check, target) : ok(check, "is there, and fits"));
    } catch (error) {
      all.push(found !== undefined && isAbsent(error) ? missing(check, target) : failure(check, error));
    } finally {
      await writer.close();
    }
  }
  return all;
}

const isNoTable = async (target: Target, name: string): Promise<boolean> =>
  (await dynamoTables(target.clients.dynamo).describe(name)).kind === "absent";
