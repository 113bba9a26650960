import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import { decide } from "../../lib/checkpoint/decide.js";
import { fallbackOf, patienceOf } from "../../lib/checkpoint/deploys.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import { decideRestart } from "../../lib/checkpoint/restart.js";
import * as stored from "../../lib/checkpoint/store.js";
import { complete, openGeneration } from "../../lib/checkpoint/transitions.js";
import { rejectDeployment, wishDeployed, wishRunning, wishStopped } from "../../lib/checkpoint/wishes.js";
import type { Desired, Head } from "../../lib/model/head.js";
import { generation } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { acking, asleep, checkpointed, own, started, type World } from "./checkpoint-cloud.js";
import {
  ago,
  desired,
  facts,
  failure,
  head,
  held,
  leases,
  me,
  now,
  version as old,
  pending,
  progress,
  progresses,
  record,
  ref,
  request,
  settings,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";
import { type Fate, memoryStore } from "./checkpoint-worlds.js";

// P4: of two versions of the code, the one that is desired opens; the one that a generation names completes.

const fresh = "8";
const wish = (at: World, functionVersion: string, id: string) =>
  wishRunning(at.store, { functionVersion, fingerprint: sha256("plan") }, id);
const call = (at: World, functionVersion: string) => coordinate(at.coordinator(functionVersion), [], null);
const died = (at: World, generation: Awaited<ReturnType<World["head"]>>["generation"]) => {
  const invocation = { pipeline: "p", incarnation: "", generation, task: own().task, leaseVersion: 0 };
  return async () => [
    { invocation: { ...invocation, incarnation: (await at.head()).incarnation }, kind: "died", message: "x" },
  ];
};

describe("P4 a deploy", () => {
  it("P4 only the new code opens the generation that it was wished for, whoever looks first, and how often", async () => {
    const at = await started();
    const completed = (await checkpointed(at))?.completed;
    const { code } = await wish(at, fresh, "deploy");
    expect(code.deployment).toBe(2);
    for (let i = 0; i < 3; i++) await call(at, old);
    expect(await at.head()).toMatchObject({ generation: 1, status: "running" });
    await Promise.all([call(at, old), call(at, fresh), call(at, old)]);
    const head = await at.head();
    expect(head).toMatchObject({ generation: 2, origin: completed, status: "running" });
    expect(await stored.readGenerationRecord(at.store, head)).toMatchObject({ functionVersion: fresh });
    expect(at.sent().at(-1)).toMatchObject({ functionVersion: fresh });
  });

  it("P4 an old supervisor never wins: it opens nothing after a failure of the new code, and completes nothing", async () => {
    const at = await started();
    await checkpointed(at);
    await wish(at, fresh, "deploy");
    await call(at, fresh);
    const { generation } = await at.head();
    const reports = await died(at, generation)();
    for (let i = 0; i < 3; i++) await coordinate(at.coordinator(old), reports, null);
    expect(await at.head()).toMatchObject({ generation, status: "running", failures: [] });
    await coordinate(at.coordinator(fresh), reports, null);
    expect(await at.head()).toMatchObject({ generation: generation + 1, failures: [{ kind: "died" }] });
  });

  it("P4 what the old code's generation has acked, the new code does not complete", async () => {
    const at = await started();
    at.clock.pass(60_000);
    await coordinate(at.coordinator(old), [], own());
    await acking(at);
    await coordinate(at.coordinator(fresh), [], null);
    expect(await at.head()).toMatchObject({ pending: { checkpointId: 1 }, completed: null });
    await coordinate(at.coordinator(old), [], null);
    expect(await at.head()).toMatchObject({ pending: null, completed: { checkpointId: 1 } });
  });

  it("P4 a pipeline that sleeps is woken by the new code alone, at once", async () => {
    const at = await asleep((world) => ({ kind: "beginning", readTo: world.clock.now() }));
    await call(at, old);
    expect(await at.head()).toMatchObject({ status: "suspended" });
    const noted = await stored.readWatch(at.store);
    await wish(at, fresh, "deploy");
    at.control.put("flights", "k", new Uint8Array(1));
    at.clock.pass(3_600_000);
    await call(at, old);
    expect(await at.head()).toMatchObject({ status: "suspended", generation: 1 });
    expect(await stored.readWatch(at.store)).toEqual(noted);
    await call(at, fresh);
    expect(await at.head()).toMatchObject({ status: "running", generation: 2 });
  });
});

describe("P4 a person who deploys what was before", () => {
  it("P4 is a deployment of its own, and the code that was taken back opens nothing", async () => {
    const at = await started();
    await checkpointed(at);
    await wish(at, fresh, "deploy");
    await call(at, fresh);
    const before = await stored.readDesired(at.store);
    if (before === null) throw new Error("nothing is desired");
    await stored.swapDesired(at.store, before.version, { ...before.value, rejected: [2] });
    const back = await wish(at, old, "back");
    expect(back).toMatchObject({ code: { deployment: 3, functionVersion: old }, rejected: [2] });
    for (let i = 0; i < 3; i++) await call(at, fresh);
    expect(await at.head()).toMatchObject({ generation: 2 });
    await call(at, old);
    expect(await stored.readGenerationRecord(at.store, await at.head())).toMatchObject({
      generation: 3,
      functionVersion: old,
    });
    expect(await wishStopped(at.store)).toMatchObject({ code: { deployment: 3 }, rejected: [2], state: "stopped" });
  });
});

const deployedTo = (functionVersion: string, over: Partial<Desired> = {}): Desired =>
  desired({ code: { ...desired().code, deployment: 2, functionVersion }, deployedAt: ago(1), ...over });
const newcomer = { ...me, functionVersion: fresh };
const toNew = deployedTo(fresh);
const overdue = deployedTo(fresh, { deployedAt: ago(patienceOf(settings)) });
const opens = (origin: ReturnType<typeof ref> | null, because: unknown = null) => ({
  kind: "open",
  reason: "deploy",
  origin,
  failure: because,
});
const stops = { kind: "trigger", pending: { andThen: "stop", reason: "deploy" } };
const stopped = { status: "stopped", endedAt: ago(5), deploying: true } as const;
const nothing = { kind: "nothing" };
type Row = readonly [name: string, facts: Facts, decider: typeof me, expected: object];

describe("P4 what runs stops for the new code", () => {
  it.each<Row>([
    [
      "P4 its own code triggers the checkpoint, at once",
      facts({ desired: toNew, head: { lastTriggeredAt: ago(1) } }),
      me,
      stops,
    ],
    ["P4 so does the new code", facts({ desired: toNew }), newcomer, stops],
    [
      "B2 aligned, where there are channels",
      facts({
        desired: toNew,
        record: record({ stages: twoTasks }),
        leases: leases(held(), held()),
        progress: progresses(progress(), progress({ task: task1 })),
      }),
      me,
      { kind: "trigger", pending: { reason: "deploy", alignment: "aligned" } },
    ],
    [
      "B4 completed by the old code",
      facts({ desired: toNew, head: { pending: pending({ reason: "deploy" }) } }),
      newcomer,
      nothing,
    ],
    [
      "C3 the new code waits until it is committed",
      facts({ desired: toNew, head: { status: "stopping", deploying: true, settledAt: ago(1) } }),
      newcomer,
      nothing,
    ],
    [
      "C3 and no longer than the time-out",
      facts({ desired: toNew, head: { status: "stopping", deploying: true, settledAt: ago(settings.timeout) } }),
      newcomer,
      opens(ref(1)),
    ],
    ["P4 then the new code goes on from it", facts({ desired: toNew, head: stopped }), newcomer, opens(ref(1))],
    ["P4 and no other code", facts({ desired: toNew, head: stopped }), me, nothing],
    [
      "R7 what was stopped for another reason is nobody's to start",
      facts({ desired: toNew, head: { ...stopped, deploying: false } }),
      newcomer,
      nothing,
    ],
    [
      "P4 what a person has stopped stays so",
      facts({ desired: { ...toNew, state: "stopped" }, head: stopped }),
      newcomer,
      nothing,
    ],
    [
      "P4 a stop that is asked for is a stop",
      facts({ desired: { ...toNew, state: "stopped" } }),
      me,
      { kind: "trigger", pending: { andThen: "stop", reason: "user" } },
    ],
    [
      "P4 where it cannot in time, the new code goes on from the last checkpoint",
      facts({ desired: overdue }),
      newcomer,
      opens(ref(1)),
    ],
    ["P4 not while one is under way", facts({ desired: overdue, head: { pending: pending() } }), newcomer, nothing],
    [
      "P4 and the old code is not asked any more",
      facts({ desired: overdue, progress: progresses(progress({ changed: true })) }),
      me,
      { pending: { reason: "interval" } },
    ],
    [
      "P4 one that sleeps sleeps on: the new code looks",
      facts({ desired: toNew, head: { status: "suspended", endedAt: ago(5) } }),
      newcomer,
      { kind: "look" },
    ],
    [
      "P4 one that has failed is tried again",
      facts({ desired: toNew, head: { status: "failed", endedAt: ago(5) } }),
      newcomer,
      opens(ref(1)),
    ],
    [
      "P4 one that is finished stays so",
      facts({ desired: toNew, head: { status: "finished", endedAt: ago(5) } }),
      newcomer,
      nothing,
    ],
    [
      "P4 a start that is asked for beside it opens at once",
      facts({ desired: { ...toNew, request: request({ id: "r2" }) } }),
      newcomer,
      { kind: "open", reason: "start" },
    ],
    [
      "R2 code that came with a start that was refused stops nothing",
      facts({ desired: { ...toNew, deployedAt: null } }),
      me,
      nothing,
    ],
  ])("%s", (_, given, decider, expected) => {
    expect(decide(given, decider)).toMatchObject(expected);
  });
});

describe("P4 code that is taken back", () => {
  const fallback = { functionVersion: old, fingerprint: sha256("plan") };
  const begun = { functionVersion: fresh, deployment: 2, generation: generation(2), origin: ref(1) };
  const unproven = record({ ...begun, fallback });
  const failed = (kind: string) =>
    leases({ kind: "failed", session: "s" as never, failure: kind, message: "it broke" });
  const failing = (kind: string, over: Parameters<typeof facts>[0] = {}) =>
    facts({ desired: toNew, record: unproven, leases: failed(kind), ...over });
  const rejects = { kind: "reject", code: fallback, failure: { message: "it broke" } };
  const loop = (count: number) =>
    Array.from({ length: count }, (_, i) => failure({ at: ago(10_000 * (i + 1)), kind: "died" })).toReversed();
  const back = deployedTo(old, { deployedAt: null, rejected: [2], rejection: failure({ kind: "rejected" }) });

  it.each<Row>([
    ...(["invalid", "corrupt", "bug"] as const).map(
      (kind): Row => [`P4 R4 at its first failure, of kind ${kind}`, failing(kind), newcomer, rejects],
    ),
    ["P4 by code of whatever version", failing("invalid"), me, rejects],
    ["R4 a failure that may pass is restarted", failing("died"), newcomer, { kind: "open", reason: "failure" }],
    [
      "R4 P4 as many as restart.attempts are no chance",
      failing("died", { head: { failures: loop(settings.restart.attempts) } }),
      newcomer,
      rejects,
    ],
    [
      "R4 one fewer waits for its restart",
      failing("died", { head: { failures: loop(settings.restart.attempts - 1) } }),
      newcomer,
      { kind: "nothing", until: expect.any(Number) },
    ],
    [
      "P4 not once it has completed a checkpoint",
      failing("invalid", { head: { completed: ref(2, 2) } }),
      newcomer,
      { kind: "fail" },
    ],
    [
      "P4 not where there is nothing to go back to",
      failing("invalid", { record: record(begun) }),
      newcomer,
      { kind: "fail" },
    ],
    [
      "P4 not where newer code is deployed already",
      failing("died", { desired: { ...deployedTo("9", { deployedAt: ago(patienceOf(settings)) }) } }),
      { ...me, functionVersion: "9" },
      { kind: "open", reason: "deploy" },
    ],
    [
      "P4 then the code before it goes on, from where it stood, with the reason",
      facts({ desired: back, record: unproven, leases: failed("invalid") }),
      me,
      opens(ref(1), back.rejection),
    ],
    [
      "P4 and nobody else acts for it",
      facts({ desired: back, record: unproven, leases: failed("invalid") }),
      newcomer,
      nothing,
    ],
    [
      "P4 also while a stop is asked for",
      facts({ desired: { ...back, state: "stopped" }, record: unproven }),
      me,
      opens(ref(1), back.rejection),
    ],
    [
      "P4 taken back before it could open: what stopped for it goes on",
      facts({ desired: back, head: stopped }),
      me,
      opens(ref(1), back.rejection),
    ],
    ["P4 taken back while what was before runs: nothing happens to it", facts({ desired: back }), me, nothing],
  ])("%s", (_, given, decider, expected) => {
    expect(decide(given, decider)).toMatchObject(expected);
  });

  it("P4 R4 its failures do not count against what ran before it", () => {
    const before = head({ failures: loop(9) });
    const because = failure({ kind: "rejected", at: now });
    const opening = { generationRecord: sha256("n"), reason: "deploy", origin: ref(1), now, failure: because } as const;
    const after = openGeneration(before, opening);
    expect(after.failures).toEqual([because]);
    expect(decideRestart(after.failures, failure({ kind: "died" }), now, settings.restart)).toEqual({ kind: "now" });
  });

  it("P4 what a generation goes back to", () => {
    const at = (completed: ReturnType<typeof ref> | null): Head => head({ completed });
    const first = record();
    const v8 = { functionVersion: "8", fingerprint: sha256("plan") };
    const reasons = ["deploy", "failure", "wake", "rescale"] as const;
    for (const reason of reasons) expect(fallbackOf(at(ref(1)), first, toNew, reason)).toEqual(fallback);
    expect(fallbackOf(at(ref(1)), first, toNew, "start")).toBeNull();
    expect(fallbackOf(null, null, toNew, "deploy")).toBeNull();
    // The same code again, before and after its first checkpoint.
    expect(fallbackOf(at(ref(1)), unproven, toNew, "failure")).toEqual(fallback);
    expect(fallbackOf(at(ref(2, 2)), unproven, toNew, "failure")).toBeNull();
    // A third version over one that has completed nothing, and over one that has.
    expect(fallbackOf(at(ref(1)), unproven, deployedTo("9"), "deploy")).toEqual(fallback);
    expect(fallbackOf(at(ref(2, 2)), unproven, deployedTo("9"), "deploy")).toEqual(v8);
    // What was gone back to has nothing behind it.
    expect(fallbackOf(at(ref(1)), unproven, back, "deploy")).toBeNull();
  });

  it("P4 the checkpoint of a deploy is told from that of a stop", () => {
    const ended = (reason: "deploy" | "user") =>
      complete(head({ pending: pending({ andThen: "stop", reason }) }), ref(2), now, null);
    expect([ended("deploy")?.deploying, ended("user")?.deploying]).toEqual([true, false]);
    expect(
      openGeneration(head({ deploying: true }), {
        generationRecord: sha256("n"),
        reason: "start",
        origin: null,
        now,
        failure: null,
      }).deploying,
    ).toBe(false);
  });
});

describe("P4 the wish of a deployment", () => {
  const code = (deployment: number, functionVersion: string) => ({
    deployment,
    functionVersion,
    fingerprint: sha256("plan"),
  });
  const lost: readonly (readonly [string, readonly Fate[]])[] = [
    ["the answer comes", []],
    ["the write is lost", ["lost"]],
    ["the answer is lost", ["unanswered"]],
    ["the write comes late", [{ after: 1 }]],
  ];

  it("P4 only grows; it starts what never ran, and leaves stopped what is", async () => {
    const { store } = memoryStore();
    expect(await wishDeployed(store, code(7, "7"))).toMatchObject({
      state: "running",
      code: code(7, "7"),
      request: { kind: "restart" },
    });
    await wishStopped(store);
    expect(await wishDeployed(store, code(9, "9"))).toMatchObject({ state: "stopped", code: code(9, "9") });
    expect(await wishDeployed(store, code(8, "8"))).toMatchObject({ code: code(9, "9") });
  });

  it("P4 one that goes on after a later one was taken back may be taken back itself", async () => {
    const { store } = memoryStore();
    for (const n of [7, 8, 9]) await wishDeployed(store, code(n, String(n)));
    await rejectDeployment(store, code(9, "9"), code(8, "8"), failure());
    await rejectDeployment(store, code(8, "8"), code(7, "7"), failure());
    expect((await stored.readDesired(store))?.value).toMatchObject({
      code: { deployment: 9, functionVersion: "7" },
      rejected: [9, 8],
    });
  });

  it.each(lost)("R5 P4 it is taken back once, and stays so: %s", async (_, fates) => {
    const { store, settle } = memoryStore(["answered", "answered", ...fates]);
    await wishDeployed(store, code(7, "7"));
    await wishDeployed(store, code(8, "8"));
    for (let i = 0; i < 2; i++) await rejectDeployment(store, code(8, "8"), code(7, "7"), failure());
    await settle();
    expect(await wishDeployed(store, code(8, "8"))).toMatchObject({
      code: { deployment: 8, functionVersion: "7" },
      rejected: [8],
      rejection: { kind: "rejected", message: "it broke" },
    });
    expect(await wishDeployed(store, code(9, "9"))).toMatchObject({ code: code(9, "9"), rejected: [8] });
    await rejectDeployment(store, code(8, "8"), code(7, "7"), failure());
    await rejectDeployment(store, code(6, "6"), code(7, "7"), failure());
    expect((await stored.readDesired(store))?.value.code).toEqual(code(9, "9"));
  });
});
