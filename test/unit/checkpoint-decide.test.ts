import { describe, expect, it } from "vitest";
import { type Decision, decide, untakenMillis } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import { checkpointId, millis, taskId } from "../../lib/model/ids.js";
import {
  ack,
  ago,
  desired,
  facts,
  failure,
  head,
  held,
  leases,
  manifest,
  me,
  now,
  pending,
  progress,
  progresses,
  record,
  ref,
  settings,
  task0,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";

const nothing: Decision = { kind: "nothing", until: null };
const free = (since: number) => ({ kind: "free", since: millis(since) }) as const;
const done = (committed: number) => ({ kind: "done", committed: checkpointId(committed) }) as const;

type Row = readonly [name: string, facts: Facts, expected: Decision];
const check = (rows: readonly Row[]) =>
  it.each(rows)("%s", (_, given, expected) => {
    expect(decide(given, me)).toEqual(expected);
  });

describe("a pipeline that rests", () => {
  const rows = (["stopped", "finished", "failed"] as const).map(
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
        leases: leases(held(), done(1)),
      }),
      { kind: "complete", pending: pending() },
    ],
    [
      "B4 C3 the other finished, but a session runs it still: wait for its ack",
      facts({
        head: { pending: pending() },
        acks: [ack()],
        record: two,
        completed: finished,
        leases: leases(held(), held()),
      }),
      nothing,
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
      { kind: "invoke", leases: [{ task: task0, leaseVersion: 3 }] },
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
      { kind: "invoke", leases: [{ task: task0, leaseVersion: 3 }] },
    ],
    ["R5 a millisecond less: wait", facts({ leases: leases(free(since + 1)) }), nothing],
    [
      "R5 a lease that was never taken counts from the opening, with version 0",
      facts({ leases: new Map(), head: { openedAt: millis(since) } }),
      { kind: "invoke", leases: [{ task: task0, leaseVersion: 0 }] },
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
      { kind: "invoke", leases: [{ task: taskId(0, 1), leaseVersion: 3 }] },
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
