import { describe, expect, it } from "vitest";
import type { Facts } from "../../lib/checkpoint/facts.js";
import { deadlineGraceMillis, findFailure } from "../../lib/checkpoint/failures.js";
import { decideRestart, type RestartDecision } from "../../lib/checkpoint/restart.js";
import type { FailureReport, Invocation, Lease } from "../../lib/model/head.js";
import { checkpointId, generation, millis, sessionId } from "../../lib/model/ids.js";
import {
  ago,
  facts,
  failure,
  head,
  held,
  incarnation,
  leases,
  now,
  settings,
  task0,
  task1,
} from "./checkpoint-samples.js";

const find = (given: Facts, over = {}) => findFailure(given, head(over), settings);

describe("reports", () => {
  const report = (over: Partial<Invocation> = {}): FailureReport => ({
    invocation: { pipeline: "p", incarnation, generation: generation(1), task: task0, leaseVersion: 2, ...over },
    kind: "died",
    message: "timed out",
  });
  /** The lease stands at version 3. */
  const at = (holder: Lease["holder"] | null, ...reports: readonly FailureReport[]) =>
    facts({ leases: leases(holder), reports });
  const free: Lease["holder"] = { kind: "free", since: ago(5) };

  const isFailure: readonly (readonly [name: string, Facts])[] = [
    ["R4 its invocation holds the lease: version named + 1", at(held(), report())],
    ["R4 it died before it took the lease: free at the version named", at(free, report({ leaseVersion: 3 }))],
    ["R4 the lease was never taken", at(null, report({ leaseVersion: 0 }))],
    ["R4 behind a report that is of no interest", at(held(), report({ generation: generation(9) }), report())],
  ];
  it.each(isFailure)("%s: a failure", (_, given) => {
    expect(find(given)).toEqual({
      generation: 1,
      at: now,
      task: task0,
      kind: "died",
      message: "timed out",
      checkpointId: 1,
    });
  });

  const isNone: readonly (readonly [name: string, Facts])[] = [
    ["R2 an older generation", at(held(), report({ generation: generation(0) }))],
    ["R2 a newer generation than was read", at(held(), report({ generation: generation(2) }))],
    ["R2 another incarnation", at(held(), report({ incarnation: "000000000000" }))],
    ["R2 its successor holds the lease", at(held(), report({ leaseVersion: 1 }))],
    ["R2 it has passed the lease on, nobody took it yet", at(free, report({ leaseVersion: 1 }))],
    ["R4 a twin that lost: the version it named is taken by a later one", at(held(), report({ leaseVersion: 3 }))],
    ["C3 its task is done", at({ kind: "done", committed: checkpointId(1) }, report())],
    ["R2 no report", at(held())],
  ];
  it.each(isNone)("%s: none", (_, given) => {
    expect(find(given)).toBeNull();
  });
});

describe("leases and aborts", () => {
  const dead = (deadline: number) => facts({ leases: leases(held({ deadline: millis(deadline) })) });
  it("R4 a session is dead a while after its deadline, and not before", () => {
    expect(find(dead(now - deadlineGraceMillis))).toMatchObject({ kind: "deadline", task: task0 });
    expect(find(dead(now - deadlineGraceMillis + 1))).toBeNull();
  });

  it("R4 a lease that is marked failed says why, of whatever task", () => {
    const broke = { kind: "failed", session: sessionId("s2"), failure: "corrupt", message: "gone" } as const;
    expect(find(facts({ leases: leases(held(), broke) }))).toMatchObject({
      task: task1,
      kind: "corrupt",
      message: "gone",
    });
  });

  it("R4 leases that are free or done are healthy, however old", () => {
    expect(find(facts({ leases: leases({ kind: "free", since: millis(0) }) }))).toBeNull();
    expect(find(facts({ leases: leases({ kind: "done", committed: checkpointId(1) }) }))).toBeNull();
  });

  it("B5 aborts in a row beyond the tolerated number", () => {
    const tolerated = settings.tolerableFailures;
    expect(find(facts(), { consecutiveAborts: tolerated })).toBeNull();
    expect(find(facts(), { consecutiveAborts: tolerated + 1 })).toMatchObject({ kind: "aborts", task: null });
  });

  it("R4 a failure names what was complete; 0 where nothing was", () => {
    const given = dead(0);
    expect(find(given)?.checkpointId).toBe(1);
    expect(find(given, { completed: null })?.checkpointId).toBe(0);
  });
});

describe("the restart strategy", () => {
  const restart = { attempts: 3, window: millis(600_000), initialDelay: millis(1_000), maxDelay: millis(3_000) };
  const last = (age: number, over = {}) => failure({ at: ago(age), ...over });
  const wait = (until: number): RestartDecision => ({ kind: "wait", until: millis(until) });
  const rows: readonly (readonly [string, Parameters<typeof decideRestart>[0], RestartDecision])[] = [
    ["R4 the first failure restarts at once", [], { kind: "now" }],
    ["R4 the second waits for the delay after the first", [last(400)], wait(now + 600)],
    ["R4 the second, after the delay", [last(1_000)], { kind: "now" }],
    ["R4 the third waits twice as long", [last(5_000), last(400)], wait(now + 1_600)],
    ["R4 beyond the attempts it gives up", [last(9_000), last(8_000), last(7_000)], { kind: "give-up", failures: 4 }],
    [
      "R4 failures with a completed checkpoint between them are no loop",
      [last(3), last(2), last(1)].map((one) => ({ ...one, checkpointId: checkpointId(0) })),
      { kind: "now" },
    ],
    ["R4 failures before the window are forgotten", [last(600_000), last(600_001), last(700_000)], { kind: "now" }],
    ["R4 one just inside the window counts", [last(599_999)], { kind: "now" }],
  ];
  it.each(rows)("%s", (_, before, expected) => {
    expect(decideRestart(before, failure({ at: now }), now, restart)).toEqual(expected);
  });

  it("R4 the delay grows to its limit and no further", () => {
    const many = { ...restart, attempts: 10 };
    const before = [last(9), last(8), last(7), last(6), last(0)];
    expect(decideRestart(before, failure({ at: now }), now, many)).toEqual(wait(now + 3_000));
  });

  it.each(["invalid", "corrupt"])("R4 %s: no restart can help", (kind) => {
    expect(decideRestart([], failure({ kind }), now, restart)).toEqual({ kind: "give-up", failures: 1 });
  });

  it.each(["bug", "transient", "ambiguous", "died", "deadline", "aborts"])(
    "R4 %s: another attempt may help",
    (kind) => {
      expect(decideRestart([], failure({ kind }), now, restart)).toEqual({ kind: "now" });
    },
  );
});
