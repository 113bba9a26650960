import { describe, expect, it } from "vitest";
import type { Head } from "../../lib/model/head.js";
import { checkpointId } from "../../lib/model/ids.js";
import { afterCut, afterHead, type EndingFacts, ending, firstPhase, type Phase } from "../../lib/runtime/phase.js";
import { head, pending, ref } from "./checkpoint-samples.js";

const running: Phase = { kind: "running" };
const leaving: Phase = { kind: "leaving", checkpointId: checkpointId(2) };
const waiting: Phase = { kind: "waiting", checkpointId: checkpointId(2) };
const two = checkpointId(2);

describe("after the cut", () => {
  const ends = ["suspend", "stop", "finish"] as const;
  it.each(ends)("C3 for a checkpoint after which it is to %s the session waits, whatever its time", (andThen) => {
    for (const remaining of [1_000_000, 10, 0]) {
      expect(afterCut(pending({ andThen }), { remaining, reserve: 90 })).toEqual(waiting);
    }
  });

  it.each([
    ["its time is long", 181, running],
    ["twice the reserve: it ends at the same cut as the others", 180, leaving],
    ["its reserve has begun", 90, leaving],
    ["its time is up", -1, leaving],
  ] as const)("N1 %s", (_, remaining, expected) => {
    expect(afterCut(pending(), { remaining, reserve: 90 })).toEqual(expected);
  });
});

describe("after a look at the head", () => {
  const stopping = pending({ andThen: "stop" });
  const completed = ref(2);
  const look = (phase: Phase, over: Partial<Head>) => afterHead(phase, head(over));

  const rows: readonly (readonly [string, Phase, Partial<Head>, Phase])[] = [
    ["C3 waits while it is pending", waiting, { pending: stopping }, waiting],
    ["C3 waits on when it is complete, to commit", waiting, { completed, status: "stopping" }, waiting],
    ["C3 waits on while it suspends", waiting, { completed, status: "suspending" }, waiting],
    ["C3 goes on after the abort", waiting, {}, running],
    [
      "C3 goes on where the next one is pending already",
      waiting,
      { pending: pending({ checkpointId: checkpointId(3), andThen: "stop" }) },
      running,
    ],
    ["N1 one that leaves begins nothing, though its checkpoint was aborted", leaving, {}, leaving],
    ["N1 one that leaves begins nothing, though its checkpoint is complete", leaving, { completed }, leaving],
    [
      "N1 one that runs goes on, whatever is pending: only its own cut ends it",
      running,
      { pending: stopping },
      running,
    ],
    ["N1 one that runs goes on", running, { completed }, running],
  ];
  it.each(rows)("%s", (_, phase, over, expected) => {
    expect(look(phase, over)).toEqual(expected);
  });
});

describe("a successor begins", () => {
  const begin = (over: Partial<Head>) => firstPhase(head(over), two);

  it("C3 waiting, where its ack is of a pending checkpoint that is to end the pipeline", () => {
    expect(begin({ pending: pending({ andThen: "suspend" }) })).toEqual(waiting);
  });
  it("C3 waiting, where that checkpoint completed meanwhile: it has to commit", () => {
    expect(begin({ completed: ref(2), status: "finishing" })).toEqual(waiting);
  });
  it("C3 running, where that checkpoint was aborted", () => {
    expect(begin({})).toEqual(running);
  });
  it("N1 running, where its ack is of a checkpoint after which all goes on", () => {
    expect(begin({ pending: pending() })).toEqual(running);
    expect(begin({ completed: ref(2) })).toEqual(running);
  });
  it("C3 running, where another checkpoint is to end the pipeline: it has not cut for that", () => {
    expect(begin({ pending: pending({ checkpointId: checkpointId(3), andThen: "stop" }) })).toEqual(running);
  });
  it("R2 running, where it is no hand-over but a restore: a new generation is running", () => {
    expect(firstPhase(head({ completed: ref(2), origin: ref(2) }), null)).toEqual(running);
    expect(firstPhase(head({ pending: pending({ andThen: "stop" }) }), null)).toEqual(running);
  });
});

describe("the end of a session", () => {
  const facts = (over: Partial<EndingFacts> = {}): EndingFacts => ({
    acked: two,
    completed: checkpointId(1),
    uncommitted: false,
    busy: false,
    remaining: 1_000,
    reserve: 90,
    ...over,
  });
  const handover = { kind: "handover", ack: 2 };
  const done = { kind: "done", ack: 2, committed: 2 };
  const complete = { completed: two };

  const rows: readonly (readonly [string, Phase, EndingFacts, unknown])[] = [
    ["N1 one that runs does not end, though its time is up: that is a failure", running, facts({ remaining: 0 }), null],
    ["N1 one that leaves hands on its ack, which is still pending", leaving, facts(), handover],
    ["N1 one that leaves hands on its ack, which is complete", leaving, facts(complete), handover],
    ["N1 not before its ack is durable (B3)", leaving, facts({ acked: checkpointId(1) }), null],
    ["N4 not while an ack or a commit is under way", leaving, facts({ busy: true }), null],
    ["C3 one that waits does so while the checkpoint is pending", waiting, facts(), null],
    ["C3 without committables too", waiting, facts({ uncommitted: false }), null],
    ["C3 when it is complete and all is committed, it is done", waiting, facts(complete), done],
    ["C3 complete, but not all is committed", waiting, facts({ ...complete, uncommitted: true }), null],
    ["C3 complete, but a commit is under way", waiting, facts({ ...complete, busy: true }), null],
    [
      "C3 complete, but its own ack is not known to be durable",
      waiting,
      facts({ ...complete, acked: checkpointId(1) }),
      null,
    ],
    ["N1 C3 before its time is up it hands on its ack", waiting, facts({ remaining: 45 }), handover],
    ["N1 C3 a little earlier it still waits", waiting, facts({ remaining: 46 }), null],
    [
      "N1 C3 what is not committed by then is the successor's",
      waiting,
      facts({ ...complete, uncommitted: true, remaining: 45 }),
      handover,
    ],
    ["C3 done goes before handing over", waiting, facts({ ...complete, remaining: 0 }), done],
  ];
  it.each(rows)("%s", (_, phase, given, expected) => {
    expect(ending(phase, given)).toEqual(expected);
  });
});
