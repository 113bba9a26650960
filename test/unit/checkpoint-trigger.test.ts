import { describe, expect, it } from "vitest";
import { decide } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import { uncommittedMax } from "../../lib/checkpoint/triggers.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";
import type { ShardEntry, SourceTable } from "../../lib/model/shards.js";
import { planSettings } from "../../lib/pipeline/options.js";
import {
  ack,
  ago,
  desired,
  facts,
  held,
  leases,
  manifest,
  me,
  now,
  pending,
  progress,
  progresses,
  record,
  settings,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";

type Triggered = "nothing" | readonly [reason: string, andThen: string];
type Row = readonly [name: string, facts: Facts, expected: Triggered];

function triggered(given: Facts): Triggered {
  const decision = decide(given, me);
  if (decision.kind !== "trigger") return decision.kind === "nothing" ? "nothing" : [decision.kind, ""];
  return [decision.pending.reason, decision.pending.andThen];
}

const check = (rows: readonly Row[]) =>
  it.each(rows)("%s", (_, given, expected) => {
    expect(triggered(given)).toEqual(expected);
  });

const shard = (shardId: string, parents: readonly string[], at: ShardEntry["at"]): ShardEntry => ({
  shardId,
  parents,
  hashKeys: ["0", "9"],
  at,
});
const end: ShardEntry["at"] = { kind: "finished", generation: generation(1), producer: 0, sent: {}, readTo: ago(5) };
const closed: SourceTable = {
  streamArn: "arn",
  createdAt: ago(9),
  start: "horizon",
  shards: [shard("p", [], end)],
};
const child = shard("l", ["p"], { kind: "open", position: { kind: "beginning", readTo: ago(5) } });
const reading = (source: string) => ack({ checkpointId: checkpointId(1), positions: { [source]: [] } });
const changed = progresses(progress({ changed: true }));
const byInterval = ["interval", "continue"] as const;
const justTriggered = { lastTriggeredAt: ago(1) };
const two = record({ stages: twoTasks });

describe("the interval", () => {
  check([
    ["B1 the interval has passed and something changed", facts({ progress: changed }), byInterval],
    ["B1 nothing changed", facts(), "nothing"],
    [
      "B1 something changed, a millisecond before the interval has passed",
      facts({ progress: changed, head: { lastTriggeredAt: ago(settings.interval - 1) } }),
      "nothing",
    ],
    [
      "B1 exactly the interval",
      facts({ progress: changed, head: { lastTriggeredAt: ago(settings.interval) } }),
      byInterval,
    ],
    ["B1 a checkpoint is pending", facts({ progress: changed, head: { pending: pending() } }), "nothing"],
    [
      "B1 uncommitted output of two completed checkpoints",
      facts({ progress: progresses(progress({ changed: true, uncommitted: uncommittedMax })) }),
      byInterval,
    ],
    [
      "B1 uncommitted output of more than two",
      facts({ progress: progresses(progress({ changed: true, uncommitted: uncommittedMax + 1 })) }),
      "nothing",
    ],
    [
      "B1 one of two tasks has changed, the other is behind with commits",
      facts({
        record: two,
        leases: leases(held(), held()),
        progress: progresses(progress({ changed: true }), progress({ task: task1, uncommitted: uncommittedMax + 1 })),
      }),
      "nothing",
    ],
    [
      "B1 the other task alone has changed",
      facts({
        record: two,
        leases: leases(held(), held()),
        progress: progresses(progress(), progress({ task: task1, changed: true })),
      }),
      byInterval,
    ],
    ["B1 nobody has said how far it is", facts({ progress: new Map() }), "nothing"],
    [
      "B1 B5 what was cut for an aborted checkpoint is a change, though no record came since",
      facts({
        progress: progresses(progress({ epoch: checkpointId(2) })),
        head: { nextCheckpointId: checkpointId(3) },
      }),
      byInterval,
    ],
    [
      "B1 B5 the same before the first completed checkpoint",
      facts({ head: { completed: null, nextCheckpointId: checkpointId(2) }, completed: null }),
      byInterval,
    ],
    [
      "B1 K3 a shard is finished and its children are not in: another checkpoint may let them in",
      facts({ completed: manifest({ shards: { flights: closed }, tasks: [reading("flights")] }) }),
      byInterval,
    ],
    [
      "B1 K3 the same of a source that the plan no longer has: nobody reads it, and no checkpoint helps",
      facts({ completed: manifest({ shards: { flights: closed }, tasks: [reading("weather")] }) }),
      "nothing",
    ],
    [
      "B1 K3 a shard is finished and a child is in",
      facts({
        completed: manifest({
          shards: { flights: { ...closed, shards: [...closed.shards, child] } },
          tasks: [reading("flights")],
        }),
      }),
      "nothing",
    ],
    [
      "B1 a generation that begins from no checkpoint has cut for none",
      facts({ head: { completed: null }, completed: null, progress: progresses(progress({ epoch: checkpointId(0) })) }),
      "nothing",
    ],
  ]);
});

describe("whether or not anything changed", () => {
  const handover = progresses(progress({ handover: true }));
  const ended = progresses(progress({ sourcesFinished: true }));
  const stopped = desired({ state: "stopped" });
  check([
    [
      "B1 a session must hand over: at once, though nothing changed",
      facts({ progress: handover, head: justTriggered }),
      ["handover", "continue"],
    ],
    [
      "B1 a session must hand over, with uncommitted output",
      facts({ progress: progresses(progress({ handover: true, uncommitted: uncommittedMax + 1 })) }),
      ["handover", "continue"],
    ],
    ["B1 the pipeline is to stop", facts({ desired: stopped, head: justTriggered }), ["user", "stop"]],
    [
      "B1 it is to stop and a session must hand over: one checkpoint for both",
      facts({ desired: stopped, progress: handover }),
      ["user", "stop"],
    ],
    [
      "N1 B1 it is to stop, the stop was aborted, and a session must hand over: first it hands over",
      facts({ desired: stopped, progress: handover, head: { consecutiveAborts: 1 } }),
      ["handover", "continue"],
    ],
    [
      "N1 B1 it is to stop, the stop was aborted, and nobody must hand over",
      facts({ desired: stopped, head: { consecutiveAborts: 1 } }),
      ["user", "stop"],
    ],
    [
      "N1 B1 it is to sleep, that was aborted, and a session must hand over",
      facts({ desired: desired({ state: "suspended" }), progress: handover, head: { consecutiveAborts: 1 } }),
      ["handover", "continue"],
    ],
    [
      "N1 B1 all sources are finished, the last checkpoint was aborted, and a session must hand over",
      facts({
        progress: progresses(progress({ sourcesFinished: true, handover: true })),
        head: { consecutiveAborts: 1 },
      }),
      ["handover", "continue"],
    ],
    ["B1 all sources are finished", facts({ progress: ended, head: justTriggered }), ["end", "finish"]],
    [
      "B1 the sources of one of two tasks are finished",
      facts({
        record: two,
        leases: leases(held(), held()),
        progress: progresses(progress({ sourcesFinished: true }), progress({ task: task1 })),
      }),
      "nothing",
    ],
    [
      "B1 one of two tasks is finished, of the other nothing is known",
      facts({ record: two, leases: leases(held(), held()), progress: ended }),
      "nothing",
    ],
    [
      "B1 R2 after a failure the stop that was under way is triggered again",
      facts({ desired: stopped, head: { ...justTriggered, failures: [] } }),
      ["user", "stop"],
    ],
    [
      "B1 no session holds the lease to hand over",
      facts({ leases: leases(null), progress: handover, head: { openedAt: now } }),
      "nothing",
    ],
    [
      "B1 the lease is free between two sessions",
      facts({ leases: leases({ kind: "free", since: ago(5) }), desired: stopped }),
      "nothing",
    ],
    [
      "B1 one of two leases is held",
      facts({ record: two, leases: leases(held(), { kind: "free", since: ago(5) }), desired: stopped }),
      "nothing",
    ],
  ]);

  it.each(["suspending", "stopping", "finishing"] as const)(
    "C3 B1 nothing is triggered while the status is %s",
    (status) => {
      const all = progress({ changed: true, handover: true, sourcesFinished: true });
      expect(triggered(facts({ head: { status }, desired: stopped, progress: progresses(all) }))).toBe("nothing");
    },
  );
});

it("B1 what is triggered: the next id, now, by the options", () => {
  const decision = decide(facts({ progress: changed, head: { nextCheckpointId: checkpointId(17) } }), me);
  expect(decision).toEqual({
    kind: "trigger",
    pending: {
      checkpointId: 17,
      savepoint: null,
      andThen: "continue",
      alignment: "unaligned",
      reason: "interval",
      triggeredAt: now,
    },
  });
});

describe("N1 B2 a savepoint is aligned", () => {
  const given = (consecutiveAborts: number) =>
    decide(
      facts({
        record: two,
        leases: leases(held(), held()),
        progress: progresses(progress({ handover: true }), progress({ task: task1 })),
        desired: desired({ savepoint: { id: "w", name: "june" } }),
        head: { consecutiveAborts },
      }),
      me,
    );

  it("N1 B2 one checkpoint is both, the savepoint and the hand-over", () => {
    const pending = { reason: "handover", alignment: "aligned", savepoint: { name: "june" } };
    expect(given(0)).toMatchObject({ kind: "trigger", pending });
  });

  it("N1 B2 where it was aborted a session that must hand over does so first, unaligned", () => {
    const pending = { reason: "handover", andThen: "continue", alignment: "unaligned", savepoint: null };
    expect(given(1)).toMatchObject({ kind: "trigger", pending });
  });
});

it("B1 a pause counts from the end of the last checkpoint", () => {
  const slow = { ...me, settings: planSettings("p", { checkpoint: { interval: "10s", minPause: "60s" } }) };
  const at = (length: number) =>
    decide(facts({ progress: changed, head: { lastTriggeredAt: ago(length + 5_000), settledAt: ago(length) } }), slow)
      .kind;
  expect([at(59_999), at(60_000)]).toEqual(["nothing", "trigger"]);
  expect(millis(60_000)).toBe(slow.settings.minPause);
});
