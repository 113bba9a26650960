import { type Coordinator, emptyMemory } from "../checkpoint/coordinator.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { needsExchange } from "../pipeline/partitioned.js";
import type { Plan } from "../pipeline/plan.js";
import type { World } from "../ports/world.js";
import { checkpointFigures } from "./checkpoint-figures.js";
import type { SessionLog } from "./session-parts.js";

/** The physical names of an environment, by logical ones. */
export interface Bindings {
  readonly stream: (logical: string) => string;
  readonly table: (logical: string) => string;
  readonly file: (logical: string) => string;
  readonly bucket: (logical: string) => string;
  readonly database: (logical: string) => string;
}

/** The code and environment that sessions and supervisors run in. */
export interface Deployment {
  readonly world: World;
  readonly plan: Plan;
  readonly bindings: Bindings;
  readonly functionVersion: string;
  /** P4: the number of this deployment, which grows; null or absent where deployments have none: then somebody starts its code. */
  readonly release?: number | null;
  readonly library: string;
  /** Of the function that runs this; null or absent where nobody says. */
  readonly memoryBytes?: number | null;
  readonly log: SessionLog;
}

export const storeOf = (deployment: Deployment, world: World): CheckpointStore => ({
  pipeline: deployment.plan.graph.name,
  registers: world.registers,
  blobs: world.blobs,
  clock: world.clock,
});

export const coordinatorOf = (deployment: Deployment, world: World): Coordinator => ({
  store: storeOf(deployment, world),
  log: world.log,
  functions: world.functions,
  plan: deployment.plan,
  library: deployment.library,
  bindStream: deployment.bindings.stream,
  decider: {
    functionVersion: deployment.functionVersion,
    settings: deployment.plan.settings,
    needsExchange: (stages, shards) => needsExchange(deployment.plan, stages, shards),
  },
  memory: emptyMemory(),
  tell: (event) => deployment.log(checkpointFigures(event)),
});
