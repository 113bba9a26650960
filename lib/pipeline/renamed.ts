import { canonicalJson } from "../model/canonical-json.js";
import { sha256 } from "../model/sha256.js";
import type { Plan } from "./plan.js";

/** The same pipeline under another name, with checkpoints of its own: a fork. What it names, streams and tables, is as it was. */
export function renamed<P extends { readonly name: string; readonly fingerprint: string; readonly plan: Plan }>(
  pipeline: P,
  name: string,
): P {
  const graph = Object.freeze({ ...pipeline.plan.graph, name });
  const plan: Plan = Object.freeze({ ...pipeline.plan, graph, fingerprint: sha256(canonicalJson(graph)) });
  return Object.freeze({ ...pipeline, name, fingerprint: plan.fingerprint, plan });
}
