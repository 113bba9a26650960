/**
 * Asynchronous invocation: events are accepted, delivered at least once, tried again after failures, and given up to
 * the on-failure destination. Lambda keeps its queue through anything; this one lives as long as the runner.
 */
import { randomUUID } from "node:crypto";
import { invariant } from "../../model/errors.js";
import { afterFailure, type DropCondition, destinationRecord } from "./decisions.js";
import type { Failure, Outcome } from "./environment-state.js";
import type { RunnerEvent } from "./events.js";
import {
  type Account,
  arnOf,
  type Deployment,
  type FunctionReference,
  type FunctionRegistry,
  parseFunctionName,
} from "./functions.js";
import type { EnvironmentPool } from "./pool.js";

export interface QueueOptions {
  readonly account: Account;
  readonly registry: FunctionRegistry;
  readonly pool: EnvironmentPool;
  readonly emit: (event: RunnerEvent) => void;
  /** Before the first retry; twice as long before the second. */
  readonly retryDelayMs: number;
  /** The probability with which an event is delivered twice. */
  readonly duplicateEvents: number;
  /** Seeded, so that a run can be repeated. */
  readonly random: () => number;
}

export interface Accepted {
  readonly requestId: string;
  /** Every delivery of the event has succeeded or was given up. */
  readonly done: Promise<void>;
}

interface QueuedEvent {
  readonly requestId: string;
  readonly target: FunctionReference;
  readonly payload: string;
  readonly acceptedAtMs: number;
}

/** What is known of the attempts so far. */
interface Tried {
  readonly attempts: number;
  readonly last: { readonly executedVersion: string; readonly failure: Failure } | null;
}

export class EventQueue {
  readonly #open = new Set<Promise<void>>();
  readonly #sleeping = new Map<NodeJS.Timeout, () => void>();
  readonly #waitingForChange = new Set<() => void>();
  #closed = false;

  constructor(private readonly options: QueueOptions) {}

  /** Deliveries that are neither done nor given up. */
  get size(): number {
    return this.#open.size;
  }

  /** Resolves when the next delivery is done or given up. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waitingForChange.add(resolve));
  }

  submit(target: FunctionReference, payload: string): Accepted {
    const event = { requestId: randomUUID(), target, payload, acceptedAtMs: Date.now() };
    const { random, duplicateEvents, retryDelayMs } = this.options;
    const deliveries = [this.#track(this.#deliver(event))];
    // A duplicate comes while the first is under way, or after it.
    if (random() < duplicateEvents) {
      const delayMs = random() * 2 * retryDelayMs;
      deliveries.push(this.#track(this.#sleep(delayMs).then(() => this.#deliver(event))));
    }
    return { requestId: event.requestId, done: Promise.all(deliveries).then(() => {}) };
  }

  /** Forgets what is waiting. Deliveries under way end with their process. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [timer, wake] of this.#sleeping) {
      clearTimeout(timer);
      wake();
    }
    await Promise.all(this.#open);
  }

  async #deliver(event: QueuedEvent): Promise<void> {
    let tried: Tried = { attempts: 0, last: null };
    while (!this.#closed) {
      const deployment = this.#resolve(event.target);
      const ageMs = Date.now() - event.acceptedAtMs;
      if (ageMs >= deployment.asyncConfig.maxAgeMs)
        return this.#drop(event, { deployment, condition: "EventAgeExceeded", tried });
      const outcome = await this.#attempt(deployment, event);
      if (outcome === "throttled") continue;
      if (outcome.kind === "finished" || this.#closed) return;
      tried = { attempts: tried.attempts + 1, last: { executedVersion: deployment.version, failure: outcome } };
      const next = this.#afterFailure(event, deployment, tried);
      if (next.kind === "drop") return this.#drop(event, { deployment, condition: next.condition, tried });
      await this.#sleep(next.delayMs);
    }
  }

  /** Throttling is no failure: the event waits for a free environment, and keeps its attempts. */
  async #attempt(deployment: Deployment, event: QueuedEvent): Promise<Outcome | "throttled"> {
    const { requestId, payload, target } = event;
    const invokedFunctionArn = arnOf(this.options.account, target);
    const placed = this.options.pool.invoke(deployment, { requestId, payload, invokedFunctionArn });
    if (placed.kind === "placed") return placed.outcome;
    await this.options.pool.changed();
    return "throttled";
  }

  #afterFailure(event: QueuedEvent, deployment: Deployment, { attempts }: Tried) {
    const ageMs = Date.now() - event.acceptedAtMs;
    return afterFailure({ attempts, ageMs, retryDelayMs: this.options.retryDelayMs }, deployment.asyncConfig);
  }

  #drop(
    event: QueuedEvent,
    given: { readonly deployment: Deployment; readonly condition: DropCondition; readonly tried: Tried },
  ): void {
    const { deployment, condition, tried } = given;
    const { requestId, target } = event;
    this.options.emit({
      kind: "dropped",
      functionName: target.functionName,
      requestId,
      condition,
      attempts: tried.attempts,
    });
    const destination = deployment.asyncConfig.onFailure;
    if (destination === null) return;
    const record = destinationRecord({
      nowMs: Date.now(),
      requestId,
      functionArn: arnOf(this.options.account, { ...target, qualifier: target.qualifier ?? "$LATEST" }),
      condition,
      attempts: tried.attempts,
      requestPayload: JSON.parse(event.payload),
      last: tried.last,
    });
    this.#tell(destination.functionName, JSON.stringify(record));
  }

  /** A destination that is not deployed loses the record, as in Lambda (there it counts DestinationDeliveryFailures). */
  #tell(functionName: string, payload: string): void {
    const parsed = parseFunctionName(functionName, null);
    if (parsed.kind === "reference" && this.options.registry.resolve(parsed.reference) !== null)
      this.submit(parsed.reference, payload);
  }

  #resolve(target: FunctionReference): Deployment {
    const deployment = this.options.registry.resolve(target);
    invariant(deployment !== null, `${target.functionName} was deployed when its event was accepted, and is not now`);
    return deployment;
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#sleeping.delete(timer);
        resolve();
      }, delayMs);
      this.#sleeping.set(timer, resolve);
    });
  }

  #track(delivery: Promise<void>): Promise<void> {
    const tracked = delivery.finally(() => {
      this.#open.delete(tracked);
      const waiting = [...this.#waitingForChange];
      this.#waitingForChange.clear();
      for (const resolve of waiting) resolve();
    });
    this.#open.add(tracked);
    return tracked;
  }
}

/** A generator of numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
