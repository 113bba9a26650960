import { makeFork } from "../../checkpoint/fork.js";
import { forkOf, leftOfFork } from "../../checkpoint/fork-removal.js";
import { defaultForkName, noteFork } from "../../checkpoint/forks.js";
import { pipelinePrefix } from "../../checkpoint/names.js";
import { type CheckpointStore, readGenerationRecord, readHead } from "../../checkpoint/store.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import { StreamError } from "../../model/errors.js";
import type { SinkMode } from "../../model/head.js";
import { libraryVersion } from "../../model/library.js";
import { checkName } from "../../pipeline/checks.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { contextOf } from "../check.js";
import { headOf, type OpenedStore, type StoreFlags } from "../checkpoints.js";
import { storeOf } from "../environment.js";
import { loadPipeline } from "../load-pipeline.js";
import { askedModes } from "../replay/asked-modes.js";
import { type Estimate, estimate } from "../replay/estimate.js";
import { checkApart, checkRows } from "../replay/other-rows.js";
import { haveTargets } from "../replay/other-targets.js";
import { checkPossible } from "../replay/possible.js";
import { findNamed } from "../start-from.js";

export interface ForkFlags extends StoreFlags {
  readonly json: boolean;
  readonly fromCheckpoint?: string;
  readonly sinks: readonly string[];
  readonly code?: string;
  readonly name?: string;
  readonly allowDropped: readonly string[];
  readonly create: boolean;
  readonly untilDrained: boolean;
  readonly dryRun: boolean;
  readonly delete: boolean;
}

/** A fork that is there, or with `--dry-run` would be. */
export interface Forked {
  readonly pipeline: string;
  readonly fork: string;
  readonly checkpoint: number;
  readonly sinks: Readonly<Record<string, SinkMode>>;
  /** Of what it reads again; null where it was there, and goes on. */
  readonly estimate: Estimate | null;
  readonly made: readonly string[];
  readonly notes: readonly string[];
}

/** @throws StreamError `invalid`: no name for a pipeline */
export const forkName = (pipeline: string, { name }: Pick<ForkFlags, "name">): string =>
  checkName("--name", "the fork's name", name ?? defaultForkName(pipeline));

export const forkStore = ({ target }: OpenedStore, name: string): CheckpointStore => storeOf(name, target);

/**
 * Makes the fork, or finds the one of that name: then it goes on from where it is.
 *
 * @throws StreamError `invalid`: what cannot be, and why
 */
export async function haveFork(opened: OpenedStore, file: string, flags: ForkFlags): Promise<Forked> {
  const { store, target } = opened;
  const fork = forkName(store.pipeline, flags);
  const into = forkStore(opened, fork);
  const head = await headOf(opened);
  const { plan } = await loadPipeline(flags.code ?? file);
  const modes = forkModes(askedModes(plan, flags.sinks).modes);
  const from = await findNamed(opened, head, flags.fromCheckpoint ?? "");
  const found = { pipeline: store.pipeline, fork, checkpoint: from.checkpointId, sinks: modes };
  if ((await readHead(into)) !== null) {
    await checkSame(into, store.pipeline, { from, modes });
    return { ...found, estimate: null, made: [], notes: [`the fork "${fork}" is there, and goes on from where it is`] };
  }
  checkApart(store.pipeline, (await readGenerationRecord(store, head)).sinks, modes);
  const asPlanned = { ...opened, plan };
  const left = await leftOver(into);
  const notes = [...(await checkPossible(contextOf(asPlanned), head, from, flags.allowDropped)), ...left];
  const figures = await estimate(asPlanned, head, from, modes);
  const made = await haveTargets(target, plan, modes, flags);
  notes.push(...(await checkRows(target, plan, modes, null)));
  const { fingerprint } = (await loadPipeline(flags.code ?? file, fork)).plan;
  const options = { from, dropped: flags.allowDropped, sinks: modes, fingerprint, library: libraryVersion };
  if (!flags.dryRun) {
    await noteFork(store, fork);
    await makeFork(store, into, options);
  }
  return { ...found, estimate: figures, made, notes };
}

/** @throws StreamError `invalid`: of one that has run */
async function leftOver(into: CheckpointStore): Promise<readonly string[]> {
  if ((await leftOfFork(into)) === "nothing") return [];
  const where = pipelinePrefix(into.pipeline);
  return [`something is left of a fork that was cut short, beneath ${where}: --delete removes it too, with the fork`];
}

function forkModes(modes: SinkModes): SinkModes {
  const overwritten = Object.entries(modes).find(([, { kind }]) => kind === "overwrite" || kind === "normal");
  if (overwritten === undefined) return modes;
  throw new StreamError(
    "invalid",
    `the sink "${overwritten[0]}" of a fork cannot write where the pipeline itself does: redirect it, or let it run dry (W2)`,
  );
}

/** One that is there was made of something: asked for otherwise, it is another. */
async function checkSame(
  into: CheckpointStore,
  pipeline: string,
  asked: { readonly from: CheckpointRef; readonly modes: SinkModes },
): Promise<void> {
  const { pipeline: fork } = into;
  const of = await forkOf(into);
  const head = await readHead(into);
  const record = head === null ? null : await readGenerationRecord(into, head.value);
  const isSame =
    of?.pipeline === pipeline &&
    of.checkpointId === asked.from.checkpointId &&
    Object.entries(asked.modes).every(([sink, mode]) => sameMode(record?.sinks[sink], mode));
  if (isSame) return;
  throw new StreamError(
    "invalid",
    `there is a fork "${fork}" already, of checkpoint ${of?.checkpointId} of "${of?.pipeline}", or with other sinks; give this one another name with --name, or remove that one: tidemark fork --delete --name ${fork}`,
  );
}

const sameMode = (a: SinkMode | undefined, b: SinkMode): boolean =>
  a?.kind === b.kind && (a.kind !== "redirect" || b.kind !== "redirect" || a.suffix === b.suffix);
