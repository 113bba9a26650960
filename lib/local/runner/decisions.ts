/** What the runner decides, as pure functions of facts. */
import type { EnvironmentState, Failure } from "./environment-state.js";
import type { AsyncConfig } from "./functions.js";

export interface EnvironmentFacts {
  readonly id: number;
  /** Identity of the deployment that the environment runs. */
  readonly deployment: object;
  readonly state: EnvironmentState;
  /** Counts the freezes of the runner: two may fall into one millisecond. */
  readonly frozenOrder: number;
}

export type Placement =
  /** One that is frozen, or that starts for nobody. */
  | { readonly kind: "reuse"; readonly id: number }
  | { readonly kind: "start"; readonly evict: number | null }
  | { readonly kind: "throttle" };

/** The environment frozen last takes an invocation, so that the others age and are reaped; without one, a new one does. */
export function placeInvocation(
  environments: readonly EnvironmentFacts[],
  deployment: object,
  limits: { readonly environmentsMax: number },
): Placement {
  const warm = oldestFirst(environments);
  const isMine = (environment: EnvironmentFacts) => environment.deployment === deployment;
  const mine = warm.findLast(isMine) ?? environments.filter(isMine).find(({ state }) => state.kind === "warming");
  if (mine !== undefined) return { kind: "reuse", id: mine.id };
  // One that is ending has no claim any more: it goes as fast as the kernel can.
  const counted = environments.filter(({ state }) => state.kind !== "ending" && state.kind !== "gone");
  if (counted.length < limits.environmentsMax) return { kind: "start", evict: null };
  const evicted = warm[0];
  return evicted === undefined ? { kind: "throttle" } : { kind: "start", evict: evicted.id };
}

/** The frozen environments that are to be ended: idle for too long, or more than are kept warm. */
export function chooseReaped(
  environments: readonly EnvironmentFacts[],
  nowMs: number,
  limits: { readonly idleMs: number; readonly frozenMax: number },
): readonly number[] {
  const warm = oldestFirst(environments);
  const surplus = Math.max(0, warm.length - limits.frozenMax);
  return warm
    .filter(
      ({ state }, index) => index < surplus || (state.kind === "frozen" && nowMs - state.sinceMs >= limits.idleMs),
    )
    .map(({ id }) => id);
}

function oldestFirst(environments: readonly EnvironmentFacts[]): readonly EnvironmentFacts[] {
  return environments
    .filter(({ state }) => state.kind === "frozen")
    .sort((left, right) => left.frozenOrder - right.frozenOrder);
}

/** As Lambda does: whoever is free first takes the invocation that another one is starting for; of several the one that began last. */
export function chooseTakenOver(environments: readonly EnvironmentFacts[], deployment: object): number | null {
  const starting = environments.filter((one) => one.deployment === deployment && one.state.kind === "starting");
  return starting.at(-1)?.id ?? null;
}

/** Why an event was given up, in the words of Lambda's destination record. */
export type DropCondition = "RetriesExhausted" | "EventAgeExceeded";

export type AfterFailure =
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "drop"; readonly condition: DropCondition };

/** Lambda waits a minute before the first retry and two before the second: twice `retryDelayMs`, here. */
export function afterFailure(
  facts: { readonly attempts: number; readonly ageMs: number; readonly retryDelayMs: number },
  config: AsyncConfig,
): AfterFailure {
  if (facts.attempts > config.retries) return { kind: "drop", condition: "RetriesExhausted" };
  if (facts.ageMs >= config.maxAgeMs) return { kind: "drop", condition: "EventAgeExceeded" };
  return { kind: "retry", delayMs: facts.retryDelayMs * facts.attempts };
}

/**
 * What the on-failure destination receives.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
 */
export interface DestinationRecord {
  readonly version: "1.0";
  readonly timestamp: string;
  readonly requestContext: {
    readonly requestId: string;
    readonly functionArn: string;
    readonly condition: DropCondition;
    readonly approximateInvokeCount: number;
  };
  readonly requestPayload: unknown;
  /** Absent, as is the payload, where the event was never tried. */
  readonly responseContext?: {
    readonly statusCode: 200;
    readonly executedVersion: string;
    readonly functionError: "Unhandled";
  };
  readonly responsePayload?: { readonly errorType?: string; readonly errorMessage: string };
}

export function destinationRecord(facts: {
  readonly nowMs: number;
  readonly requestId: string;
  /** Qualified with the version that was tried, or would have been. */
  readonly functionArn: string;
  readonly condition: DropCondition;
  readonly attempts: number;
  readonly requestPayload: unknown;
  readonly last: { readonly executedVersion: string; readonly failure: Failure } | null;
}): DestinationRecord {
  const { requestId, functionArn, condition, attempts, requestPayload, last } = facts;
  const record: DestinationRecord = {
    version: "1.0",
    timestamp: new Date(facts.nowMs).toISOString(),
    requestContext: { requestId, functionArn, condition, approximateInvokeCount: attempts },
    requestPayload,
  };
  if (last === null) return record;
  const responseContext = {
    statusCode: 200,
    executedVersion: last.executedVersion,
    functionError: "Unhandled",
  } as const;
  return { ...record, responseContext, responsePayload: last.failure.error };
}
