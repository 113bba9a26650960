// What the supervisor measures, as alarms rely on it.
import { describe, expect, it } from "vitest";
import { taskId } from "../../lib/model/ids.js";
import { measuresOf } from "../../lib/runtime/measures.js";
import { ago, facts, failure, manifest, pending, progress, progresses, record } from "../unit/checkpoint-samples.js";

const hour = 3_600_000;

describe("the age of the last checkpoint", () => {
  it("B1 is 0 where nothing changed: no checkpoint is due", () => {
    expect(measuresOf(facts({ progress: progresses(progress({ changed: false })) }))).toMatchObject({
      lastCheckpointAge: 0,
    });
  });

  it("counts from the trigger of the complete one, where something waits for the next", () => {
    const completed = manifest({ triggeredAt: ago(90_000) });
    const changed = facts({ completed, progress: progresses(progress({ changed: true })) });
    expect(measuresOf(changed)).toMatchObject({ lastCheckpointAge: 90_000 });
    expect(measuresOf(facts({ completed, head: { pending: pending() } }))).toMatchObject({ lastCheckpointAge: 90_000 });
  });

  it("counts from the opening, where there is none", () => {
    const first = facts({ completed: null, head: { completed: null, openedAt: ago(7_000), pending: pending() } });
    expect(measuresOf(first)).toMatchObject({ lastCheckpointAge: 7_000 });
  });

  it.each([
    ["stopped", { status: "stopped", endedAt: ago(1) }],
    ["failed", { status: "failed", endedAt: ago(1) }],
    ["asleep", { status: "suspended" }],
  ] as const)("is unknown of a pipeline that is %s", (_, head) => {
    expect(measuresOf(facts({ head: { ...head, pending: pending() } }))).not.toHaveProperty("lastCheckpointAge");
  });
});

describe("what was read", () => {
  const stages = [
    { name: "sources", tasks: 2, operators: [] },
    { name: "count", tasks: 1, operators: ["count"] },
  ];
  const told = (stage: number, index: number, behindMillis: number, records: number) =>
    progress({ task: taskId(stage, index), behindMillis, records });

  it("is that of the sources: the worst lag, and all records once", () => {
    const all = progresses(told(0, 0, 500, 10), told(0, 1, 8_000, 20), told(1, 0, 99_000, 30));
    expect(measuresOf(facts({ record: record({ stages }), progress: all }))).toMatchObject({
      millisBehindLatest: 8_000,
      numRecordsIn: 30,
    });
  });

  it("is unknown where no source has told", () => {
    const measures = measuresOf(facts({ record: record({ stages }), progress: progresses(told(1, 0, 1, 1)) }));
    expect(Object.keys(measures)).not.toContain("millisBehindLatest");
  });
});

describe("failures", () => {
  it("are those of the last hour", () => {
    const failures = [failure({ at: ago(hour + 1) }), failure({ at: ago(hour - 1) }), failure({ at: ago(5) })];
    expect(measuresOf(facts({ head: { failures } }))).toMatchObject({ numRestarts: 2, failed: 0 });
  });

  it("are final where the pipeline has given up", () => {
    expect(measuresOf(facts({ head: { status: "failed", endedAt: ago(1) } }))).toMatchObject({ failed: 1 });
  });

  it("are none of a pipeline that never ran", () => {
    expect(measuresOf(facts({ head: null, record: null, completed: null, progress: new Map() }))).toEqual({
      numRestarts: 0,
      failed: 0,
    });
  });
});
