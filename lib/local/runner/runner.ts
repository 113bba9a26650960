/**
 * Runs functions on this machine the way AWS Lambda does: in processes that are started for an invocation, kept warm
 * and frozen between invocations, killed at their deadline, invoked synchronously or by events that are delivered at
 * least once.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import type { Server } from "node:http";
import { fileURLToPath } from "node:url";
import { StreamError } from "../../model/errors.js";
import type { RunnerEvent } from "./events.js";
import {
  type Account,
  arnOf,
  type Deployment,
  type FunctionDefinition,
  type FunctionReference,
  FunctionRegistry,
  parseFunctionName,
} from "./functions.js";
import {
  endpointOf,
  type InvokeAnswer,
  type InvokeRequest,
  type Refusal,
  refuse,
  serveInvokeApi,
} from "./invoke-api.js";
import { endLeftovers, ProcessFile } from "./leftovers.js";
import { EnvironmentPool, type EnvironmentView, type PoolLimits } from "./pool.js";
import { type Accepted, EventQueue, seededRandom } from "./queue.js";

export interface RunnerOptions {
  /** Port of the Invoke API on 127.0.0.1. Default 0: a free one. */
  readonly port?: number;
  /** Where the processes are written down, so that the next runner with this file ends those of a killed one. */
  readonly pidFile?: string;
  readonly onEvent?: (event: RunnerEvent) => void;
  /** Default us-east-1. */
  readonly region?: string;
  /** Twelve digits. Default 000000000000. */
  readonly accountId?: string;
  /** Processes at a time. Default 128. */
  readonly environmentsMax?: number;
  /** Frozen processes that are kept. Default 32. */
  readonly frozenMax?: number;
  /** A frozen process is ended after this time. Default five minutes. */
  readonly idleMs?: number;
  /** Time to import the entry. Default 30 s (10 s in Lambda, which has its machines for itself). */
  readonly initTimeoutMs?: number;
  /** Before the first retry of an event; twice as long before the second. Default 200 (Lambda: a minute). */
  readonly retryDelayMs?: number;
  /** Probability with which an event is delivered twice, for tests. Default 0. */
  readonly duplicateEvents?: number;
  /** For `duplicateEvents`. Default 1. */
  readonly seed?: number;
}

export interface Invoking {
  /** A name, `name:qualifier`, or an ARN. */
  readonly functionName: string;
  /** A version; null is the one that was deployed last. */
  readonly qualifier?: string | null;
  /** Anything that JSON can express. Default {}. */
  readonly payload?: unknown;
}

export interface InvocationResult {
  readonly requestId: string;
  readonly executedVersion: string;
  /** "Unhandled": the payload is `{ errorType, errorMessage, trace }`. */
  readonly functionError: "Unhandled" | null;
  readonly payload: unknown;
}

/** Functions on this machine. Its methods throw `invalid` where no such function is deployed. */
export interface Runner {
  /** Base URL of the Invoke API; functions have it in AWS_ENDPOINT_URL_LAMBDA. */
  readonly endpoint: string;
  /** Deploys a version, or replaces it; it becomes the latest. Returns the qualified ARN. */
  deploy(definition: FunctionDefinition): { readonly functionArn: string };
  /** Runs a function and waits for its answer; an error of the function is a result. */
  invoke(request: Invoking): Promise<InvocationResult>;
  /** Accepts an event: it is delivered at least once, tried again after failures, and given up to `onFailure`. */
  send(request: Invoking): { readonly requestId: string };
  /** Sends an event every so often; leaves out a tick while the last event is not done. Returns what stops it. */
  every(ms: number, functionName: string, payload: unknown): () => void;
  /** For tests: SIGKILLs one busy process, drawn with `random` (of [0, 1)). Returns its pid; null if none was busy. */
  kill(choice: { readonly functionName?: string; readonly random: () => number }): number | null;
  environments(): readonly EnvironmentView[];
  /** Resolves once no event waits and no function runs. */
  idle(): Promise<void>;
  /** Forgets waiting events, kills every process, and waits until all are gone. */
  close(): Promise<void>;
}

/**
 * Starts a runner. Throws `invalid` if another living runner uses the same `pidFile`.
 *
 * @example
 * const runner = await startRunner({ pidFile: ".tidemark/processes.json" });
 * const asyncConfig = { retries: 2, maxAgeMs: 60_000, onFailure: null } as const;
 * runner.deploy({ name: "task", version: "1", entry: "/app/task.mjs", handler: "handler", timeoutMs: 30_000, env: {}, asyncConfig });
 * const { payload } = await runner.invoke({ functionName: "task", payload: { n: 1 } });
 * await runner.close();
 */
export async function startRunner(options: RunnerOptions = {}): Promise<Runner> {
  const bootstrap = findBootstrap();
  const pidFile = options.pidFile ?? null;
  if (pidFile !== null) await endLeftovers(pidFile);
  const server = await serveInvokeApi({ port: options.port ?? 0, invoke: (request) => runner.answer(request) });
  // No request can come before the next await.
  const runner = new LocalRunner(options, server, bootstrap);
  return runner;
}

function findBootstrap(): string {
  const path = fileURLToPath(new URL("./bootstrap.js", import.meta.url));
  if (existsSync(path)) return path;
  throw new StreamError(
    "invalid",
    `there is no ${path}: the runner starts processes from compiled code, so build first`,
  );
}

class LocalRunner implements Runner {
  readonly endpoint: string;
  readonly #account: Account;
  readonly #registry: FunctionRegistry;
  readonly #processes: ProcessFile;
  readonly #pool: EnvironmentPool;
  readonly #queue: EventQueue;
  readonly #schedules = new Set<NodeJS.Timeout>();
  #closed: Promise<void> | null = null;

  constructor(
    options: RunnerOptions,
    private readonly server: Server,
    bootstrap: string,
  ) {
    const runnerId = randomUUID();
    const account = { region: options.region ?? "us-east-1", accountId: options.accountId ?? "000000000000" };
    const emit = options.onEvent ?? (() => {});
    const registry = new FunctionRegistry(account);
    this.endpoint = endpointOf(server);
    this.#account = account;
    this.#registry = registry;
    this.#processes = new ProcessFile(options.pidFile ?? null, { runnerId, bootstrap });
    const { initTimeoutMs = 30_000, retryDelayMs = 200, duplicateEvents = 0, seed = 1 } = options;
    const pool = new EnvironmentPool({
      settings: { bootstrap, runnerId, endpoint: this.endpoint, account, initTimeoutMs },
      limits: limitsOf(options),
      processes: this.#processes,
      isCurrent: (deployment) => registry.isCurrent(deployment),
      emit,
    });
    this.#pool = pool;
    const random = seededRandom(seed);
    this.#queue = new EventQueue({ account, registry, pool, emit, retryDelayMs, duplicateEvents, random });
  }

  deploy(definition: FunctionDefinition): { readonly functionArn: string } {
    const { name: functionName, version: qualifier } = this.#registry.deploy(definition);
    this.#pool.retire();
    return { functionArn: arnOf(this.#account, { functionName, qualifier }) };
  }

  async invoke(request: Invoking): Promise<InvocationResult> {
    const answer = await this.answer(requestOf(request, "RequestResponse"));
    if (answer.kind !== "executed") throw refused(request, answer);
    const { requestId, executedVersion, functionError, payload } = answer;
    return { requestId, executedVersion, functionError, payload: JSON.parse(payload) };
  }

  send(request: Invoking): { readonly requestId: string } {
    const { requestId } = this.#submit(request);
    return { requestId };
  }

  every(ms: number, functionName: string, payload: unknown): () => void {
    let running = false;
    const tick = (): void => {
      if (running) return;
      running = true;
      void this.#submit({ functionName, payload }).done.then(() => {
        running = false;
      });
    };
    const timer = setInterval(tick, ms);
    this.#schedules.add(timer);
    return () => {
      clearInterval(timer);
      this.#schedules.delete(timer);
    };
  }

  kill(choice: { readonly functionName?: string; readonly random: () => number }): number | null {
    return this.#pool.kill(choice.functionName ?? null, choice.random);
  }

  environments(): readonly EnvironmentView[] {
    return this.#pool.views();
  }

  async idle(): Promise<void> {
    const working = (): boolean => this.environments().some(({ state }) => state !== "frozen");
    while (working() || this.#queue.size > 0) {
      if (working()) await this.#pool.changed();
      else await this.#queue.changed();
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** One request of the Invoke API. */
  async answer(request: InvokeRequest): Promise<InvokeAnswer> {
    const found = this.#find(request.functionName, request.qualifier);
    if (found.kind === "refused") return found;
    const { reference, deployment } = found;
    if (request.invocationType === "DryRun") return { kind: "permitted" };
    if (request.invocationType === "Event") {
      const { requestId } = this.#queue.submit(reference, request.payload);
      return { kind: "accepted", requestId };
    }
    const requestId = randomUUID();
    const invokedFunctionArn = arnOf(this.#account, reference);
    const placed = this.#pool.invoke(deployment, { requestId, payload: request.payload, invokedFunctionArn });
    if (placed.kind === "throttled") return refuse(429, "TooManyRequestsException", "Rate Exceeded.");
    const outcome = await placed.outcome;
    const executed = { kind: "executed", requestId, executedVersion: deployment.version } as const;
    return outcome.kind === "finished"
      ? { ...executed, functionError: null, payload: outcome.payload }
      : { ...executed, functionError: "Unhandled", payload: JSON.stringify(outcome.error) };
  }

  #submit(request: Invoking): Accepted {
    const { functionName, qualifier, payload } = requestOf(request, "Event");
    const found = this.#find(functionName, qualifier);
    if (found.kind === "refused") throw refused(request, found);
    return this.#queue.submit(found.reference, payload);
  }

  #find(functionName: string, qualifier: string | null): Found | Refusal {
    if (this.#closed !== null) return refuse(500, "ServiceException", "the runner is closed");
    const parsed = parseFunctionName(functionName, qualifier);
    if (parsed.kind === "invalid") return refuse(400, "InvalidParameterValueException", parsed.message);
    const { reference } = parsed;
    const deployment = this.#registry.resolve(reference);
    if (deployment !== null) return { kind: "found", reference, deployment };
    return refuse(404, "ResourceNotFoundException", `Function not found: ${arnOf(this.#account, reference)}`);
  }

  async #close(): Promise<void> {
    for (const timer of this.#schedules) clearInterval(timer);
    await Promise.all([this.#queue.close(), this.#pool.close()]);
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
    this.#processes.close();
  }
}

interface Found {
  readonly kind: "found";
  readonly reference: FunctionReference;
  readonly deployment: Deployment;
}

function limitsOf(options: RunnerOptions): PoolLimits {
  const { environmentsMax = 128, frozenMax = 32, idleMs = 300_000 } = options;
  return { environmentsMax, frozenMax, idleMs };
}

function requestOf(request: Invoking, invocationType: "RequestResponse" | "Event"): InvokeRequest {
  const { functionName, qualifier = null, payload = {} } = request;
  return { functionName, qualifier, invocationType, payload: JSON.stringify(payload) };
}

function refused(request: Invoking, answer: InvokeAnswer): StreamError {
  const why = answer.kind === "refused" ? `${answer.errorType}: ${answer.message}` : `unexpected answer ${answer.kind}`;
  const kind = answer.kind === "refused" && answer.status === 429 ? "transient" : "invalid";
  return new StreamError(kind, `invoking ${request.functionName}: ${why}`);
}
