import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import { type Decision, decide } from "../../lib/checkpoint/decide.js";
import { claimLease, noteFailure, releaseLease } from "../../lib/checkpoint/lease.js";
import { countOne, openingsPerHourMax, sessionsPerHourMax } from "../../lib/checkpoint/limits.js";
import * as stored from "../../lib/checkpoint/store.js";
import { openGeneration } from "../../lib/checkpoint/transitions.js";
import { wishRunning } from "../../lib/checkpoint/wishes.js";
import type { Head, HourCount, Lease } from "../../lib/model/head.js";
import { checkpointId, millis, sessionId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { started } from "./checkpoint-cloud.js";
import {
  ago,
  desired,
  facts,
  failure,
  head,
  held,
  lease,
  me,
  now,
  ref,
  request,
  task0,
  version,
} from "./checkpoint-samples.js";

const hour = 3_600_000;
const counted = (count: number, since = ago(1_000)): HourCount => ({ since, count });

describe("R4 what is counted in an hour", () => {
  it.each([
    ["the first", null, { since: now, count: 1 }],
    ["one more", counted(5), { since: ago(1_000), count: 6 }],
    ["a millisecond before the hour is over", counted(5, ago(hour - 1)), { since: ago(hour - 1), count: 6 }],
    ["when it is over a new count begins", counted(5, ago(hour)), { since: now, count: 1 }],
  ] as const)("R4 %s", (_, before, expected) => {
    expect(countOne(before, now)).toEqual(expected);
  });

  it.each([
    ["failure", failure(), 8],
    ["wake", null, 8],
    ["start", null, 1],
    ["replay", null, 1],
  ] as const)("R4 the opening of a generation by %s", (reason, why, count) => {
    const opening = { generationRecord: sha256("next"), reason, origin: ref(1), now, failure: why };
    expect(openGeneration(head({ openings: counted(7) }), opening).openings.count).toBe(count);
  });
});

const failing = (over: Partial<Head>): Decision =>
  decide(
    facts({
      head: over,
      leases: new Map([
        [
          task0,
          { version: 3, value: lease({ kind: "failed", session: sessionId("s1"), failure: "bug", message: "broke" }) },
        ],
      ]),
    }),
    me,
  );
const running = (sessions: HourCount, over: Partial<Parameters<typeof facts>[0]> = {}): Decision =>
  decide(facts({ leases: new Map([[task0, { version: 3, value: lease(held(), { sessions }) }]]), ...over }), me);

describe("R4 limits of what happens without a person", () => {
  it("R4 generations that fail and are opened again and again: the pipeline fails, with both causes", () => {
    expect(failing({ openings: counted(openingsPerHourMax - 1) }).kind).toBe("open");
    const decision = failing({ openings: counted(openingsPerHourMax) });
    expect(decision).toMatchObject({ kind: "fail", failure: { kind: "limit", task: task0, at: now } });
    const message = decision.kind === "fail" ? decision.failure.message : "";
    for (const part of ["3600 generations", "an hour", "broke"]) expect(message).toContain(part);
  });

  it("R4 an hour later they count no more", () => {
    expect(failing({ openings: counted(openingsPerHourMax, ago(hour - 1)) }).kind).toBe("fail");
    expect(failing({ openings: counted(openingsPerHourMax, ago(hour)) }).kind).toBe("open");
  });

  it("R4 sessions that follow each other without end: the pipeline fails, and says what to change", () => {
    expect(running(counted(sessionsPerHourMax - 1))).toEqual({ kind: "nothing", until: null });
    const decision = running(counted(sessionsPerHourMax));
    expect(decision).toMatchObject({ kind: "fail", failure: { kind: "limit" } });
    expect(decision.kind === "fail" && decision.failure.message).toMatch(/3600 sessions of task .* longer timeout/);
    expect(running(counted(sessionsPerHourMax, ago(hour)))).toEqual({ kind: "nothing", until: null });
  });

  it("R4 a person's start begins anew, whatever was counted", () => {
    const again = desired({ request: request({ id: "r2" }) });
    const full = { openings: counted(openingsPerHourMax) };
    expect(running(counted(sessionsPerHourMax), { head: full, desired: again })).toMatchObject({
      kind: "open",
      reason: "start",
    });
    const rests = { ...full, status: "failed", endedAt: ago(5) } as const;
    expect(decide(facts({ head: rests, desired: again }), me)).toMatchObject({ kind: "open", reason: "start" });
  });

  it("R4 they are far above what a pipeline does whose processes are killed every other second", () => {
    expect(Math.min(openingsPerHourMax, sessionsPerHourMax)).toBeGreaterThanOrEqual((2 * hour) / 2_000);
  });
});

describe("R4 sessions are counted in their lease", () => {
  it("R4 by each that takes it, over hand-overs, and anew in the next generation", async () => {
    const at = await started();
    const leaseOf = async (): Promise<Lease | undefined> => {
      const { incarnation, generation } = await at.head();
      return (await stored.readLease(at.store, incarnation, generation, task0))?.value;
    };
    const since = at.clock.now();
    expect((await leaseOf())?.sessions).toEqual({ since, count: 1 });
    let { claim } = at;
    for (let handovers = 1; handovers <= 3; handovers++) {
      at.clock.pass(1_000);
      const released = await releaseLease(at.store, claim, at.invocation, {
        kind: "handover",
        ack: checkpointId(handovers),
      });
      if (released.kind === "lost") throw new Error("lost");
      const claimant = {
        session: sessionId(`n${handovers}`),
        requestId: "q",
        functionVersion: version,
        deadline: millis(9e9),
      };
      const next = await claimLease(at.store, { ...at.invocation, leaseVersion: released.version }, claimant);
      if (next.kind === "refused") throw new Error(next.why);
      claim = next.claim;
      expect((await leaseOf())?.sessions).toEqual({ since, count: handovers + 1 });
    }
    const found = await stored.readLease(at.store, at.invocation.incarnation, at.invocation.generation, task0);
    await noteFailure(at.store, await at.head(), failure(), found);
    expect((await leaseOf())?.sessions).toEqual({ since, count: 4 });
    await wishRunning(at.store, { functionVersion: version, fingerprint: sha256("plan") }, "r2");
    await coordinate(at.coordinator(), [], null);
    expect(await leaseOf()).toBeUndefined();
  });
});
