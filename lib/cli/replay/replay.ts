import { wishStarted } from "../../checkpoint/wishes.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import { StreamError } from "../../model/errors.js";
import type { Code, SinkMode } from "../../model/head.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { contextOf } from "../check.js";
import { headOf, type OpenedStore } from "../checkpoints.js";
import { loadPipeline } from "../load-pipeline.js";
import { awaitStart } from "../start.js";
import { findNamed } from "../start-from.js";
import { type AskingFlags, callSupervisor, drawId } from "../status-waiting.js";
import { askedModes } from "./asked-modes.js";
import { checkNormal } from "./back-to-normal.js";
import { checkByDeployed, checkGranted, deployedCode, lookByDeployed } from "./deployed-check.js";
import { codeOfDeployment } from "./deployed-code.js";
import { type Estimate, estimate } from "./estimate.js";
import { checkRows } from "./other-rows.js";
import { haveTargets } from "./other-targets.js";
import { checkPossible } from "./possible.js";

export interface ReplayFlags extends AskingFlags {
  readonly fromCheckpoint: string;
  readonly sinks: readonly string[];
  readonly allowDropped: readonly string[];
  readonly create: boolean;
  readonly yes: boolean;
  readonly untilDrained: boolean;
  readonly code?: string;
  readonly deployment?: number;
}

/** A replay that can be, before anything was changed but for targets that were made. */
export interface PlannedReplay {
  readonly pipeline: string;
  readonly start: {
    readonly id: string;
    readonly from: CheckpointRef;
    readonly dropped: readonly string[];
    readonly sinks: SinkModes;
  };
  /** Of a deployment that was before; undefined: what is deployed. */
  readonly code: Code | undefined;
  readonly sinks: Readonly<Record<string, SinkMode>>;
  readonly estimate: Estimate;
  /** Targets of redirects. */
  readonly made: readonly string[];
  readonly notes: readonly string[];
}

/** @throws StreamError `invalid`: what cannot be, and why; nothing was changed then */
export async function planReplay(asOpened: OpenedStore, flags: ReplayFlags): Promise<PlannedReplay> {
  const opened = await withCode(asOpened, flags);
  const { store, plan, target } = opened;
  if (flags.untilDrained && !target.local)
    throw new StreamError("invalid", "--until-drained runs on this machine; what is deployed runs there: leave it out");
  const head = await headOf(opened);
  const from = await findNamed(opened, head, flags.fromCheckpoint);
  const { modes, unsaid } = askedModes(plan, flags.sinks);
  if (unsaid.length > 0)
    throw new StreamError("invalid", `--sinks says nothing of ${unsaid.map((sink) => `"${sink}"`).join(", ")}`);
  await checkNormal(opened, head, { from, modes });
  const code = flags.deployment === undefined ? undefined : await codeOfDeployment(store, head, flags.deployment);
  const deployed = await deployedCode(opened, code);
  if (deployed !== null) checkGranted(opened, plan, modes, deployed);
  const notes =
    deployed === null
      ? await checkPossible(contextOf(opened), head, from, flags.allowDropped)
      : await checkByDeployed(deployed, store, head, { from, dropped: flags.allowDropped });
  const figures = await estimate(opened, head, from, modes);
  const look = deployed === null ? null : (sinks: SinkModes) => lookByDeployed(deployed, store.pipeline, sinks);
  const made = await haveTargets(target, plan, modes, { ...flags, look });
  const rows = await checkRows(target, plan, modes, head.incarnation);
  return {
    pipeline: store.pipeline,
    start: { id: drawId(), from, dropped: flags.allowDropped, sinks: modes },
    code,
    sinks: modes,
    estimate: figures,
    made,
    notes: [...notes, ...rows, ...(deployed === null ? unasked(target.local, code) : [])],
  };
}

/** What was not asked of the code that is to run. */
function unasked(isLocal: boolean, code: Code | undefined): readonly string[] {
  if (!isLocal)
    return [
      "checked was the code of this file, with the rights that are used here: set TIDEMARK_SUPERVISOR_FUNCTION to have what is deployed asked",
    ];
  return code === undefined ? [] : ["checked was the code of this file, not that of the deployment"];
}

/** The plan of `--code` is what goes on. @throws StreamError `invalid`: it is another pipeline's */
async function withCode(opened: OpenedStore, { code }: ReplayFlags): Promise<OpenedStore> {
  if (code === undefined) return opened;
  if (!opened.target.local)
    throw new StreamError(
      "invalid",
      `--code runs on this machine; deploy ${code}, and replay with what is deployed, or with --deployment`,
    );
  const { plan } = await loadPipeline(code);
  const { pipeline } = opened.store;
  if (plan.graph.name !== pipeline)
    throw new StreamError("invalid", `${code} exports pipeline "${plan.graph.name}", not "${pipeline}"`);
  return { ...opened, plan };
}

/** What became of it. */
export interface Replayed {
  /** Null: nobody runs here who would carry it out. */
  readonly generation: number | null;
}

/** Asks for it, and waits where somebody may run who carries it out. */
export async function askReplay(opened: OpenedStore, planned: PlannedReplay, timeout: number): Promise<Replayed> {
  const { start, code, pipeline } = planned;
  const wish = code === undefined ? start : { ...start, code };
  if ((await wishStarted(opened.store, wish)) === null)
    throw new StreamError("invalid", `no code of pipeline "${pipeline}" was ever deployed or run; do that first`);
  if (opened.isAlone) return { generation: null };
  await callSupervisor(opened);
  const { generation } = await awaitStart(opened, start.id, { what: "the replay", timeout });
  return { generation };
}
