// A session of which nothing is heard any more: what asks for the checkpoint that tells whether it lives.
import { describe, expect, it } from "vitest";
import { decide } from "../../lib/checkpoint/decide.js";
import { sessionId } from "../../lib/model/ids.js";
import { ago, facts, held, leases, me, progress, progresses, settings } from "./checkpoint-samples.js";

const silent = progress({ session: sessionId("s1"), changed: false, at: ago(settings.timeout + 1) });
const holder = held({ session: sessionId("s1") });

describe("R4 a checkpoint is triggered", () => {
  it("where the session that holds the lease has told how far it is, and says nothing for longer than a time-out", () => {
    const decision = decide(facts({ progress: progresses(silent), leases: leases(holder) }), me);
    expect(decision).toMatchObject({ kind: "trigger", pending: { reason: "interval", andThen: "continue" } });
  });
});

describe("R4 nothing is triggered", () => {
  it.each([
    ["it has said something within the time-out", { ...silent, at: ago(settings.timeout) }, holder],
    ["it restores: only its predecessor has said how far it was", silent, held({ session: sessionId("s2") })],
  ])("where %s", (_, told, lease) => {
    expect(decide(facts({ progress: progresses(told), leases: leases(lease) }), me)).toEqual({
      kind: "nothing",
      until: null,
    });
  });

  it("where the lease is free: what its session said last is of the past", () => {
    const free = { kind: "free", since: ago(1_000) } as const;
    expect(decide(facts({ progress: progresses(silent), leases: leases(free) }), me).kind).toBe("nothing");
  });
});
