import { describe, expect, it } from "vitest";
import { type Decision, decide, lookAgainAt } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import { idleAfter } from "../../lib/checkpoint/idle.js";
import { openingsPerHourMax } from "../../lib/checkpoint/limits.js";
import type { Finding } from "../../lib/checkpoint/watch.js";
import { checkpointId, millis, sessionId } from "../../lib/model/ids.js";
import { planSettings } from "../../lib/pipeline/options.js";
import {
  ack,
  ago,
  me as awake,
  deployed,
  desired,
  facts,
  failure,
  held,
  leases,
  manifest,
  now,
  pending,
  progress,
  progresses,
  record,
  ref,
  request,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";

const minute = 60_000;
const me = { ...awake, settings: planSettings("p", { idle: { suspendAfter: "1m" } }) };
const nothing: Decision = { kind: "nothing", until: null };
const quiet = (length: number, over = {}) => progress({ idleSince: ago(length), ...over });
const reflects = (records: number, over = {}) =>
  ack({ checkpointId: checkpointId(1), idle: true, figures: { ...ack().figures, recordsIn: records, ...over } });

type Row = readonly [
  name: string,
  facts: Facts,
  expected: Decision | "idle" | "sleep on request" | "interval" | "stop",
];
const check = (rows: readonly Row[]) =>
  it.each(rows)("%s", (_, given, expected) => {
    const decision = decide(given, me);
    const named = {
      idle: ["suspend", "idle"],
      "sleep on request": ["suspend", "user"],
      interval: ["continue", "interval"],
      stop: ["stop", "user"],
    } as const;
    if (typeof expected === "object") expect(decision).toEqual(expected);
    else if (decision.kind !== "trigger") expect(decision).toBe(expected);
    else expect([decision.pending.andThen, decision.pending.reason]).toEqual(named[expected]);
  });

describe("N2 going to sleep", () => {
  const two = { record: record({ stages: twoTasks }), leases: leases(held(), held()) };
  const carried = (records: number) =>
    facts({
      progress: progresses(quiet(1_000, { records: 10 })),
      head: { idleSince: ago(minute) },
      completed: manifest({ tasks: [reflects(records)] }),
    });
  check([
    [
      "N2 idle for long: a checkpoint after which it sleeps, though nothing changed",
      facts({ progress: progresses(quiet(minute)) }),
      "idle",
    ],
    ["N2 a millisecond too early: none", facts({ progress: progresses(quiet(minute - 1)) }), nothing],
    ["N2 it reads: none", facts(), nothing],
    [
      "N2 one of two tasks reads: only the whole pipeline sleeps",
      facts({ ...two, progress: progresses(quiet(2 * minute), progress({ task: task1 })) }),
      nothing,
    ],
    [
      "N2 one of two tasks is idle for too short a time",
      facts({ ...two, progress: progresses(quiet(2 * minute), quiet(1_000, { task: task1 })) }),
      nothing,
    ],
    [
      "N2 both are idle for long",
      facts({ ...two, progress: progresses(quiet(2 * minute), quiet(minute, { task: task1 })) }),
      "idle",
    ],
    ["N2 of one of two nothing is known", facts({ ...two, progress: progresses(quiet(minute)) }), nothing],
    [
      "N2 what the session before told is not of the one that runs",
      facts({ progress: progresses(quiet(minute, { session: sessionId("s0") })) }),
      nothing,
    ],
    ["N2 the checkpoints before carry the time on: a session lives shorter than that", carried(10), "idle"],
    ["N2 a record came since the last checkpoint: it counts from this session's own idling", carried(9), nothing],
    [
      "N2 to be stopped comes first",
      facts({ progress: progresses(quiet(minute)), desired: desired({ state: "stopped" }) }),
      "stop",
    ],
    [
      "N2 to hand over can wait for the waking",
      facts({ progress: progresses(quiet(minute, { handover: true })) }),
      "idle",
    ],
    [
      "N2 a person wants it to sleep, busy or not",
      facts({ desired: desired({ state: "suspended" }) }),
      "sleep on request",
    ],
    [
      "N2 after an abort it goes on, and tries again while it is idle",
      facts({
        progress: progresses(quiet(minute, { epoch: checkpointId(2) })),
        head: { consecutiveAborts: 1, nextCheckpointId: checkpointId(3) },
      }),
      "idle",
    ],
    [
      "N2 after an abort, awake again: what was cut is a change",
      facts({
        progress: progresses(progress({ epoch: checkpointId(2) })),
        head: { consecutiveAborts: 1, nextCheckpointId: checkpointId(3) },
      }),
      "interval",
    ],
    [
      "N2 R2 triggered while one is pending: never",
      facts({ progress: progresses(quiet(minute)), head: { pending: pending() } }),
      nothing,
    ],
    [
      "N2 while it suspends: never",
      facts({ progress: progresses(quiet(minute)), head: { status: "suspending" } }),
      nothing,
    ],
  ]);

  it("N2 it never sleeps where nobody said so", () => {
    expect(decide(facts({ progress: progresses(quiet(24 * 60 * minute)) }), awake)).toEqual(nothing);
    expect(awake.settings.suspendAfter).toBeNull();
  });
});

describe("N2 the time that the checkpoints carry on", () => {
  const before = manifest({ tasks: [reflects(10)] });
  const cut = ago(900);
  it.each([
    ["nothing came, and it was idle before", ago(minute), before, [reflects(10)], ago(minute)],
    ["nothing came, but it was not idle before", null, before, [reflects(10)], cut],
    ["a record came, and all is read again", ago(minute), before, [reflects(11)], cut],
    ["it is the first checkpoint", null, null, [reflects(0)], cut],
    ["it is not idle", ago(minute), before, [{ ...reflects(10), idle: false }], null],
    ["one of two tasks is not idle", ago(minute), before, [reflects(5), { ...reflects(5), idle: false }], null],
    ["records moved from task to task, and none came", ago(minute), before, [reflects(4), reflects(6)], ago(minute)],
  ] as const)("N2 %s", (_, since, previous, acks, expected) => {
    expect(idleAfter(since, previous, acks)).toBe(expected);
  });
});

describe("N3 asleep", () => {
  const asleep = { status: "suspended", endedAt: ago(5) } as const;
  const found = (finding: Finding, over = {}) => ({ look: { checkpoint: ref(1), found: finding }, ...over });
  const woken: Decision = { kind: "open", reason: "wake", origin: ref(1), failure: null };
  const look: Decision = { kind: "look", checkpoint: ref(1) };
  const lost = { kind: "lost", message: "shard 7 is past the retention" } as const;
  const full = { since: ago(1_000), count: openingsPerHourMax };
  check([
    ["N3 the shards are looked at", facts({ head: asleep }), look],
    [
      "N3 records: it wakes from the checkpoint with which it went to sleep, without a failure",
      facts({ head: asleep, ...found({ kind: "news" }) }),
      woken,
    ],
    ["N3 nothing new: it sleeps on", facts({ head: asleep, ...found({ kind: "quiet" }) }), nothing],
    [
      "N3 P1 what came may be gone: it fails with that message",
      facts({ head: asleep, ...found(lost) }),
      { kind: "fail", failure: failure({ at: now, task: null, kind: "invalid", message: lost.message }) },
    ],
    [
      "N3 what was found behind another checkpoint's positions says nothing of these",
      facts({ head: asleep, look: { checkpoint: ref(2), found: { kind: "news" } } }),
      look,
    ],
    [
      "N3 its time has come: it wakes without a look",
      facts({ head: asleep, completed: manifest({ wakeAt: now }) }),
      woken,
    ],
    [
      "N3 its time is to come, and records are there",
      facts({ head: asleep, completed: manifest({ wakeAt: millis(now + 5) }), ...found({ kind: "news" }) }),
      woken,
    ],
    [
      "N3 nobody is invoked, whatever the leases say",
      facts({ head: asleep, leases: leases({ kind: "free", since: millis(0) }), ...found({ kind: "quiet" }) }),
      nothing,
    ],
    [
      "N3 a failure of a session that is long over is nobody's",
      facts({
        head: asleep,
        leases: leases({ kind: "failed", session: sessionId("s1"), failure: "bug", message: "x" }),
        ...found({ kind: "quiet" }),
      }),
      nothing,
    ],
    [
      "N3 a stop needs no session: all is committed",
      facts({ head: asleep, desired: desired({ state: "stopped" }) }),
      { kind: "settle", status: "stopped" },
    ],
    [
      "N3 who wants it to sleep is not woken by records",
      facts({ head: asleep, desired: desired({ state: "suspended" }), ...found({ kind: "news" }) }),
      nothing,
    ],
    [
      "N3 R4 a start by a person wakes at once",
      facts({ head: asleep, desired: desired({ request: request({ id: "r2" }) }) }),
      { kind: "open", reason: "start", origin: ref(1), failure: null },
    ],
    [
      "N3 P4 code of another version than desired neither looks nor wakes",
      facts({ head: asleep, desired: desired({ code: deployed("8") }) }),
      nothing,
    ],
    [
      "N3 it wakes again and again: it fails with that cause",
      facts({ head: { ...asleep, openings: full }, ...found({ kind: "news" }) }),
      {
        kind: "fail",
        failure: failure({ at: now, task: null, kind: "limit", message: expect.stringContaining("3600 generations") }),
      },
    ],
  ]);

  it("N3 a time to wake is waited for where it is near", () => {
    const wakeAt = millis(now + 5);
    const given = facts({ head: asleep, completed: manifest({ wakeAt }), ...found({ kind: "quiet" }) });
    expect(lookAgainAt(decide(given, me))).toBe(wakeAt);
  });
});
