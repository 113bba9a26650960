import { randomBytes, randomUUID } from "node:crypto";
import { tasksOf } from "../../checkpoint/fold.js";
import { type CheckpointStore, readGenerationRecord, readHead } from "../../checkpoint/store.js";
import { readTaskFacts } from "../../checkpoint/task-facts.js";
import { type Start, wishRunningFrom, wishStopped } from "../../checkpoint/wishes.js";
import { environmentVariables } from "../../compose.js";
import type { Runner } from "../../local/runner/runner.js";
import type { StreamError } from "../../model/errors.js";
import type { Head } from "../../model/head.js";
import type { TaskId } from "../../model/ids.js";
import { functionVariables, storeOf, type Target } from "../environment.js";
import type { LoadedPipeline } from "../load-pipeline.js";
import { type Standing, standingOf } from "./standing.js";
import type { Told } from "./told.js";
import { wholePaths } from "./whole-paths.js";

export interface EngineOptions {
  readonly pipeline: LoadedPipeline;
  /** The file that function processes load. */
  readonly entry: string;
  readonly target: Target;
  /** How long a session may run; 15 minutes at most, as on Lambda. */
  readonly sessionMillis: number;
  readonly runner: Runner;
  readonly told: Told;
  /** What to go on from; absent or null: the last checkpoint. */
  readonly start?: Start | null;
}

/** A pipeline that runs in function processes of this machine. */
export interface Engine {
  /** What head and tasks say now. */
  look(): Promise<EngineView>;
  /** SIGKILLs an operator process that is busy. */
  kill(): number | null;
  /** Asks for the checkpoint that the pipeline stops at. */
  stop(): Promise<void>;
  /** Why the start that was asked for cannot be, once the supervisor has said so. */
  startFailure(): StreamError | null;
}

export interface EngineView {
  readonly head: Head | null;
  /** Of all tasks together. */
  readonly progress: Standing | null;
  /** That the generation has. */
  readonly tasks: number;
  /** `starting`: the generation that this start asked for is not open yet. `taken-over`: somebody has started the pipeline since. */
  readonly run: "starting" | "ours" | "taken-over";
}

/** The supervisor's schedule: a minute on AWS, a second here. */
const superviseMillis = 1_000;
const supervisorTimeoutMillis = 60_000;

/** Deploys the pipeline's functions on this machine and asks for it to run: a start opens a generation at once (R4). */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { pipeline, target, runner, told } = options;
  const { plan } = pipeline;
  const store = storeOf(plan.graph.name, target);
  // P4: the functions of this start, which no other start can invoke, are a version of their own: another's supervisor opens nothing with it.
  const version = `${pipeline.version}-${randomBytes(4).toString("hex")}`;
  deploy(options, version, await functionVariables(target));
  const start = options.start ?? { id: randomUUID(), from: null, dropped: [] };
  await wishRunningFrom(store, { functionVersion: version, fingerprint: plan.fingerprint }, start);
  const { supervisor, task } = target.environment.functions;
  runner.send({ functionName: supervisor, payload: {} });
  runner.every(superviseMillis, supervisor, {});
  const run = runOf(store, version);
  return {
    look: () => look(store, run),
    kill: () => runner.kill({ functionName: task, random: Math.random }),
    stop: async () => {
      await wishStopped(store);
    },
    startFailure: () => told.startFailure,
  };
}

function deploy(options: EngineOptions, version: string, variables: Readonly<Record<string, string>>): void {
  const { pipeline, entry, target, runner } = options;
  const { task, supervisor } = target.environment.functions;
  const bindings = wholePaths(pipeline.plan, target.environment.bindings, process.cwd());
  const env = {
    ...variables,
    ...environmentVariables({ ...target.environment, bindings }),
    NODE_OPTIONS: "--enable-source-maps",
  };
  const common = { version, entry, env };
  // As the construct will set them: no retries of tasks (R4), their failures go to the supervisor.
  const taskConfig = { retries: 0, maxAgeMs: 60_000, onFailure: { functionName: supervisor } } as const;
  const supervisorConfig = { retries: 0, maxAgeMs: 60_000, onFailure: null } as const;
  runner.deploy({
    ...common,
    name: supervisor,
    handler: "supervisor",
    timeoutMs: supervisorTimeoutMillis,
    asyncConfig: supervisorConfig,
  });
  runner.deploy({ ...common, name: task, handler: "task", timeoutMs: options.sessionMillis, asyncConfig: taskConfig });
}

async function look(store: CheckpointStore, run: (head: Head) => Promise<Run>): Promise<EngineView> {
  const head = (await readHead(store))?.value ?? null;
  if (head === null) return { head, progress: null, tasks: 0, run: "starting" };
  const { kind, tasks } = await run(head);
  const { progress } = await readTaskFacts(store, head.incarnation, head.generation, tasks);
  return { head, progress: standingOf(tasks, progress), tasks: tasks.length, run: kind };
}

interface Run {
  readonly kind: EngineView["run"];
  readonly tasks: readonly TaskId[];
}

/**
 * Whose run it is: a generation's record names the version of the code, which is this start's own, and its tasks. Read once a
 * generation. So a start from another checkpoint, asked for meanwhile, goes on here.
 */
function runOf(store: CheckpointStore, version: string): (head: Head) => Promise<Run> {
  let record = "";
  let run: Run = { kind: "starting", tasks: [] };
  return async (head) => {
    if (head.generationRecord === record) return run;
    const found = await readGenerationRecord(store, head);
    record = head.generationRecord;
    run = { kind: kindOf(run.kind, found.functionVersion === version), tasks: tasksOf(found) };
    return run;
  };
}

function kindOf(before: EngineView["run"], isOurs: boolean): EngineView["run"] {
  if (isOurs) return "ours";
  return before === "ours" ? "taken-over" : before;
}
