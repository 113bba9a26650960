import { describe, expect, it } from "vitest";
import { type Decision, decide, lookAgainAt, untakenMillis } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import type { Lease } from "../../lib/model/head.js";
import { checkpointId, generation, millis, sessionId, taskId } from "../../lib/model/ids.js";
import {
  ack,
  ago,
  deployed,
  desired,
  facts,
  failure,
  head,
  held,
  incarnation,
  leases,
  manifest,
  me,
  now,
  pending,
  progress,
  progresses,
  record,
  ref,
  request,
  settings,
  task0,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";

const nothing: Decision = { kind: "nothing", until: null };
const free = (since: number) => ({ kind: "free", since: millis(since) }) as const;
const done = (committed: number) => ({ kind: "done", committed: checkpointId(committed) }) as const;
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
      facts({ desired: desired({ request: request({ id: "r2", kind: "savepoint" }) }) }),
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

describe("a pipeline that rests", () => {
  const rows = (["suspended", "stopped", "finished", "failed"] as const).map(
    (status): Row => [
      `C3 ${status}: nothing is opened, triggered or invoked`,
      facts({
        head: { status, endedAt: ago(5) },
        leases: leases(free(0)),
        progress: progresses(progress({ changed: true, handover: true })),
      }),
      nothing,
    ],
  );
  check(rows);
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

describe("a pending checkpoint", () => {
  const due = pending({ triggeredAt: ago(settings.timeout) });
  const almost = pending({ triggeredAt: ago(settings.timeout - 1) });
  const foreign = record({ functionVersion: "6" });
  const two = record({ stages: twoTasks });
  const finished = manifest({ tasks: [ack({ task: task1, checkpointId: checkpointId(1), finished: true })] });
  check([
    [
      "B4 every task has acked: complete",
      facts({ head: { pending: pending() }, acks: [ack()] }),
      { kind: "complete", pending: pending() },
    ],
    ["B4 no ack yet: wait", facts({ head: { pending: pending() } }), nothing],
    [
      "B4 one of two tasks has acked: wait",
      facts({ head: { pending: pending() }, acks: [ack()], record: two, leases: leases(held(), held()) }),
      nothing,
    ],
    [
      "B4 the other finished earlier in this generation: complete",
      facts({
        head: { pending: pending() },
        acks: [ack()],
        record: two,
        completed: finished,
        leases: leases(held(), held()),
      }),
      { kind: "complete", pending: pending() },
    ],
    ["B5 the time-out has passed: abort", facts({ head: { pending: due } }), { kind: "abort", pending: due }],
    ["B5 a millisecond before it: wait", facts({ head: { pending: almost } }), nothing],
    [
      "B5 all acks are there when the time-out passes: complete",
      facts({ head: { pending: due }, acks: [ack()] }),
      { kind: "complete", pending: due },
    ],
    [
      "P4 another version does not complete",
      facts({ head: { pending: pending() }, acks: [ack()], record: foreign }),
      nothing,
    ],
    [
      "P4 B5 another version aborts what nobody completed in time",
      facts({ head: { pending: due }, acks: [ack()], record: foreign }),
      { kind: "abort", pending: due },
    ],
    [
      "B5 aborts in a row beyond the tolerated number are a failure",
      facts({ head: { consecutiveAborts: settings.tolerableFailures + 1 } }),
      {
        kind: "open",
        reason: "failure",
        origin: ref(1),
        failure: failure({
          at: now,
          task: null,
          kind: "aborts",
          message: `4 checkpoints in a row were aborted after ${settings.timeout} ms`,
        }),
      },
    ],
    ["B5 the tolerated number is none", facts({ head: { consecutiveAborts: settings.tolerableFailures } }), nothing],
  ]);
});

describe("C3 the end", () => {
  const counted = manifest({ tasks: [ack({ checkpointId: checkpointId(1) })] });
  const two = record({ stages: twoTasks });
  const both = manifest({
    checkpointId: checkpointId(4),
    tasks: [
      ack({ checkpointId: checkpointId(4) }),
      ack({ task: task1, checkpointId: checkpointId(3), finished: true }),
    ],
  });
  const ends = [
    ["suspending", "suspended"],
    ["stopping", "stopped"],
    ["finishing", "finished"],
  ] as const;
  check([
    ...ends.map(
      ([status, settled]): Row => [
        `C3 ${status} and committed: ${settled}`,
        facts({ head: { status }, leases: leases(done(1)), completed: counted }),
        { kind: "settle", status: settled },
      ],
    ),
    ["C3 running: no lease settles it", facts({ leases: leases(done(1)) }), nothing],
    ["C3 a session still waits", facts({ head: { status: "stopping" } }), nothing],
    [
      "C3 committed an older checkpoint than the ack that counts",
      facts({ head: { status: "stopping" }, leases: leases(done(0)), completed: counted }),
      nothing,
    ],
    [
      "C3 a finished task committed its own, older ack",
      facts({ head: { status: "finishing" }, record: two, leases: leases(done(4), done(3)), completed: both }),
      { kind: "settle", status: "finished" },
    ],
    [
      "C3 one of two tasks has not committed",
      facts({ head: { status: "finishing" }, record: two, leases: leases(done(4), held()), completed: both }),
      nothing,
    ],
    [
      "C3 a lease released without committed is taken up again",
      facts({ head: { status: "stopping" }, leases: leases(free(0)) }),
      { kind: "invoke", task: task0, leaseVersion: 3 },
    ],
    [
      "C3 nothing is triggered while it ends",
      facts({
        head: { status: "suspending" },
        progress: progresses(progress({ changed: true, handover: true, sourcesFinished: true })),
        desired: desired({ state: "stopped" }),
      }),
      nothing,
    ],
  ]);
});

describe("R5 invocations that are lost", () => {
  const since = now - untakenMillis;
  check([
    [
      "R5 a lease free for 10 s is invoked with its version",
      facts({ leases: leases(free(since)) }),
      { kind: "invoke", task: task0, leaseVersion: 3 },
    ],
    ["R5 a millisecond less: wait", facts({ leases: leases(free(since + 1)) }), nothing],
    [
      "R5 a lease that was never taken counts from the opening, with version 0",
      facts({ leases: new Map(), head: { openedAt: millis(since) } }),
      { kind: "invoke", task: task0, leaseVersion: 0 },
    ],
    [
      "R5 never taken, opened just now: wait",
      facts({ leases: new Map(), head: { openedAt: millis(since + 1) } }),
      nothing,
    ],
    ["R5 a lease that is held is not invoked", facts({ leases: leases(held({ since: millis(0) })) }), nothing],
    ["R5 a lease that is done is not invoked", facts({ leases: leases(done(1)) }), nothing],
    [
      "R5 the second task alone",
      facts({ record: record({ stages: twoTasks }), leases: leases(held(), free(since)) }),
      { kind: "invoke", task: taskId(0, 1), leaseVersion: 3 },
    ],
  ]);
});

it("R3 is a pure function: it changes none of its facts", () => {
  const given = facts({ head: { pending: pending() }, acks: [ack()] });
  const before = JSON.stringify([given, [...given.leases], [...given.progress]]);
  expect(decide(given, me)).toEqual(decide(given, me));
  expect(JSON.stringify([given, [...given.leases], [...given.progress]])).toBe(before);
  expect(head()).toEqual(head());
});
