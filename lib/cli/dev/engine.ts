import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type CheckpointStore, readHead, readProgress } from "../../checkpoint/store.js";
import { wishRunning, wishStopped } from "../../checkpoint/wishes.js";
import { environmentVariables } from "../../compose.js";
import type { RunnerEvent } from "../../local/runner/events.js";
import { type Runner, startRunner } from "../../local/runner/runner.js";
import { StreamError } from "../../model/errors.js";
import type { Head, Progress } from "../../model/head.js";
import { coordinatorTask } from "../../model/ids.js";
import { defaultVariables, storeOf, type Target } from "../environment.js";
import type { LoadedPipeline } from "../load-pipeline.js";
import type { DevListener } from "./events.js";
import { Recovery } from "./recovery.js";

export interface EngineOptions {
  readonly pipeline: LoadedPipeline;
  readonly target: Target;
  /** How long a session may run; 15 minutes at most, as on Lambda. */
  readonly sessionMillis: number;
  readonly listener: DevListener;
}

/** A pipeline that runs in function processes of this machine. */
export interface Engine {
  readonly functionsEndpoint: string;
  /** What head and coordinator say now. */
  look(): Promise<EngineView>;
  /** SIGKILLs an operator process that is busy. */
  kill(): number | null;
  /** Asks for the checkpoint that the pipeline stops at. */
  stop(): Promise<void>;
  close(): Promise<void>;
  /** Why the start that was asked for cannot be, once the supervisor has said so. */
  startFailure(): StreamError | null;
}

export interface EngineView {
  readonly head: Head | null;
  readonly progress: Progress | null;
  /** The generation that this start asked for is open. */
  readonly started: boolean;
}

/** The supervisor's schedule: a minute on AWS, a second here. */
const superviseMillis = 1_000;
const supervisorTimeoutMillis = 60_000;

/** Deploys the pipeline's functions on this machine and asks for it to run: a start opens a generation at once (R4). */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { pipeline, target, listener } = options;
  const { plan, root } = pipeline;
  const store = storeOf(plan.graph.name, target);
  const recovery = new Recovery(listener);
  const pidFile = join(root, ".tidemark", `${plan.graph.name}-processes.json`);
  let startFailure: StreamError | null = null;
  const runner = await startRunner({
    pidFile,
    onEvent: (event) => {
      tell(event, target.environment.functions.task, listener, recovery);
      startFailure ??= refusalOf(event, target.environment.functions.supervisor);
    },
  });
  try {
    deploy(runner, options);
    const before = (await readHead(store))?.value.generation ?? 0;
    await wishRunning(store, { functionVersion: pipeline.version, fingerprint: plan.fingerprint }, randomUUID());
    const { supervisor, task } = target.environment.functions;
    runner.send({ functionName: supervisor, payload: {} });
    runner.every(superviseMillis, supervisor, {});
    return {
      functionsEndpoint: runner.endpoint,
      look: () => look(store, before),
      kill: () => runner.kill({ functionName: task, random: Math.random }),
      stop: async () => {
        await wishStopped(store);
      },
      close: () => runner.close(),
      startFailure: () => startFailure,
    };
  } catch (error) {
    await runner.close();
    throw error;
  }
}

function deploy(runner: Runner, options: EngineOptions): void {
  const { pipeline, target } = options;
  const { task, supervisor } = target.environment.functions;
  const env = {
    ...defaultVariables(target.endpoint, {}),
    ...environmentVariables(target.environment),
    NODE_OPTIONS: "--enable-source-maps",
  };
  const common = { version: pipeline.version, entry: pipeline.bundle, env };
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

async function look(store: CheckpointStore, generationBefore: number): Promise<EngineView> {
  const head = (await readHead(store))?.value ?? null;
  if (head === null) return { head, progress: null, started: false };
  const progress = await readProgress(store, head.incarnation, head.generation, coordinatorTask);
  return { head, progress, started: head.generation > generationBefore };
}

function tell(event: RunnerEvent, task: string, listener: DevListener, recovery: Recovery): void {
  if (event.kind === "log") {
    recovery.onLog(event.line);
    listener({ event: "log", function: event.functionName, line: event.line });
    return;
  }
  if (event.kind === "dropped" || event.kind === "frozen" || event.functionName !== task) return;
  const state = event.kind === "started" ? "started" : event.kind === "finished" ? "ended" : "killed";
  if (state === "killed") recovery.onKilled();
  listener({ event: "session", state, pid: event.pid, requestId: event.requestId });
}

/** The supervisor fails where the start or restore that was asked for cannot be, with the reason as its message. */
function refusalOf(event: RunnerEvent, supervisor: string): StreamError | null {
  if (event.kind !== "failed" || event.functionName !== supervisor) return null;
  return new StreamError(kindOf(event.error.errorType), event.error.errorMessage);
}

const kindOf = (errorType: string | undefined) => (errorType === "StreamError" ? "invalid" : "bug");
