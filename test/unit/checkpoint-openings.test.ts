import { describe, expect, it } from "vitest";
import { type Decision, decide, lookAgainAt } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import type { Lease } from "../../lib/model/head.js";
import { generation, millis, sessionId } from "../../lib/model/ids.js";
import {
  ack,
  ago,
  deployed,
  desired,
  facts,
  failure,
  incarnation,
  leases,
  me,
  now,
  pending,
  ref,
  request,
  settings,
  task0,
} from "./checkpoint-samples.js";

const nothing: Decision = { kind: "nothing", until: null };
const failed: Lease["holder"] = { kind: "failed", session: sessionId("s1"), failure: "bug", message: "broke" };
const started = (origin: ReturnType<typeof ref> | null): Decision => ({
  kind: "open",
  reason: "start",
  origin,
  failure: null,
});

type Row = readonly [name: string, facts: Facts, expected: Decision];
const check = (rows: readonly Row[]) =>
  it.each(rows)("%s", (_, given, expected) => {
    expect(decide(given, me)).toEqual(expected);
  });

describe("a pipeline that never ran", () => {
  check([
    ["R3 nobody wants anything: nothing", facts({ head: null, desired: null }), nothing],
    ["R3 somebody wants it: generation 1 is opened from no checkpoint", facts({ head: null }), started(null)],
    ["R3 it is to be stopped: nothing", facts({ head: null, desired: desired({ state: "stopped" }) }), nothing],
    [
      "P4 desired names another version: that version opens",
      facts({ head: null, desired: desired({ code: deployed("8") }) }),
      nothing,
    ],
  ]);
});

describe("requests", () => {
  const restart = desired({ request: request({ id: "r2" }) });
  const restore = desired({ request: request({ id: "r2", kind: "restore", from: ref(9, 4) }) });
  const rested = { status: "failed", endedAt: ago(5) } as const;
  check([
    ["R4 a restart waits for no deadline: opened from what is complete", facts({ desired: restart }), started(ref(1))],
    ["R4 a restart of a pipeline that has failed", facts({ desired: restart, head: rested }), started(ref(1))],
    [
      "R4 a restart while a checkpoint is pending and acked fences it (R2)",
      facts({ desired: restart, head: { pending: pending() }, acks: [ack()] }),
      started(ref(1)),
    ],
    ["R4 a restart before the first checkpoint", facts({ desired: restart, head: { completed: null } }), started(null)],
    ["R4 a restore is opened from what it names", facts({ desired: restore }), started(ref(9, 4))],
    ["R4 a request that the generation fulfils is no request any more", facts(), nothing],
    ["R4 no request at all", facts({ desired: desired({ request: null }) }), nothing],
    [
      "R4 a savepoint opens nothing",
      facts({ desired: desired({ savepoint: { id: "r2", name: "s" } }), progress: new Map() }),
      nothing,
    ],
    [
      "P4 R2 code of another version goes on with what runs until the request is fulfilled",
      facts({ desired: { ...restart, code: deployed("8") }, head: { pending: pending() }, acks: [ack()] }),
      { kind: "complete", pending: pending() },
    ],
    [
      "P4 a request for another version does not wake what has failed",
      facts({ desired: { ...restart, code: deployed("8") }, head: rested, leases: leases(failed) }),
      nothing,
    ],
  ]);
});

describe("failures", () => {
  const opened = (cause: Partial<ReturnType<typeof failure>>): Decision => ({
    kind: "open",
    reason: "failure",
    origin: ref(1),
    failure: failure({ at: now, ...cause }),
  });
  const invocation = { pipeline: "p", incarnation, generation: generation(1), task: task0, leaseVersion: 2 };
  const report = (over: object) => [{ invocation: { ...invocation, ...over }, kind: "died", message: "out of memory" }];
  const wasDelayed = { failures: [failure({ at: ago(300) })] };
  const hopeless = { ...failed, failure: "invalid" } as const;
  check([
    ["R4 a lease that is marked failed", facts({ leases: leases(failed) }), opened({ message: "broke" })],
    [
      "R4 a session that was killed is reported",
      facts({ reports: report({}) }),
      opened({ kind: "died", message: "out of memory" }),
    ],
    ["R2 a zombie's report: another generation", facts({ reports: report({ generation: generation(2) }) }), nothing],
    ["R2 a zombie's report: another incarnation", facts({ reports: report({ incarnation: "ffffffffffff" }) }), nothing],
    ["R2 a report of a session that has passed its lease on", facts({ reports: report({ leaseVersion: 1 }) }), nothing],
    [
      "R4 a failure comes before a checkpoint that could complete",
      facts({ leases: leases(failed), head: { pending: pending() }, acks: [ack()] }),
      opened({ message: "broke" }),
    ],
    [
      "R2 while it suspends, a failure opens the next generation",
      facts({ leases: leases(failed), head: { status: "suspending" } }),
      opened({ message: "broke" }),
    ],
    [
      "R4 the next restart waits for its delay",
      facts({ leases: leases(failed), head: wasDelayed }),
      { kind: "nothing", until: millis(now - 300 + settings.restart.initialDelay) },
    ],
    [
      "R4 what no restart can help is the pipeline's end",
      facts({ leases: leases(hopeless) }),
      { kind: "fail", failure: failure({ at: now, kind: "invalid", message: "broke" }) },
    ],
    [
      "P4 a failure is restarted by the version in desired alone",
      facts({ leases: leases(failed), desired: desired({ code: deployed("8") }) }),
      nothing,
    ],
  ]);
  it("R4 a delayed restart says when to look again", () => {
    expect(lookAgainAt(decide(facts({ leases: leases(failed), head: wasDelayed }), me))).toBe(now + 700);
    expect(lookAgainAt(nothing)).toBeNull();
    expect(lookAgainAt(started(null))).toBeNull();
  });
});
