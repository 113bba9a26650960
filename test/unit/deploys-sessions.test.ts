// P4 with sessions and supervisors of several versions: how a deploy takes effect, and how it is taken back.
import { json, kinesisSource, pipeline, type Sink, value } from "tidemark";
import { describe, expect, it } from "vitest";
import * as stored from "../../lib/checkpoint/store.js";
import { wishDeployed, wishStarted, wishStopped } from "../../lib/checkpoint/wishes.js";
import type { Head, SupervisorCall } from "../../lib/model/head.js";
import { passOn } from "../../lib/runtime/release.js";
import { deployed, desired, facts, now, version as old, record, request } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

interface Sale {
  readonly shop: string;
}

const shown = new Map<string, number>();
const sink: Sink<{ readonly shop: string; readonly n: number }> = {
  kind: "memory",
  delivery: "held",
  config: {},
  keyOf: ({ shop }) => shop,
  open: () => ({
    target: "shops",
    check: async () => {},
    validate: () => {},
    apply: async (_, writes) => {
      for (const { row } of writes)
        if (row !== null) shown.set(String((row as { shop: string }).shop), Number((row as { n: number }).n));
    },
    close: async () => {},
  }),
};

/** Counts in steps, so that rows tell which code wrote them. */
const counting = (
  options: {
    readonly step?: number;
    readonly operator?: string;
    readonly throws?: boolean;
    readonly parallelism?: number;
  } = {},
) =>
  pipeline(
    "p",
    {
      parallelism: options.parallelism ?? 1,
      checkpoint: { interval: "1s", timeout: "10s" },
      session: { reserve: "30s" },
    },
    (flow) =>
      flow
        .from("flights", kinesisSource({ stream: "flights", codec: json<Sale>(), start: "trim-horizon" }))
        .keyBy(({ shop }) => shop)
        .process(options.operator ?? "count", {
          state: { n: value(0) },
          onRecord(record, { state }) {
            if (options.throws === true) throw new Error("this version is wrong");
            state.n.update((n) => n + (options.step ?? 1));
            return { shop: record.shop, n: state.n.get() };
          },
        })
        .to("shops", sink),
  );

const put = (world: ReturnType<typeof cloud>, count: number) => {
  for (let i = 0; i < count; i++)
    world.stream.put("flights", `k${i}`, Buffer.from(JSON.stringify({ shop: `s${i % 4}` })));
};
const recordOf = async (world: ReturnType<typeof cloud>, head: Head) => stored.readGenerationRecord(world.store, head);
const sum = () => [...shown.values()].reduce((all, n) => all + n, 0);

async function running(parallelism = 1) {
  shown.clear();
  const world = cloud(counting({ parallelism }));
  world.stream.createStream("flights", 2);
  put(world, 40);
  await world.wish(desired());
  await world.until(() => sum() === 40, 60_000);
  expect(sum()).toBe(40);
  return world;
}

describe("P4 a release", () => {
  it.each([1, 2])(
    "P4 the old code stops at an aligned checkpoint, the new one goes on from it, at parallelism %i",
    async (parallelism) => {
      const world = await running(parallelism);
      const fresh = world.release(counting({ step: 1_000, parallelism }));
      const head = await world.until(({ generation, status }) => generation === 2 && status === "running", 300_000);
      expect(head).toMatchObject({ generation: 2, failures: [], deploying: false });
      const { completed, origin } = head as Head;
      expect(completed).toEqual(origin);
      const manifest = await stored.readManifest(
        world.store,
        (head as Head).incarnation,
        origin as NonNullable<typeof origin>,
      );
      expect(manifest).toMatchObject({ andThen: "stop", generation: 1 });
      if (parallelism > 1) expect(manifest.alignment).toBe("aligned");
      expect(await recordOf(world, head as Head)).toMatchObject({
        reason: "deploy",
        functionVersion: fresh,
        deployment: 2,
        fallback: { functionVersion: old },
      });
      put(world, 4);
      await world.until(() => sum() === 4_040, 60_000);
      expect(sum()).toBe(4_040);
      const proven = (await world.head()) as Head;
      await world.crash();
      const again = await world.until(({ generation }) => generation === 3, 60_000);
      expect(proven.generation).toBe(2);
      expect(await recordOf(world, again as Head)).toMatchObject({ functionVersion: fresh, fallback: null });
    },
  );

  it("P4 code that throws is taken back by itself: what ran before goes on, nothing is lost, and the reason is told", async () => {
    const world = await running();
    world.release(counting({ throws: true }));
    await world.until(({ generation }) => generation === 2, 300_000);
    put(world, 8);
    const head = await world.until(({ generation, status }) => generation === 3 && status === "running", 300_000);
    expect(head).toMatchObject({
      generation: 3,
      failures: [{ kind: "rejected", message: expect.stringContaining("this version is wrong") }],
    });
    expect(await recordOf(world, head as Head)).toMatchObject({
      functionVersion: old,
      reason: "deploy",
      fallback: null,
    });
    expect((await stored.readDesired(world.store))?.value).toMatchObject({
      rejected: [2],
      code: { deployment: 2, functionVersion: old },
    });
    await world.until(() => sum() === 48, 60_000);
    expect(sum()).toBe(48);
    // Its supervisor is the one that the schedule calls: a failure is restarted with the code that is desired all the same.
    await world.crash();
    const restarted = await world.until(({ generation }) => generation === 4, 300_000);
    expect(await recordOf(world, restarted as Head)).toMatchObject({ functionVersion: old, reason: "failure" });
    put(world, 4);
    await world.until(() => sum() === 52, 60_000);
    expect(sum()).toBe(52);
    // A third version comes as any other: what runs stops for it at its own checkpoint.
    const third = world.release(counting({ step: 100 }));
    const last = (await world.until(
      ({ generation, status }) => generation === 5 && status === "running",
      300_000,
    )) as Head;
    expect(last).toMatchObject({ generation: 5, failures: [] });
    expect(await recordOf(world, last)).toMatchObject({ functionVersion: third, deployment: 3 });
    const origin = last.origin as NonNullable<typeof last.origin>;
    expect(await stored.readManifest(world.store, last.incarnation, origin)).toMatchObject({ andThen: "stop" });
    put(world, 4);
    await world.until(() => sum() === 452, 60_000);
    expect(sum()).toBe(452);
  });

  it("P4 R2 P2 code that cannot be restored is taken back before anything stops", async () => {
    const world = await running();
    world.release(counting({ operator: "renamed" }));
    await world.until(({ failures }) => failures.length > 0, 120_000);
    const head = await world.head();
    expect(head).toMatchObject({
      generation: 1,
      status: "running",
      failures: [{ kind: "rejected", message: expect.stringContaining('operator "count"') }],
    });
    put(world, 4);
    await world.until(() => sum() === 44, 60_000);
    expect(sum()).toBe(44);
    // The next one is right.
    const fresh = world.release(counting({ step: 100 }));
    const after = await world.until(({ generation, status }) => generation === 2 && status === "running", 300_000);
    expect(await recordOf(world, after as Head)).toMatchObject({ functionVersion: fresh, deployment: 3 });
  });

  it("P4 what is stopped stays so, and starts with the new code", async () => {
    const world = await running();
    await wishStopped(world.store);
    await world.until(({ status }) => status === "stopped", 120_000);
    const fresh = world.release(counting({ step: 100 }));
    await world.until(() => false, 180_000);
    expect(await world.head()).toMatchObject({ generation: 1, status: "stopped" });
    expect((await stored.readDesired(world.store))?.value).toMatchObject({
      state: "stopped",
      code: { functionVersion: fresh },
    });
    await wishStarted(world.store, { id: "person", from: null, dropped: [] });
    put(world, 4);
    await world.until(() => sum() === 440, 180_000);
    expect(sum()).toBe(440);
    expect(await recordOf(world, (await world.head()) as Head)).toMatchObject({
      functionVersion: fresh,
      reason: "start",
      requestId: "person",
    });
  });
});

describe("P4 what is finished", () => {
  it("P4 P2 takes whatever is deployed: it goes on from nowhere, until somebody replays", async () => {
    const world = await running();
    await wishStopped(world.store);
    await world.until(({ status }) => status === "stopped", 120_000);
    const before = await stored.readHead(world.store);
    const finished = { ...(before?.value as Head), status: "finished" } as const;
    await stored.swapHead(world.store, before?.version ?? null, finished);
    const fresh = world.release(counting({ operator: "renamed" }));
    await world.until(() => false, 120_000);
    expect((await stored.readDesired(world.store))?.value).toMatchObject({
      code: { functionVersion: fresh, deployment: 2 },
      rejected: [],
      rejection: null,
    });
    expect(await world.head()).toMatchObject({ status: "finished", generation: 1, failures: [] });
  });
});

describe("P4 a request that brings code of its own", () => {
  it("P4 R2 is taken back with it where it cannot be: what runs goes on, and that code is not deployed", async () => {
    const world = await running();
    const other = world.release(counting({ operator: "renamed" }));
    await world.until(({ failures }) => failures.length > 0, 120_000);
    const before = (await world.head()) as Head;
    const { completed: from } = before;
    const code = { functionVersion: other, fingerprint: counting({ operator: "renamed" }).plan.fingerprint };
    await wishStarted(world.store, { id: "replay", from, dropped: [], sinks: { shops: { kind: "overwrite" } }, code });
    const asked = async () => (await stored.readDesired(world.store))?.value ?? expect.fail("nothing is desired");
    expect(await asked()).toMatchObject({ code: { functionVersion: other }, request: { ownCode: true } });
    await world.until(() => false, 180_000);
    expect(await asked()).toMatchObject({
      state: "running",
      code: { functionVersion: old },
      request: null,
      rejection: { kind: "rejected", message: expect.stringContaining('operator "count"') },
    });
    const head = (await world.head()) as Head;
    // No stop for it, and no rejection told again and again.
    expect(head).toMatchObject({ generation: 1, status: "running", deploying: false, failures: before.failures });
    put(world, 4);
    await world.until(() => sum() === 44, 60_000);
    expect(sum()).toBe(44);
    // What runs is restarted by its own code.
    await world.crash();
    const again = await world.until(({ generation }) => generation === 2, 300_000);
    expect(await recordOf(world, again as Head)).toMatchObject({ functionVersion: old, reason: "failure" });
  });

  it("P4 which another start takes over before anybody tried it, is of that start", async () => {
    const world = await running();
    const { completed: from } = (await world.head()) as Head;
    const code = { functionVersion: "9", fingerprint: counting().plan.fingerprint };
    await wishStarted(world.store, { id: "replay", from, dropped: [], code });
    const after = await wishStarted(world.store, { id: "start", from: null, dropped: [] });
    expect(after).toMatchObject({ code: { functionVersion: "9" }, request: { id: "start", ownCode: true } });
    const deployed = await wishDeployed(world.store, {
      functionVersion: "10",
      fingerprint: code.fingerprint,
      deployment: 7,
    });
    expect(deployed.code.functionVersion).toBe("10");
    expect(deployed.request).toEqual({ id: "start", kind: "restart", from: null, sinks: {}, dropped: [] });
  });
});

describe("P4 a call is passed on to the code that is desired", () => {
  const other = desired({ code: deployed("older"), deployedAt: now, request: request({ id: "replay" }) });
  const passed = async (over: Parameters<typeof facts>[0]) => {
    const world = await running();
    const sent: SupervisorCall[] = [];
    const functions = {
      ...world.deployment.world.functions,
      callSupervisor: async (call: SupervisorCall) => void sent.push(call),
    };
    const { head, record } = facts(over);
    await passOn(world.deployment, functions, { pipeline: "p", report: null }, { desired: other, head, record });
    return sent.map(({ by }) => by);
  };
  const isOver = { status: "finished", endedAt: now } as const;

  it("P4 R2 while somebody asks for something, also of a pipeline that is finished", async () => {
    expect(await passed({ head: isOver, record: record({ requestId: "first" }) })).toEqual(["older"]);
    expect(await passed({ head: isOver, record: record({ requestId: "replay" }) })).toEqual([]);
    expect(await passed({ record: record({ requestId: "replay" }) })).toEqual(["older"]);
  });
});
