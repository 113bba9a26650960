import type { Json } from "#lib/model/canonical-json.js";
import type { Plan } from "#lib/pipeline/plan.js";
import { cutStages } from "#lib/pipeline/stages.js";

/** A source or a sink, as its plan says it. Names in its config are logical. */
export interface PlanPart {
  readonly name: string;
  readonly kind: string;
  readonly config: { readonly [member: string]: Json };
}

/** Of a plan what the construct has to know: plain data. */
export interface PlanFacts {
  readonly name: string;
  readonly fingerprint: string;
  readonly sources: readonly PlanPart[];
  /** With that of dead letters. */
  readonly sinks: readonly PlanPart[];
  readonly stages: readonly { readonly name: string; readonly tasks: number }[];
  /** Milliseconds. */
  readonly checkpointInterval: number;
  /** Milliseconds. */
  readonly sessionReserve: number;
}

export function factsOf(plan: Plan): PlanFacts {
  const { graph, settings } = plan;
  return {
    name: graph.name,
    fingerprint: plan.fingerprint,
    sources: [...plan.sources].map(([name, { kind, config }]) => ({ name, kind, config: { ...config } })),
    sinks: [...plan.sinks].map(([name, { kind, config }]) => ({ name, kind, config: membersOf(config) })),
    stages: cutStages(plan).stages.map(({ name, tasks }) => ({ name, tasks })),
    checkpointInterval: settings.interval,
    sessionReserve: settings.reserve,
  };
}

const membersOf = (config: Json): PlanPart["config"] =>
  typeof config === "object" && config !== null && !Array.isArray(config) ? { ...(config as PlanPart["config"]) } : {};
