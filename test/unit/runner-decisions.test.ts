import { describe, expect, it } from "vitest";
import {
  afterFailure,
  chooseReaped,
  chooseTakenOver,
  destinationRecord,
  type EnvironmentFacts,
  placeInvocation,
} from "../../lib/local/runner/decisions.js";
import type { EnvironmentState } from "../../lib/local/runner/environment-state.js";

const red = { name: "red" };
const blue = { name: "blue" };
const invocation = { requestId: "r", payload: "{}", invokedFunctionArn: "arn" };
const busyState: EnvironmentState = { kind: "busy", invocation };
const busy = (id: number, deployment: object): EnvironmentFacts => ({
  id,
  deployment,
  state: busyState,
  frozenOrder: id,
});
const ending = (id: number, deployment: object): EnvironmentFacts => ({
  ...busy(id, deployment),
  state: { kind: "ending", open: null },
});
const starting = (id: number, deployment: object): EnvironmentFacts => ({
  ...busy(id, deployment),
  state: { kind: "starting", invocation },
});
const warming = (id: number, deployment: object): EnvironmentFacts => ({
  ...busy(id, deployment),
  state: { kind: "warming" },
});
const frozen = (id: number, deployment: object, frozenOrder = id): EnvironmentFacts => {
  return { id, deployment, state: { kind: "frozen", sinceMs: frozenOrder * 100 }, frozenOrder };
};

describe("which environment takes an invocation of red, of at most three", () => {
  it.each([
    ["none is there", [], { kind: "start", evict: null }],
    ["its own are busy", [busy(1, red), busy(2, red)], { kind: "start", evict: null }],
    ["one of its own is frozen", [busy(1, red), frozen(2, red)], { kind: "reuse", id: 2 }],
    ["several are: the last frozen", [frozen(1, red, 5), frozen(2, red, 4)], { kind: "reuse", id: 1 }],
    ["only another's is frozen", [frozen(1, blue)], { kind: "start", evict: null }],
    ["full, another's is frozen", [busy(1, red), frozen(2, blue, 9), frozen(3, blue, 8)], { kind: "start", evict: 3 }],
    ["full, its own is frozen", [busy(1, red), frozen(2, blue), frozen(3, red)], { kind: "reuse", id: 3 }],
    ["one of its own starts for nobody", [starting(1, red), warming(2, red)], { kind: "reuse", id: 2 }],
    ["one is frozen, and one starts for nobody", [warming(1, red), frozen(2, red)], { kind: "reuse", id: 2 }],
    ["only another's starts for nobody", [warming(1, blue)], { kind: "start", evict: null }],
    ["full of busy ones", [busy(1, red), busy(2, blue), busy(3, blue)], { kind: "throttle" }],
    ["one is about to end", [busy(1, red), busy(2, blue), ending(3, blue)], { kind: "start", evict: null }],
    ["its own is about to end", [ending(1, red)], { kind: "start", evict: null }],
  ] as const)("%s", (_, environments, placement) => {
    expect(placeInvocation(environments, red, { environmentsMax: 3 })).toEqual(placement);
  });
});

describe("whose invocation one of red takes that is free", () => {
  it.each([
    ["none starts", [busy(1, red), frozen(2, red), warming(3, red)], null],
    ["only another's starts", [starting(1, blue)], null],
    ["several start: that of the last, which has longest to go", [starting(1, red), starting(2, red)], 2],
  ] as const)("%s", (_, environments, id) => {
    expect(chooseTakenOver(environments, red)).toBe(id);
  });
});

describe("which environments are reaped", () => {
  const limits = { idleMs: 1_000, frozenMax: 2 };
  it.each([
    ["none is frozen", [busy(1, red)], 9_999, []],
    ["idle for less", [frozen(1, red, 1)], 1_099, []],
    ["idle for so long", [frozen(1, red, 1), frozen(2, red, 2)], 1_100, [1]],
    ["too many: the longest frozen", [frozen(1, red, 3), frozen(2, blue, 2), frozen(3, red, 4)], 500, [2]],
    ["both", [frozen(1, red, 1), frozen(2, blue, 2), frozen(3, red, 3)], 1_200, [1, 2]],
  ] as const)("%s", (_, environments, nowMs, reaped) => {
    expect(chooseReaped(environments, nowMs, limits)).toEqual(reaped);
  });
});

describe("what happens after a failure", () => {
  const decide = (attempts: number, retries: 0 | 1 | 2, ageMs: number) =>
    afterFailure({ attempts, ageMs, retryDelayMs: 50 }, { retries, maxAgeMs: 1_000, onFailure: null });
  const exhausted = { kind: "drop", condition: "RetriesExhausted" };
  it.each([
    ["no retries", 1, 0, 0, exhausted],
    ["first of one", 1, 1, 0, { kind: "retry", delayMs: 50 }],
    ["last of one", 2, 1, 0, exhausted],
    ["second of two waits longer", 2, 2, 999, { kind: "retry", delayMs: 100 }],
    ["last of two", 3, 2, 0, exhausted],
    ["too old", 1, 2, 1_000, { kind: "drop", condition: "EventAgeExceeded" }],
    ["too old, but also exhausted", 3, 2, 1_000, exhausted],
  ] as const)("%s", (_, attempts, retries, ageMs, decision) => {
    expect(decide(attempts, retries, ageMs)).toEqual(decision);
  });
});

describe("the record for a destination", () => {
  const facts = { nowMs: 0, requestId: "r", functionArn: "arn:$LATEST", requestPayload: { n: 1 } } as const;

  it("of an event that failed tells the last failure", () => {
    const failure = { kind: "failed", error: { errorType: "TypeError", errorMessage: "no" } } as const;
    const last = { executedVersion: "3", failure };
    expect(destinationRecord({ ...facts, condition: "RetriesExhausted", attempts: 3, last })).toEqual({
      version: "1.0",
      timestamp: "1970-01-01T00:00:00.000Z",
      requestContext: {
        requestId: "r",
        functionArn: "arn:$LATEST",
        condition: "RetriesExhausted",
        approximateInvokeCount: 3,
      },
      requestPayload: { n: 1 },
      responseContext: { statusCode: 200, executedVersion: "3", functionError: "Unhandled" },
      responsePayload: { errorType: "TypeError", errorMessage: "no" },
    });
  });

  it("of an event that was never tried has no response", () => {
    const record = destinationRecord({ ...facts, condition: "EventAgeExceeded", attempts: 0, last: null });
    expect(record).not.toHaveProperty("responseContext");
    expect(record).not.toHaveProperty("responsePayload");
  });
});
