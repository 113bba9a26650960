import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  abort,
  complete,
  createHead,
  fail,
  openGeneration,
  sameRef,
  settle,
  trigger,
} from "../../lib/checkpoint/transitions.js";
import { failuresMax, type Head } from "../../lib/model/head.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { ago, failure, head, incarnation, now, pending, ref } from "./checkpoint-samples.js";

const opening = (origin: ReturnType<typeof ref> | null, over = {}) => ({
  generationRecord: sha256("next"),
  reason: "start" as const,
  origin,
  now,
  failure: null,
  ...over,
});

describe("R1 the commit point", () => {
  const before = head({ pending: pending(), consecutiveAborts: 2, completed: ref(1) });

  it("R1 moves completed, clears pending and the aborts in a row", () => {
    const after = complete(before, ref(2), now, null);
    expect(after).toEqual({
      ...before,
      pending: null,
      settledAt: now,
      consecutiveAborts: 0,
      idleSince: null,
      completed: ref(2),
      status: "running",
    });
  });

  it.each([
    ["another generation", head({ pending: pending(), generation: generation(2) }), ref(2)],
    ["another checkpoint is pending", head({ pending: pending({ checkpointId: checkpointId(3) }) }), ref(2)],
    ["nothing is pending: it was aborted", abort(before, now), ref(2)],
    ["it is complete already", complete(before, ref(2), now, null) ?? before, ref(2)],
  ] as const)("R1 its condition does not hold: %s", (_, given, name) => {
    expect(complete(given, name, now, null)).toBeNull();
  });

  it.each([
    ["continue", "running"],
    ["suspend", "suspending"],
    ["stop", "stopping"],
    ["finish", "finishing"],
  ] as const)("R1 after %s the status is %s", (andThen, status) => {
    expect(complete(head({ pending: pending({ andThen }) }), ref(2), now, null)?.status).toBe(status);
  });

  it("R1 a checkpoint is completed or aborted, never both", () => {
    const completed = complete(before, ref(2), now, null);
    expect(completed).not.toBeNull();
    expect(() => abort(completed ?? before, now)).toThrow("nothing to abort");
    expect(complete(abort(before, now), ref(2), now, null)).toBeNull();
  });

  it("B5 an abort keeps what is complete and counts", () => {
    expect(abort(before, now)).toEqual({ ...before, pending: null, settledAt: now, consecutiveAborts: 3 });
  });
});

describe("R2 the fence", () => {
  const before = head({
    pending: pending(),
    completed: ref(4),
    status: "stopping",
    consecutiveAborts: 2,
    endedAt: now,
  });

  it("R2 opens the next generation: nothing pending, completed is the origin, running", () => {
    const after = openGeneration(before, opening(ref(4)));
    expect(after).toEqual({
      ...before,
      generation: 2,
      generationRecord: sha256("next"),
      openedAt: now,
      openings: { since: now, count: 1 },
      settledAt: now,
      origin: ref(4),
      completed: ref(4),
      pending: null,
      endedAt: null,
      status: "running",
      consecutiveAborts: 0,
    });
  });

  it("R2 what was pending never completes after it", () => {
    expect(complete(openGeneration(before, opening(ref(4))), ref(2), now, null)).toBeNull();
  });

  it("R2 R7 the tip goes to left only where the origin is another", () => {
    expect(openGeneration(before, opening(ref(4))).left).toEqual([]);
    expect(openGeneration(before, opening(ref(2))).left).toEqual([ref(4)]);
    expect(openGeneration(before, opening(null)).left).toEqual([ref(4)]);
    expect(openGeneration(head({ completed: null }), opening(null)).left).toEqual([]);
    const twice = openGeneration(openGeneration(before, opening(ref(2))), opening(ref(1)));
    expect(twice.left).toEqual([ref(4), ref(2)]);
  });

  it("R2 checkpoint ids go on: none is used again", () => {
    expect(openGeneration(before, opening(ref(4))).nextCheckpointId).toBe(before.nextCheckpointId);
  });

  it("R2 the failure that caused it is kept, the oldest of too many are not", () => {
    const many = Array.from({ length: failuresMax }, (_, i) => failure({ message: `${i}` }));
    const after = openGeneration(head({ failures: many }), opening(ref(1), { failure: failure({ message: "new" }) }));
    expect(after.failures).toHaveLength(failuresMax);
    expect(after.failures.at(0)?.message).toBe("1");
    expect(after.failures.at(-1)?.message).toBe("new");
  });

  it("R4 a life that a person begins has no failures yet", () => {
    expect(openGeneration(head({ failures: [failure()] }), opening(ref(1))).failures).toEqual([]);
  });

  it("R2 the first head: generation 1, from nothing", () => {
    expect(createHead(incarnation, opening(null))).toMatchObject({
      generation: 1,
      origin: null,
      completed: null,
      pending: null,
      nextCheckpointId: 1,
      status: "running",
    });
  });
});

describe("B1 the trigger", () => {
  it("B1 sets pending, uses up the id, notes the time", () => {
    const asked = pending({ triggeredAt: ago(3) });
    expect(trigger(head(), asked)).toEqual({
      ...head(),
      pending: asked,
      nextCheckpointId: 3,
      lastTriggeredAt: ago(3),
    });
  });

  it.each([
    ["a checkpoint is pending", head({ pending: pending() }), pending()],
    ["it does not run", head({ status: "suspending" }), pending()],
    ["an id that was used", head(), pending({ checkpointId: checkpointId(1) })],
    ["an id that is skipped", head(), pending({ checkpointId: checkpointId(3) })],
  ] as const)("B1 refuses: %s", (_, given, asked) => {
    expect(() => trigger(given, asked)).toThrow("B1");
  });
});

it("C3 settled: the status, and since when", () => {
  expect(settle(head({ status: "stopping" }), "stopped", now)).toEqual(head({ status: "stopped", endedAt: now }));
});

it("R4 a pipeline that failed rests with its cause; what is complete stays so, what was pending never completes", () => {
  const after = fail(head({ pending: pending() }), failure(), now);
  expect(after).toEqual(head({ status: "failed", pending: null, endedAt: now, failures: [failure()] }));
  expect(complete(after, ref(2), now, null)).toBeNull();
});

it("R6 references are the same where all their parts are", () => {
  expect(sameRef(null, null)).toBe(true);
  expect(sameRef(ref(1), ref(1))).toBe(true);
  expect(sameRef(ref(1), null)).toBe(false);
  expect(sameRef(null, ref(1))).toBe(false);
  expect(sameRef(ref(1), ref(2))).toBe(false);
  expect(sameRef(ref(1), ref(1, 2))).toBe(false);
  expect(sameRef(ref(1), { ...ref(1), sha256: sha256("other") })).toBe(false);
});

type Act = "trigger" | "complete" | "completeOld" | "abort" | "open" | "replay" | "fail";

/** One step as a coordinator takes it: only what the head as read allows. */
function step(at: Head, act: Act, triggered: number[], ends: Map<number, string[]>): Head {
  const end = (id: number, how: string) => ends.set(id, [...(ends.get(id) ?? []), how]);
  switch (act) {
    case "trigger": {
      if (at.pending !== null || at.status !== "running") return at;
      triggered.push(at.nextCheckpointId);
      return trigger(at, pending({ checkpointId: at.nextCheckpointId }));
    }
    case "complete":
    case "completeOld": {
      const id = act === "complete" ? (at.pending?.checkpointId ?? 0) : (triggered.at(-2) ?? 0);
      const after = complete(at, ref(id, at.generation), now, null);
      if (after !== null) end(id, "completed");
      return after ?? at;
    }
    case "abort":
      if (at.pending === null) return at;
      end(at.pending.checkpointId, "aborted");
      return abort(at, now);
    case "open":
    case "replay":
      return openGeneration(at, opening(act === "open" ? at.completed : ref(0)));
    case "fail":
      return fail(at, failure(), millis(now));
  }
}

it("R1 R2 in any history an id is triggered once and ends at most once, one way", () => {
  const acts = fc.array(
    fc.constantFrom<Act[]>("trigger", "trigger", "complete", "completeOld", "abort", "open", "replay", "fail"),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(acts, (history) => {
      const triggered: number[] = [];
      const ends = new Map<number, string[]>();
      let at = createHead(incarnation, opening(null));
      for (const act of history) at = step(at, act, triggered, ends);
      expect(triggered).toEqual([...new Set(triggered)].sort((a, b) => a - b));
      for (const how of ends.values()) expect(how).toHaveLength(1);
      expect(triggered.every((id) => id < at.nextCheckpointId)).toBe(true);
    }),
  );
});
