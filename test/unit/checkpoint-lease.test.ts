import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Claim, type ClaimResult, claimLease, releaseLease } from "../../lib/checkpoint/lease.js";
import { readLease, swapHead, swapLease, writeGenerationRecord } from "../../lib/checkpoint/store.js";
import type { Head, Invocation, Lease } from "../../lib/model/head.js";
import { checkpointId, generation, millis, sessionId } from "../../lib/model/ids.js";
import { head, incarnation, lease, record, task0, version } from "./checkpoint-samples.js";
import { type Fate, memoryStore } from "./checkpoint-worlds.js";

const invocation = (leaseVersion = 0, over: Partial<Invocation> = {}): Invocation => ({
  pipeline: "p",
  incarnation,
  generation: generation(1),
  task: task0,
  leaseVersion,
  ...over,
});

const claimant = (name = "s1") => ({
  session: sessionId(name),
  requestId: "q1",
  functionVersion: version,
  deadline: millis(2_000_000),
});

/** A pipeline in generation 1. The fates are of the swaps after that. */
async function running(fates: readonly Fate[] = [], over: Partial<Head> = {}) {
  const world = memoryStore([...Array<Fate>(2).fill("answered"), ...fates]);
  const generationRecord = await writeGenerationRecord(world.store, record());
  await swapHead(world.store, null, head({ generationRecord, ...over }));
  const read = async () => (await readLease(world.store, incarnation, generation(1), task0)) ?? null;
  return { ...world, read, claim: (at = 0, who = "s1") => claimLease(world.store, invocation(at), claimant(who)) };
}

function heldBy(result: ClaimResult): Claim {
  if (result.kind === "held") return result.claim;
  throw new Error(`refused: ${result.why}`);
}

const handover = { kind: "handover", ack: checkpointId(2) } as const;
const ends = [
  handover,
  { kind: "done", ack: checkpointId(2), committed: checkpointId(2) },
  { kind: "failed", failure: "bug", message: "broke" },
] as const;

describe("R4 the claim", () => {
  it("R4 takes a lease that was never taken, from version 0 to 1", async () => {
    const world = await running();
    const claim = heldBy(await world.claim());
    expect(claim).toMatchObject({ version: 1, head: { generation: 1 }, record: { functionVersion: version } });
    expect(await world.read()).toEqual({ version: 1, value: claim.lease });
    expect(claim.lease).toMatchObject({ ack: null, holder: { kind: "held", session: "s1", deadline: 2_000_000 } });
  });

  it("R4 its twin, with the same event and request id, is refused, and changes nothing", async () => {
    const world = await running();
    const claim = heldBy(await world.claim(0, "s1"));
    expect(await world.claim(0, "s2")).toMatchObject({ kind: "refused" });
    expect((await world.read())?.value).toEqual(claim.lease);
  });

  it("R4 of two at the same time one holds it", async () => {
    const world = await running();
    const results = await Promise.all([world.claim(0, "s1"), world.claim(0, "s2")]);
    expect(results.map(({ kind }) => kind).sort()).toEqual(["held", "refused"]);
  });

  it("R4 R5 one that finds the lease taken since it looked does not take it from whoever holds it", async () => {
    const world = await running();
    let looked = false;
    const late = {
      ...world.store,
      registers: {
        ...world.registers,
        read: async (key: { readonly group: string; readonly name: string }) => {
          const found = await world.registers.read(key);
          if (key.name.startsWith("lease/") && !looked) {
            looked = true;
            heldBy(await world.claim(0, "s2"));
          }
          return found;
        },
      },
    };
    expect(await claimLease(late, invocation(), claimant("s1"))).toMatchObject({ kind: "refused" });
    expect(await world.read()).toMatchObject({ version: 1, value: { holder: { session: "s2" } } });
  });

  it("R4 N1 the successor takes over the ack that was left", async () => {
    const world = await running();
    const released = await releaseLease(world.store, heldBy(await world.claim()), invocation(), handover);
    expect(released).toEqual({ kind: "released", version: 2 });
    expect(heldBy(await world.claim(2, "s2"))).toMatchObject({ version: 3, lease: { ack: 2 } });
  });

  it.each(ends.slice(1))("C3 R4 a lease that is $kind is taken by nobody", async (end) => {
    const world = await running();
    await releaseLease(world.store, heldBy(await world.claim()), invocation(), end);
    expect(await world.claim(2, "s2")).toEqual({ kind: "refused", why: "the lease is not free" });
  });

  it.each([
    ["R2 another generation", invocation(0, { generation: generation(2) }), {}],
    ["R2 another incarnation", invocation(0, { incarnation: "ffffffffffff" }), {}],
    ["C3 the pipeline rests", invocation(), { status: "stopped", endedAt: millis(1) }],
  ] as const)("%s: refused, nothing written", async (_, asked, over) => {
    const world = await running([], over);
    expect(await claimLease(world.store, asked, claimant())).toMatchObject({ kind: "refused" });
    expect(await world.read()).toBeNull();
  });

  it("R4 a pipeline without a head: refused", async () => {
    expect(await claimLease(memoryStore().store, invocation(), claimant())).toMatchObject({ kind: "refused" });
  });

  it("P4 another function version is refused, though its plan be the same", async () => {
    const world = await running();
    const other = { ...claimant(), functionVersion: "8" };
    expect(await claimLease(world.store, invocation(), other)).toMatchObject({
      kind: "refused",
      why: "P4: generation 1 runs version 7, this is 8",
    });
    expect(await world.read()).toBeNull();
  });
});

describe("R5 versions", () => {
  it("R5 a version that does not exist yet is asked for until it comes", async () => {
    const world = await running();
    const begun = world.clock.now();
    const claim = heldBy(await world.claim());
    let asked = 0;
    const slow = {
      ...world.store,
      registers: {
        ...world.registers,
        read: async (key: { readonly group: string; readonly name: string }) => {
          if (key.name.startsWith("lease/") && ++asked === 5) {
            await releaseLease(world.store, claim, invocation(), handover);
          }
          return world.registers.read(key);
        },
      },
    };
    expect(await claimLease(slow, invocation(2), claimant("s2"))).toMatchObject({ kind: "held" });
    expect(world.clock.now() - begun).toBe(4 * 250);
  });

  it("R5 it asks for 10 s, no longer", async () => {
    const world = await running();
    const begun = world.clock.now();
    expect(await world.claim(5)).toEqual({ kind: "refused", why: "lease version 5 never came, it is at 0" });
    expect(world.clock.now() - begun).toBe(10_000);
  });

  it("R5 a version that is past is refused at once", async () => {
    const world = await running();
    await releaseLease(world.store, heldBy(await world.claim()), invocation(), handover);
    const begun = world.clock.now();
    expect(await world.claim(0, "s2")).toMatchObject({ why: "lease version 0 is past, it is at 2" });
    expect(world.clock.now()).toBe(begun);
  });
});

describe("R5 lost answers", () => {
  it.each<readonly [string, Fate]>([
    ["before the write", "lost"],
    ["after the write", "unanswered"],
    ["its own retry met it", "own conflict"],
    ["the write comes before the next call", { after: 0 }],
    ["the write comes after the item was read", { after: 1 }],
  ])("R5 a claim is recognised by its own session id: %s", async (_, fate) => {
    const world = await running([fate]);
    expect(heldBy(await world.claim())).toMatchObject({ version: 1 });
    await world.settle();
    expect(await world.read()).toMatchObject({ version: 1, value: { holder: { session: "s1" } } });
  });

  it("R5 a claim whose answer was lost, while its twin took the lease, is refused", async () => {
    const world = await running(["lost"]);
    let done = false;
    const twin = {
      ...world.store,
      clock: { ...world.clock, sleep: async () => undefined },
      registers: {
        ...world.registers,
        swap: async (...args: Parameters<typeof world.registers.swap>) => {
          const answer = world.registers.swap(...args);
          if (!done) {
            done = true;
            await answer.catch(() => undefined);
            heldBy(await world.claim(0, "s2"));
          }
          return answer;
        },
      },
    };
    expect(await claimLease(twin, invocation(), claimant("s1"))).toMatchObject({ kind: "refused" });
    expect(await world.read()).toMatchObject({ version: 1, value: { holder: { session: "s2" } } });
  });

  const fates: readonly (readonly [string, Fate])[] = [
    ["before the write", "lost"],
    ["after the write", "unanswered"],
    ["its own retry met it", "own conflict"],
    ["the write comes after the item was read", { after: 1 }],
  ];
  it.each(ends.flatMap((end) => fates.map(([when, fate]) => [end.kind, when, end, fate] as const)))(
    "R5 a release (%s) is only sent again, and once answered leaves one version: lost %s",
    async (_kind, _when, end, fate) => {
      const world = await running(["answered", fate]);
      const claim = heldBy(await world.claim());
      expect(await releaseLease(world.store, claim, invocation(), end)).toEqual({ kind: "released", version: 2 });
      await world.settle();
      expect((await world.read())?.version).toBe(2);
      expect((await world.read())?.value.holder.kind).toBe(end.kind === "handover" ? "free" : end.kind);
    },
  );

  it("R5 a release is lost where another has moved the version", async () => {
    const world = await running();
    const claim = heldBy(await world.claim());
    await swapLease(world.store, incarnation, 1, lease({ kind: "free", since: millis(1) }));
    expect(await releaseLease(world.store, claim, invocation(), handover)).toEqual({ kind: "lost" });
  });

  it("R5 without any answer it gives up, and does not say that it did not happen", async () => {
    const world = await running(Array<Fate>(8).fill("lost"));
    await expect(world.claim()).rejects.toMatchObject({ kind: "ambiguous" });
    expect(world.swaps()).toBe(2 + 8);
  });
});

it("R4 R5 whatever answers are lost and whenever writes come: one session at a time, from the ack that was left", async () => {
  const fate = fc.oneof(
    fc.constantFrom<Fate>("answered", "lost", "unanswered", "own conflict"),
    fc.record({ after: fc.nat(6) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 14 }), fc.nat(3), async (fates, twins) => {
      const world = await running(fates);
      const held: Lease[] = [];
      let at = 0;
      for (let turn = 1; turn <= 3; turn++) {
        const names = Array.from({ length: twins + 1 }, (_, i) => `s${turn}.${i}`);
        const results = await Promise.all(names.map((name) => world.claim(at, name).catch(() => null)));
        const winners = results.flatMap((result) => (result?.kind === "held" ? [result.claim] : []));
        expect(winners.length).toBeLessThanOrEqual(1);
        const [winner] = winners;
        if (winner === undefined) return;
        held.push(winner.lease);
        expect(winner.version).toBe(at + 1);
        expect(winner.lease.ack).toBe(turn === 1 ? null : turn - 1);
        const end = { kind: "handover", ack: checkpointId(turn) } as const;
        const released = await releaseLease(world.store, winner, invocation(at), end).catch(() => null);
        if (released === null) return;
        expect(released).toEqual({ kind: "released", version: at + 2 });
        await world.settle();
        at += 2;
        expect(await world.read()).toMatchObject({ version: at, value: { ack: turn, holder: { kind: "free" } } });
      }
      expect(held).toHaveLength(3);
    }),
    { numRuns: 300 },
  );
});
