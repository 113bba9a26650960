import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import { decide } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import { listCheckpoints } from "../../lib/checkpoint/history.js";
import { releaseLease } from "../../lib/checkpoint/lease.js";
import { savepointAttempts } from "../../lib/checkpoint/savepoints.js";
import * as stored from "../../lib/checkpoint/store.js";
import {
  abort,
  complete,
  deleteSavepoint,
  nameSavepoint,
  openGeneration,
  refuseSavepoint,
} from "../../lib/checkpoint/transitions.js";
import { removeSavepoint, wishSavepoint, wishStopped } from "../../lib/checkpoint/wishes.js";
import type { AskedSavepoint, Head, Savepoint } from "../../lib/model/head.js";
import { checkpointId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { acking, asleep, checkpointed, own, started, type World } from "./checkpoint-cloud.js";
import {
  ago,
  desired,
  facts,
  head,
  held,
  leases,
  me,
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
import { type Fate, memoryStore } from "./checkpoint-worlds.js";

const wish = { id: "q", name: "s" };
const asked = { requestId: "q", name: "s" };
const wants = desired({ savepoint: wish });
const made = (over: Partial<Savepoint> = {}): Savepoint => ({ ...ref(1), name: "s", requestId: "q", ...over });
const answered = (ended: AskedSavepoint["ended"], aborts = 0): AskedSavepoint => ({ requestId: "q", aborts, ended });
const rests = (over: Partial<Head> = {}): Partial<Head> => ({ status: "stopped", endedAt: ago(5), ...over });

type Row = readonly [name: string, facts: Facts, expected: object];
const trigger = (over: object) => ({ kind: "trigger", pending: over });
const names = { kind: "savepoint", savepoint: asked };
const refuses = (message: unknown) => ({ kind: "refuse-savepoint", requestId: "q", message });
const two = { record: record({ stages: twoTasks }), leases: leases(held(), held()) };
const both = progresses(progress(), progress({ task: task1 }));

describe("a savepoint that is asked for", () => {
  it.each<Row>([
    [
      "B1 is triggered at once, though nothing changed and the interval has not passed",
      facts({ desired: wants, head: { lastTriggeredAt: ago(1), settledAt: ago(1) } }),
      trigger({ savepoint: asked, andThen: "continue", reason: "user" }),
    ],
    [
      "B2 is aligned where there are channels",
      facts({ ...two, desired: wants, progress: both }),
      trigger({ savepoint: asked, alignment: "aligned" }),
    ],
    [
      "B1 is not triggered before each session has told its progress",
      facts({ ...two, desired: wants, progress: progresses(progress()) }),
      { kind: "nothing" },
    ],
    [
      "B1 waits for the checkpoint that is pending",
      facts({ desired: wants, head: { pending: pending() } }),
      { kind: "nothing" },
    ],
    [
      "B1 and a hand-over are one checkpoint",
      facts({ desired: wants, progress: progresses(progress({ handover: true })) }),
      trigger({ savepoint: asked, andThen: "continue", reason: "handover" }),
    ],
    [
      "C3 and a stop are one checkpoint",
      facts({ desired: { ...wants, state: "stopped" } }),
      trigger({ savepoint: asked, andThen: "stop", reason: "user" }),
    ],
    [
      "C3 and the end of the input are one checkpoint",
      facts({ desired: wants, progress: progresses(progress({ sourcesFinished: true })) }),
      trigger({ savepoint: asked, andThen: "finish" }),
    ],
    [
      "R5 is made once: the request is answered",
      facts({ desired: wants, head: { asked: answered({ kind: "made" }), savepoints: [made()] } }),
      { kind: "nothing" },
    ],
    [
      "R5 is made once: not again after it was deleted",
      facts({ desired: wants, head: { asked: answered({ kind: "made" }) } }),
      { kind: "nothing" },
    ],
    [
      "B5 is triggered again after an abort",
      facts({ desired: wants, head: { asked: answered(null, savepointAttempts - 1) } }),
      trigger({ savepoint: asked }),
    ],
    [
      "B5 is given up after several",
      facts({ desired: wants, head: { asked: answered(null, savepointAttempts) } }),
      refuses(expect.stringContaining("5 checkpoints that were to be it were aborted")),
    ],
    [
      "R4 waits for the start that is asked for beside it",
      facts({ desired: { ...wants, request: request({ id: "r2" }) } }),
      { kind: "open", reason: "start" },
    ],
    [
      "is refused where the name is taken",
      facts({ desired: wants, head: { savepoints: [made({ requestId: "other" })] } }),
      refuses(expect.stringContaining('there is a savepoint "s" already, checkpoint 1')),
    ],
    ...(["stopped", "finished", "failed", "suspended"] as const).map(
      (status): Row => [
        `of a pipeline that is ${status} is its last checkpoint`,
        facts({ desired: wants, head: rests({ status }) }),
        names,
      ],
    ),
    ...(["stopping", "suspending", "finishing"] as const).map(
      (status): Row => [
        `C3 of a pipeline that is ${status} waits until it rests`,
        facts({ desired: wants, head: { status } }),
        { kind: "nothing" },
      ],
    ),
    [
      "of a pipeline that rests without a checkpoint is refused",
      facts({ desired: wants, head: rests({ status: "failed", completed: null }), completed: null }),
      refuses("the pipeline is failed and has no complete checkpoint that could be a savepoint"),
    ],
    [
      "P4 is named by code of whatever version",
      facts({ desired: { ...wants, code: { ...wants.code, functionVersion: "8" } }, head: rests() }),
      names,
    ],
    [
      "not there in what an older library wrote",
      facts({ desired: { ...desired(), savepoint: undefined as never }, head: { asked: undefined as never } }),
      { kind: "nothing" },
    ],
  ])("%s", (_, given, expected) => {
    expect(decide(given, me)).toMatchObject(expected);
  });
});

describe("in the head", () => {
  const before = head({ pending: pending({ savepoint: asked }), asked: answered(null, 2) });

  it("R1 is a savepoint by the change that completes it", () => {
    expect(complete(before, ref(2), now, null)).toMatchObject({
      completed: ref(2),
      savepoints: [{ ...ref(2), ...asked }],
      asked: answered({ kind: "made" }),
    });
    expect(complete(head({ pending: pending() }), ref(2), now, null)).toMatchObject({ savepoints: [], asked: null });
  });

  it("B5 aborts count, of the request that is asked for now", () => {
    expect(abort(before, now)).toMatchObject({ savepoints: [], asked: answered(null, 3), consecutiveAborts: 1 });
    const other = { ...before, asked: { requestId: "other", aborts: 4, ended: { kind: "made" } } } as Head;
    expect(abort(other, now).asked).toEqual(answered(null, 1));
  });

  it("C3 an abort of a stop does not count: the stop is triggered again", () => {
    const stopping = head({ pending: pending({ savepoint: asked, andThen: "stop" }) });
    expect(abort(stopping, now).asked).toBeNull();
  });

  it("R2 a generation that is opened leaves it to be triggered again", () => {
    const opening = { generationRecord: sha256("n"), reason: "failure", origin: ref(1), now, failure: null } as const;
    const opened = openGeneration(before, opening);
    expect(opened).toMatchObject({ pending: null, savepoints: [], asked: answered(null, 2) });
    const again = decide(
      { ...facts({ desired: wants }), head: { version: 6, value: { ...opened, generation: head().generation } } },
      me,
    );
    expect(again).toMatchObject(trigger({ savepoint: asked }));
  });

  it("G1 deleted: what is restorable without it is what is left", () => {
    const kept = head({ savepoints: [made(), made({ name: "t" })] });
    expect(deleteSavepoint(kept, "s").savepoints).toEqual([made({ name: "t" })]);
    expect(deleteSavepoint(kept, "u")).toBe(kept);
  });

  it("deleted while it is under way: the checkpoint goes on, as one like any other", () => {
    const after = deleteSavepoint(before, "s");
    expect(after.pending).toEqual(pending());
    expect(complete(after, ref(2), now, null)?.savepoints).toEqual([]);
  });

  it("only the last checkpoint of a pipeline that rests is one without a checkpoint", () => {
    expect(nameSavepoint(head(rests()), asked)).toMatchObject({
      savepoints: [made()],
      asked: answered({ kind: "made" }),
    });
    expect(() => nameSavepoint(head(), asked)).toThrow("rests");
    expect(refuseSavepoint(head(), "q", "why").asked).toEqual(answered({ kind: "failed", message: "why" }));
  });
});

const lost: readonly (readonly [string, readonly Fate[]])[] = [
  ["the answers come", []],
  ["writes are lost", ["lost", "lost"]],
  ["answers are lost", ["unanswered", "unanswered", "unanswered"]],
  ["retries underneath meet their own writes", ["own conflict", "own conflict", "own conflict"]],
  ["writes come late", [{ after: 1 }, { after: 2 }]],
];

describe("asked for", () => {
  const running = async (fates: readonly Fate[] = []) => {
    // The wish, the generation record, the head, the lease.
    const at = await started(["answered", "answered", "answered", ...fates], { checkpoint: { timeout: "10s" } });
    return at;
  };
  const makes = async (at: World) => {
    for (let i = 0; i < 6; i++) {
      at.clock.pass(100);
      const { pending: under } = await at.head();
      if (under !== null) await acking(at);
      await coordinate(
        at.coordinator(),
        [],
        own({ changed: false, epoch: (await at.head()).completed?.checkpointId ?? checkpointId(0) }),
      );
    }
    await at.settle();
  };

  it.each(lost)("R1 R5 a request makes one savepoint, however often it is sent: %s", async (_, fates) => {
    const at = await running(fates);
    for (let i = 0; i < 3; i++) await wishSavepoint(at.store, wish);
    await makes(at);
    await wishSavepoint(at.store, wish);
    await makes(at);
    const after = await at.head();
    expect(after).toMatchObject({ savepoints: [{ ...asked }], asked: answered({ kind: "made" }), pending: null });
    expect(after.savepoints).toHaveLength(1);
    expect((await listCheckpoints(at.store, after)).filter(({ kind }) => kind === "savepoint")).toMatchObject([
      { names: ["s"] },
    ]);
  });

  it("by the same name before it is there it is the same one; by another it is refused", async () => {
    const at = await running();
    await wishSavepoint(at.store, wish);
    expect(await wishSavepoint(at.store, { id: "again", name: "s" })).toMatchObject({ savepoint: wish });
    await expect(wishSavepoint(at.store, { id: "b", name: "t" })).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('"s" is asked for and not there yet'),
    });
    await makes(at);
    expect(await wishSavepoint(at.store, { id: "b", name: "t" })).toMatchObject({ savepoint: { id: "b", name: "t" } });
    await makes(at);
    expect((await at.head()).savepoints.map(({ name }) => name)).toEqual(["s", "t"]);
    await expect(wishSavepoint(at.store, { id: "c", name: "s" })).rejects.toThrow("already, checkpoint 1");
  });

  it.each(["", "7", "latest", "a b", "-a", "a".repeat(65)])("by no name for one: %j", async (name) => {
    const at = await running();
    const refused = { kind: "invalid", message: expect.stringContaining("is no name for a savepoint") };
    await expect(wishSavepoint(at.store, { id: "q", name })).rejects.toMatchObject(refused);
    await expect(wishStopped(at.store, { id: "q", name })).rejects.toMatchObject(refused);
  });

  it("B5 aborted, it is triggered again; each time, it is refused at last, and what runs goes on", async () => {
    const at = await started([], { checkpoint: { timeout: "10s", tolerableFailures: 100 } });
    await wishSavepoint(at.store, wish);
    for (let i = 0; i < 2 * savepointAttempts + 2; i++) {
      await coordinate(at.coordinator(), [], own({ changed: false }));
      at.clock.pass(10_000);
    }
    const after = await at.head();
    expect(after).toMatchObject({
      status: "running",
      savepoints: [],
      asked: { requestId: "q", ended: { kind: "failed" } },
    });
    expect(after.asked?.aborts).toBe(savepointAttempts);
  });

  it("C3 with a stop: one checkpoint, which ends it and is kept", async () => {
    const at = await running();
    await wishStopped(at.store, wish);
    await coordinate(at.coordinator(), [], own());
    expect((await at.head()).pending).toMatchObject({ andThen: "stop", savepoint: asked });
    await acking(at);
    await coordinate(at.coordinator(), [], own());
    const end = { kind: "done", ack: checkpointId(1), committed: checkpointId(1) } as const;
    await releaseLease(at.store, at.claim, at.invocation, end);
    await coordinate(at.coordinator(), [], null);
    expect(await at.head()).toMatchObject({
      status: "stopped",
      savepoints: [{ checkpointId: 1, name: "s" }],
      nextCheckpointId: 2,
    });
  });

  it("N2 of a pipeline that sleeps: its last checkpoint, and nothing is invoked", async () => {
    const at = await asleep((world) => ({ kind: "beginning", readTo: world.clock.now() }));
    await coordinate(at.coordinator(), [], null);
    await wishSavepoint(at.store, wish);
    await coordinate(at.coordinator("8"), [], null);
    expect(await at.head()).toMatchObject({
      status: "suspended",
      savepoints: [{ checkpointId: 1, name: "s" }],
      nextCheckpointId: 2,
    });
    expect(at.sent()).toEqual([]);
  });

  it("of what never ran there is none", async () => {
    const at = await running();
    const nowhere = { ...at.store, pipeline: "other" };
    expect(await wishSavepoint(nowhere, wish)).toBeNull();
    expect(await removeSavepoint(nowhere, "s")).toBe(false);
  });

  it.each(lost)("R5 deleted: %s", async (_, fates) => {
    const { store, settle } = memoryStore(["answered", ...fates]);
    await stored.swapHead(store, null, head({ savepoints: [made(), made({ name: "t" })] }));
    expect(await removeSavepoint(store, "s")).toBe(true);
    await settle();
    expect(await removeSavepoint(store, "s")).toBe(false);
    expect((await stored.readHead(store))?.value.savepoints).toEqual([made({ name: "t" })]);
  });

  it("deleted, its name may be used again", async () => {
    const at = await running();
    await wishSavepoint(at.store, wish);
    await makes(at);
    await removeSavepoint(at.store, "s");
    await makes(at);
    expect((await at.head()).savepoints).toEqual([]);
    await wishSavepoint(at.store, { id: "b", name: "s" });
    await makes(at);
    expect((await at.head()).savepoints).toMatchObject([{ name: "s", requestId: "b", checkpointId: 2 }]);
  });

  it("taken back before it is there: it is not made, and another one may be", async () => {
    const at = await running();
    await wishSavepoint(at.store, wish);
    await coordinate(at.coordinator(), [], own());
    expect((await at.head()).pending).toMatchObject({ savepoint: asked });
    expect(await removeSavepoint(at.store, "s")).toBe(true);
    await makes(at);
    expect(await at.head()).toMatchObject({ savepoints: [], completed: { checkpointId: 1 } });
    expect(await wishSavepoint(at.store, { id: "b", name: "t" })).toMatchObject({ savepoint: { id: "b" } });
  });

  it("G3 R7 below the floor it is listed, and read by its name", async () => {
    const at = await running();
    await wishSavepoint(at.store, wish);
    await makes(at);
    for (let i = 0; i < 3; i++) await checkpointed(at);
    const after = { ...(await at.head()), floor: checkpointId(4) };
    expect((await listCheckpoints(at.store, after)).map(({ id }) => id)).toEqual([4, 1]);
    expect((await listCheckpoints(at.store, deleteSavepoint(after, "s"))).map(({ id }) => id)).toEqual([4]);
  });
});
