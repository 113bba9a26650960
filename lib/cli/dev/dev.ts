import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Start } from "../../checkpoint/wishes.js";
import { type Runner, startRunner } from "../../local/runner/runner.js";
import { formatMillis } from "../../model/duration.js";
import { StreamError } from "../../model/errors.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { readConfig } from "../config.js";
import { type CloudFlags, type OpenCloud, openCloud } from "../embedded-cloud.js";
import { functionNames, openTarget, type Target } from "../environment.js";
import { unlessInterrupted } from "../interrupt.js";
import { type LoadedPipeline, loadPipeline } from "../load-pipeline.js";
import { modeText } from "../replay/asked-modes.js";
import { startEngine } from "./engine.js";
import type { DevListener } from "./events.js";
import { firstRequest } from "./first-request.js";
import { bundleFunctions } from "./function-bundle.js";
import { checkPresent, makeMissing } from "./resources.js";
import { Told } from "./told.js";
import { watch } from "./watch.js";

export interface DevOptions {
  readonly file: string;
  readonly untilDrained: boolean;
  /** Kill an operator process about this often; null: never. */
  readonly chaosMillis: number | null;
  readonly sessionMillis: number;
  readonly cloud: CloudFlags;
  /** Make streams, tables and bucket that a local endpoint lacks. */
  readonly create: boolean;
  readonly listener: DevListener;
  /** The name that it runs under, which is a fork's; null: its own. */
  readonly as: string | null;
  /** What to go on from; null: what somebody has asked for, else the last checkpoint. */
  readonly start: Start | null;
  /** Aborted by Ctrl-C. */
  readonly interrupt: AbortSignal;
}

/**
 * Runs a pipeline here until it is interrupted, drained, or finished, and returns the exit code.
 *
 * @throws StreamError for what keeps it from starting, and where the pipeline fails
 */
export async function runDev(options: DevOptions): Promise<number> {
  const opened: (() => Promise<unknown>)[] = [];
  try {
    const stage = await unlessInterrupted(options.interrupt, prepare(options, opened));
    if (stage !== null) await run(stage, options);
    return 0;
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

/** All that is there before the pipeline is asked to run. */
interface Stage {
  readonly pipeline: LoadedPipeline;
  readonly runner: Runner;
  readonly told: Told;
  readonly target: Target;
  readonly made: readonly string[];
  readonly start: Start | null;
  /** What function processes load. */
  readonly entry: string;
}

/** @param opened gets what closes what was opened, as soon as it is open */
async function prepare(options: DevOptions, opened: (() => Promise<unknown>)[]): Promise<Stage> {
  const pipeline = await loadPipeline(options.file, options.as);
  checkSession(pipeline, options.sessionMillis);
  warnOfShortSession(pipeline, options.sessionMillis);
  const config = await readConfig(pipeline.root);
  // Beside the start of the cloud, and behind the configuration, which is bundled too: whoever is done first ends esbuild's process.
  const bundling = bundleFunctions(pipeline.bundle);
  bundling.catch(() => undefined);
  const { name } = pipeline.plan.graph;
  const told = new Told(functionNames(name), options.listener);
  const runner = await openRunner(pipeline, told);
  opened.push(() => runner.close());
  const cloud: OpenCloud = await openCloud(options.cloud, join(pipeline.root, ".tidemark", "cloud"));
  // Last opened, first closed: the cloud stays until the functions have ended.
  opened.unshift(async () => cloud.own?.stop());
  const target = openTarget({ pipeline: name, endpoint: cloud.endpoint, aws: options.cloud.aws }, config);
  opened.push(async () => target.clients.destroy());
  const { start, modes } = await firstRequest(name, target, options.start);
  tellModes(name, modes);
  const made = target.local && options.create ? await makeMissing(target, pipeline.plan, modes) : [];
  await checkPresent(target, pipeline.plan, modes);
  return { pipeline, runner, told, target, made, start, entry: await bundling };
}

/** W2: who has forgotten a redirect would look for rows in vain. */
function tellModes(pipeline: string, modes: SinkModes): void {
  const other = Object.entries(modes).filter(([, { kind }]) => kind === "redirect" || kind === "dry-run");
  if (other.length === 0) return;
  const told = other.map(([sink, mode]) => `${sink} ${modeText(mode)}`).join(", ");
  process.stderr.write(`tidemark: sinks of "${pipeline}" that are not as usual: ${told}\n`);
}

/** N1: a session that has hardly begun would ask for its last checkpoint. */
function checkSession({ plan }: LoadedPipeline, sessionMillis: number): void {
  const { reserve } = plan.settings;
  if (sessionMillis > reserve) return;
  throw new StreamError(
    "invalid",
    `--session ${formatMillis(sessionMillis)} leaves no time for work: session.reserve of "${plan.graph.name}" is ${formatMillis(reserve)}; give a longer session or a smaller reserve`,
  );
}

/** N1: every session within twice its reserve ends at the next cut. */
function warnOfShortSession({ plan }: LoadedPipeline, sessionMillis: number): void {
  const { reserve } = plan.settings;
  if (sessionMillis > 2 * reserve) return;
  process.stderr.write(
    `tidemark: --session ${formatMillis(sessionMillis)} is not longer than twice session.reserve (${formatMillis(reserve)}): all tasks hand over at each checkpoint, which costs time\n`,
  );
}

/** Ends what a killed dev of this pipeline has left. @throws StreamError `invalid` where one is running */
async function openRunner(pipeline: LoadedPipeline, told: Told): Promise<Runner> {
  const { name } = pipeline.plan.graph;
  const folder = join(pipeline.root, ".tidemark");
  await mkdir(folder, { recursive: true });
  const pidFile = join(folder, `${name}-processes.json`);
  return startRunner({ pidFile, onEvent: (event) => told.onEvent(event) }).catch((error: unknown) => {
    const alive = error instanceof StreamError ? /alive \(pid (\d+)\)/.exec(error.message) : null;
    if (alive === null) throw error;
    throw new StreamError(
      "invalid",
      `"${name}" is running here already, in "tidemark dev" with pid ${alive[1]}; stop that first`,
    );
  });
}

async function run(stage: Stage, options: DevOptions): Promise<void> {
  const { pipeline, target, runner, told, made, entry, start } = stage;
  const { name } = pipeline.plan.graph;
  const endpoint = target.endpoint ?? `AWS, ${process.env.AWS_REGION ?? "the SDK's region"}`;
  const { sessionMillis } = options;
  const engine = await startEngine({ pipeline, entry, target, runner, told, sessionMillis, start });
  options.listener({ event: "ready", pipeline: name, endpoint, functionsEndpoint: runner.endpoint, made });
  await watch(engine, { ...options, pipeline: name, endpoint });
}
