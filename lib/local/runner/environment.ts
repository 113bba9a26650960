/** One execution environment: a process, and the state machine of `environment-state.ts` carried out on it. */
import { type ChildProcess, fork } from "node:child_process";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import {
  type EnvironmentAction,
  type EnvironmentInput,
  type EnvironmentState,
  type Exit,
  type Invocation,
  type Outcome,
  onEnvironmentInput,
} from "./environment-state.js";
import type { Account, Deployment } from "./functions.js";
import { cutLines } from "./lines.js";
import { entryVariable, handlerVariable, type Invoke, isFromFunction } from "./messages.js";

/** What all processes of a runner have in common. */
export interface LaunchSettings {
  readonly bootstrap: string;
  readonly runnerId: string;
  readonly endpoint: string;
  readonly account: Account;
  readonly initTimeoutMs: number;
}

export interface EnvironmentHooks {
  readonly onBegun: (environment: Environment, invocation: Invocation) => void;
  readonly onSettled: (environment: Environment, invocation: Invocation, outcome: Outcome) => void;
  /** After every change of state, once its actions are done. */
  readonly onState: (environment: Environment) => void;
  readonly onLine: (environment: Environment, stream: "stdout" | "stderr", line: string) => void;
}

/** A process that keeps its output pipe open through a child of its own is taken as ended after this time. */
const pipesGraceMs = 500;

export class Environment {
  readonly pid: number | null;
  invocations = 0;
  frozenOrder = 0;
  /** The request that runs, or ran last: what the process prints belongs to it. */
  requestId: string;
  #state: EnvironmentState;
  #timer: NodeJS.Timeout | null = null;
  readonly #process: ChildProcess;

  constructor(
    readonly id: number,
    readonly deployment: Deployment,
    first: Invocation,
    settings: LaunchSettings,
    private readonly hooks: EnvironmentHooks,
  ) {
    this.#state = { kind: "starting", invocation: first };
    this.requestId = first.requestId;
    this.#process = launch(deployment, settings);
    this.pid = this.#process.pid ?? null;
    const { initTimeoutMs } = settings;
    this.#arm(initTimeoutMs, { kind: "initDeadline", limitMs: initTimeoutMs });
    this.#process.on("message", (message) => {
      if (isFromFunction(message)) this.apply(message);
    });
    whenEnded(this.#process, (exit) => this.apply({ kind: "exited", exit }));
    this.#watch("stdout", this.#process.stdout);
    this.#watch("stderr", this.#process.stderr);
  }

  get state(): EnvironmentState {
    return this.#state;
  }

  apply(input: EnvironmentInput): void {
    const { state, actions } = onEnvironmentInput(this.#state, input, Date.now());
    if (state === this.#state) return;
    this.#state = state;
    // The time to start is one, whoever is waited for.
    if (state.kind !== "starting" && state.kind !== "warming") this.#disarm();
    for (const action of actions) this.#perform(action);
    this.hooks.onState(this);
  }

  #perform(action: EnvironmentAction): void {
    if (action.kind === "signal") this.#process.kill(action.signal);
    else if (action.kind === "settle") this.hooks.onSettled(this, action.invocation, action.outcome);
    else this.#send(action.invocation);
  }

  #send(invocation: Invocation): void {
    const limitMs = this.deployment.timeoutMs;
    const { requestId } = invocation;
    this.invocations += 1;
    this.requestId = requestId;
    this.hooks.onBegun(this, invocation);
    const message: Invoke = { kind: "invoke", ...invocation, deadlineAtMs: Date.now() + limitMs };
    // Where the process is dead already its exit tells, not this message.
    this.#process.send(message, () => {});
    this.#arm(limitMs, { kind: "deadline", requestId, limitMs });
  }

  #arm(afterMs: number, input: EnvironmentInput): void {
    this.#timer = setTimeout(() => this.apply(input), afterMs);
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #watch(stream: "stdout" | "stderr", output: Readable | null): void {
    let rest = "";
    output?.setEncoding("utf8");
    output?.on("data", (chunk: string) => {
      const cut = cutLines(rest + chunk);
      rest = cut.rest;
      for (const line of cut.lines) this.hooks.onLine(this, stream, line);
    });
    output?.on("end", () => {
      if (rest !== "") this.hooks.onLine(this, stream, rest);
    });
  }
}

function launch(deployment: Deployment, settings: LaunchSettings): ChildProcess {
  const { name, version, entry, memoryMb } = deployment;
  // The arguments are for those who look at the process list, and for `leftovers.ts`.
  return fork(settings.bootstrap, [settings.runnerId, `${name}:${version}`], {
    cwd: dirname(entry),
    env: environmentVariables(deployment, settings),
    execArgv: [`--max-old-space-size=${memoryMb}`],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
}

/** As in Lambda, a function sees nothing of the runner's own environment but what every program needs. */
function environmentVariables(deployment: Deployment, settings: LaunchSettings): NodeJS.ProcessEnv {
  const { region } = settings.account;
  const inherited = Object.fromEntries(["PATH", "HOME", "TMPDIR", "LANG"].map((name) => [name, process.env[name]]));
  return {
    ...inherited,
    TZ: "UTC",
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    ...deployment.env,
    AWS_ENDPOINT_URL_LAMBDA: settings.endpoint,
    AWS_LAMBDA_FUNCTION_NAME: deployment.name,
    AWS_LAMBDA_FUNCTION_VERSION: deployment.version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(deployment.memoryMb),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${deployment.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `[${deployment.version}]${settings.runnerId}`,
    LAMBDA_TASK_ROOT: dirname(deployment.entry),
    [entryVariable]: deployment.entry,
    [handlerVariable]: deployment.handler,
  };
}

/** Once, after all messages and all output of the process were read ("exit" alone may overtake them). */
function whenEnded(child: ChildProcess, told: (exit: Exit) => void): void {
  let ended = false;
  const tell = (exit: Exit): void => {
    if (!ended) told(exit);
    ended = true;
  };
  child.on("error", (error) => {
    if (child.pid === undefined) tell({ code: null, signal: null, spawnError: error.message });
  });
  child.on("exit", (code, signal) => setTimeout(() => tell({ code, signal, spawnError: null }), pipesGraceMs).unref());
  child.on("close", (code, signal) => tell({ code, signal, spawnError: null }));
}
