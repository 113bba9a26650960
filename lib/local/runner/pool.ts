/** All environments of a runner: who takes an invocation, who is kept warm, who is ended. */
import { invariant } from "../../model/errors.js";
import { chooseReaped, chooseTakenOver, placeInvocation } from "./decisions.js";
import { Environment, type EnvironmentHooks, type LaunchSettings } from "./environment.js";
import type { Invocation, Outcome } from "./environment-state.js";
import { type RunnerEvent, type RunnerEventSubject, subjectOf } from "./events.js";
import type { Deployment } from "./functions.js";
import type { ProcessFile } from "./leftovers.js";

export interface PoolLimits {
  /** Processes at a time, all functions together: the account's concurrency, in Lambda's words. */
  readonly environmentsMax: number;
  /** Of these, at most so many are kept frozen. */
  readonly frozenMax: number;
  /** A frozen process is ended after this time. */
  readonly idleMs: number;
}

export interface EnvironmentView {
  readonly pid: number;
  readonly functionName: string;
  readonly version: string;
  /** "starting" without a request: another one has taken that. "ending": it was killed, and is not gone yet. */
  readonly state: "starting" | "busy" | "frozen" | "ending";
  /** Of the invocation that it runs. */
  readonly requestId: string | null;
  /** How many it has begun. */
  readonly invocations: number;
}

export type Placed = { readonly kind: "throttled" } | { readonly kind: "placed"; readonly outcome: Promise<Outcome> };

export interface PoolOptions {
  readonly settings: LaunchSettings;
  readonly limits: PoolLimits;
  readonly processes: ProcessFile;
  readonly isCurrent: (deployment: Deployment) => boolean;
  readonly emit: (event: RunnerEvent) => void;
}

export class EnvironmentPool {
  readonly #environments = new Map<number, Environment>();
  readonly #waitingForChange = new Set<() => void>();
  readonly #settle = new Map<Environment, (outcome: Outcome) => void>();
  readonly #reaper: NodeJS.Timeout;
  readonly #hooks: EnvironmentHooks;
  readonly #startedAtMs = new Map<Environment, number>();
  #count = 0;
  #freezes = 0;
  #closing = false;

  constructor(private readonly options: PoolOptions) {
    const everyMs = Math.min(10_000, Math.max(20, options.limits.idleMs / 4));
    this.#reaper = setInterval(() => this.#reap(), everyMs).unref();
    this.#hooks = {
      onBegun: (environment) => this.#onBegun(environment),
      onSettled: (environment, invocation, outcome) => this.#onSettled(environment, invocation, outcome),
      onState: (environment) => this.#onState(environment),
      onLine: (environment, stream, line) =>
        options.emit({ kind: "log", ...this.#subject(environment), stream, line: line.replace(/\r$/, "") }),
    };
    // The last net of a runner that ends without `close`, by an exception for example.
    process.once("exit", this.#endAll);
  }

  /** The outcome is told when the answer is there, or when the process that failed is gone. */
  invoke(deployment: Deployment, invocation: Invocation): Placed {
    if (this.#closing) return { kind: "throttled" };
    const placement = placeInvocation([...this.#environments.values()], deployment, this.options.limits);
    switch (placement.kind) {
      case "throttle":
        return { kind: "throttled" };
      case "reuse": {
        const environment = this.#get(placement.id);
        const outcome = this.#expect(environment);
        environment.apply({ kind: "take", invocation });
        return { kind: "placed", outcome };
      }
      case "start":
        if (placement.evict !== null) this.#get(placement.evict).apply({ kind: "end" });
        return { kind: "placed", outcome: this.#expect(this.#start(deployment, invocation)) };
    }
  }

  /** Resolves at the next change of state of any environment: then a throttled invocation may be tried again. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waitingForChange.add(resolve));
  }

  kill(functionName: string | null, random: () => number): number | null {
    const busy = [...this.#environments.values()].filter(
      ({ state, deployment }) => state.kind === "busy" && (functionName ?? deployment.name) === deployment.name,
    );
    const chosen = busy[Math.floor(random() * busy.length)];
    chosen?.apply({ kind: "end" });
    return chosen?.pid ?? null;
  }

  views(): readonly EnvironmentView[] {
    return [...this.#environments.values()].flatMap(({ pid, deployment, state, invocations }) => {
      if (pid === null || state.kind === "gone") return [];
      const requestId = "invocation" in state ? state.invocation.requestId : null;
      const { name: functionName, version } = deployment;
      const kind = state.kind === "warming" ? "starting" : state.kind;
      return [{ pid, functionName, version, state: kind, requestId, invocations }];
    });
  }

  /** Ends the frozen environments of deployments that were replaced; busy ones end with their invocation. */
  retire(): void {
    for (const environment of this.#environments.values()) this.#retireOne(environment);
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#reaper);
    this.#endAll();
    while (this.#environments.size > 0) await this.changed();
    process.off("exit", this.#endAll);
  }

  readonly #endAll = (): void => {
    for (const environment of [...this.#environments.values()]) environment.apply({ kind: "end" });
  };

  #start(deployment: Deployment, invocation: Invocation): Environment {
    this.#count += 1;
    const environment = new Environment(this.#count, deployment, invocation, this.options.settings, this.#hooks);
    if (environment.pid !== null) this.options.processes.add(environment.pid);
    this.#environments.set(environment.id, environment);
    return environment;
  }

  #get(id: number): Environment {
    const environment = this.#environments.get(id);
    invariant(environment !== undefined, `environment ${id} is not in the pool`);
    return environment;
  }

  #expect(environment: Environment): Promise<Outcome> {
    return new Promise((resolve) => this.#settle.set(environment, resolve));
  }

  #reap(): void {
    const { limits } = this.options;
    for (const id of chooseReaped([...this.#environments.values()], Date.now(), limits))
      this.#get(id).apply({ kind: "end" });
  }

  #retireOne(environment: Environment): void {
    if (environment.state.kind === "frozen" && !this.options.isCurrent(environment.deployment))
      environment.apply({ kind: "end" });
  }

  /** Where many are started at once, as at a restart, the processes of those that have ended meanwhile are sooner ready. */
  #takeOver(free: Environment): void {
    if (free.state.kind !== "frozen") return;
    const id = chooseTakenOver([...this.#environments.values()], free.deployment);
    if (id === null) return;
    const starting = this.#get(id);
    const settle = this.#settle.get(starting);
    if (starting.state.kind !== "starting" || settle === undefined) return;
    const { invocation } = starting.state;
    this.#settle.delete(starting);
    starting.apply({ kind: "handOver" });
    this.#settle.set(free, settle);
    free.apply({ kind: "take", invocation });
  }

  #onBegun(environment: Environment): void {
    this.#startedAtMs.set(environment, Date.now());
    const coldStart = environment.invocations === 1;
    this.options.emit({ kind: "started", ...this.#subject(environment), coldStart });
  }

  #onSettled(environment: Environment, invocation: Invocation, outcome: Outcome): void {
    const nowMs = Date.now();
    const durationMs = nowMs - (this.#startedAtMs.get(environment) ?? nowMs);
    const subject = { ...this.#subject(environment), requestId: invocation.requestId };
    if (outcome.kind === "finished") this.options.emit({ kind: "finished", ...subject, durationMs });
    else this.options.emit({ kind: outcome.kind, ...subject, durationMs, error: outcome.error });
    this.#settle.get(environment)?.(outcome);
    this.#settle.delete(environment);
  }

  #onState(environment: Environment): void {
    if (environment.state.kind === "frozen") {
      this.#freezes += 1;
      environment.frozenOrder = this.#freezes;
      this.options.emit({ kind: "frozen", ...this.#subject(environment) });
      this.#retireOne(environment);
      this.#reap();
      this.#takeOver(environment);
    }
    if (environment.state.kind === "gone") {
      this.#environments.delete(environment.id);
      this.#startedAtMs.delete(environment);
      if (environment.pid !== null) this.options.processes.remove(environment.pid);
    }
    const waiting = [...this.#waitingForChange];
    this.#waitingForChange.clear();
    for (const resolve of waiting) resolve();
  }

  #subject(environment: Environment): RunnerEventSubject {
    return subjectOf(environment.deployment, environment.pid, environment.requestId);
  }
}
