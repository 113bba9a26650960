import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import * as stored from "../../lib/checkpoint/store.js";
import { wishRunning, wishStopped } from "../../lib/checkpoint/wishes.js";
import { sha256 } from "../../lib/model/sha256.js";
import { acking, asleep, checkpointed, own, started, type World } from "./checkpoint-cloud.js";
import { version as old } from "./checkpoint-samples.js";

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

describe("P4 a deploy that is taken back", () => {
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
