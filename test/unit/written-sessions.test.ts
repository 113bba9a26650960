// G1, R7: savepoints whose state a person wrote, on pipelines that run, that lost their table, and that never ran.
import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { findCheckpoint } from "../../lib/checkpoint/history.js";
import { closedRanges } from "../../lib/checkpoint/inherit.js";
import { planRecovery, recover } from "../../lib/checkpoint/recover.js";
import { readDesired, readHead, readManifest } from "../../lib/checkpoint/store.js";
import { verifyCheckpoint } from "../../lib/checkpoint/verify.js";
import { wishSavepoint, wishStarted } from "../../lib/checkpoint/wishes.js";
import { beginBootstrap, bootstrap, carriedOver, reserveSavepoint } from "../../lib/checkpoint/written.js";
import { tablesOf, withSnapshot } from "../../lib/checkpoint/written-state.js";
import { writeEdited } from "../../lib/cli/state-edit.js";
import { parseKey } from "../../lib/cli/state-key.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { checkpointId, generation } from "../../lib/model/ids.js";
import { decodeHeldRows } from "../../lib/runtime/held-bodies.js";
import { writeEntry } from "../../lib/state/state-entry.js";
import { ack, desired, head, manifest, now, request, task0, task1 } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

const counting = (parallelism = 1) =>
  pipeline("p", { parallelism, checkpoint: { interval: "1s", timeout: "10s", retained: 2 } }, (flow) =>
    flow
      .from(
        "flights",
        kinesisSource({ stream: "flights", codec: json<{ readonly shop: string }>(), start: "trim-horizon" }),
      )
      .keyBy(({ shop }) => shop)
      .process("count", {
        state: { n: value(0) },
        onRecord: (_, { key, state }) => {
          state.n.update((n) => n + 1);
          return { shop: key, n: state.n.get() };
        },
      })
      .to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
  );

async function running(parallelism = 1) {
  const { plan } = counting(parallelism);
  const world = cloud({ plan });
  world.stream.createStream("flights", 2);
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  let put = 0;
  const flow = async (records: number) => {
    for (let i = 0; i < records; i++) {
      world.stream.put("flights", `k${put}`, Buffer.from(JSON.stringify({ shop: `s${put++ % 5}` })));
      await world.clock.sleep(83);
    }
  };
  const sum = () => world.tables.items("shops").reduce((all, item) => all + Number(item.n), 0);
  const edited = async (ref: CheckpointRef, name: string, shop: string, n: number | null) => {
    const head = (await world.head()) as Head;
    const manifest = await readManifest(world.store, head.incarnation, ref);
    const change = { name, how: n === null ? "delete" : "set", operator: "count", key: parseKey(shop) } as const;
    return writeEdited(
      { store: world.store, plan },
      { ref, manifest },
      { ...change, states: n === null ? null : { n } },
    );
  };
  const startFrom = async (from: CheckpointRef, id: string) => {
    await wishStarted(world.store, { id, from, dropped: [] });
    return world.until(({ origin, status }) => origin?.sha256 === from.sha256 && status === "running", 300_000);
  };
  const verified = async (ref: CheckpointRef) =>
    verifyCheckpoint(world.store, ((await world.head()) as Head).incarnation, ref, {
      countRows: (bytes) => decodeHeldRows(bytes).length,
      onProgress: () => undefined,
    });
  return { ...world, plan, flow, sum, put: () => put, edited, startFrom, verified };
}

const completed = async (world: { head(): Promise<Head | null> }) => {
  const ref = (await world.head())?.completed;
  if (ref === undefined || ref === null) throw new Error("nothing is complete");
  return ref;
};

describe("G1 a savepoint with another state of a key", () => {
  it.each([1, 2])(
    "G1 E3 is made beside what runs, kept by every collection, and gone on from with all records, at parallelism %i",
    async (parallelism) => {
      const world = await running(parallelism);
      await world.wish();
      await world.flow(60);
      await world.until((head) => head.completed !== null, 60_000);
      const before = await completed(world);
      const at = await readManifest(world.store, ((await world.head()) as Head).incarnation, before);
      const ref = await world.edited(before, "mended", "s1", 1_000_000);
      // Of what is counted at that checkpoint, key s1 is replaced.
      await world.flow(60);
      await world.until(({ completed: now }) => (now?.checkpointId ?? 0) > ref.checkpointId + 8, 120_000);
      const head = (await world.head()) as Head;
      expect(head).toMatchObject({
        status: "running",
        generation: 1,
        failures: [],
        savepoints: [{ ...ref, name: "mended" }],
      });
      expect(head.floor).toBeGreaterThan(ref.checkpointId);
      await world.flow(20);
      await world.until(() => world.sum() === world.put(), 120_000);
      expect(world.sum()).toBe(world.put());
      expect(await findCheckpoint(world.store, head, ref.checkpointId)).toEqual(ref);
      expect(await world.verified(ref)).toMatchObject({ problems: [], problemCount: 0 });
      expect((await readManifest(world.store, head.incarnation, ref)).shards).toEqual(at.shards);
      await world.startFrom(ref, "r2");
      await world.flow(10);
      const only = Array.from({ length: world.put() }, (_, i) => i % 5).filter((shop) => shop !== 1).length;
      await world.until(() => world.sum() > 1_000_000 + only, 120_000);
      await world.until(() => false, 20_000);
      const items = world.tables.items("shops");
      const s1 = Number(items.find(({ shop }) => shop === "s1")?.n);
      expect(world.sum() - s1).toBe(only);
      expect(s1).toBeGreaterThan(1_000_000);
      expect(await world.head()).toMatchObject({ status: "running", generation: 2, failures: [] });
      const now = (await world.head()) as Head;
      expect(now.completed?.checkpointId).toBeGreaterThan(ref.checkpointId);
    },
  );

  it("G1 without a key begins it anew; a name is given once, and what is asked for meanwhile gets another", async () => {
    const world = await running();
    await world.wish();
    await world.flow(50);
    await world.until((head) => head.completed !== null, 60_000);
    const before = await completed(world);
    const ref = await world.edited(before, "less", "s2", null);
    await expect(world.edited(before, "less", "s2", 1)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('there is a savepoint "less" already'),
    });
    await expect(reserveSavepoint(world.store, "42")).rejects.toThrow(/is no name for a savepoint/);
    await wishSavepoint(world.store, { id: "w1", name: "asked" });
    await expect(reserveSavepoint(world.store, "asked")).rejects.toThrow(/is asked for and not there yet/);
    await world.until(() => false, 20_000);
    const counted = world.put();
    await world.startFrom(ref, "r2");
    await world.flow(5);
    await world.until(() => false, 30_000);
    const s2 = Number(world.tables.items("shops").find(({ shop }) => shop === "s2")?.n);
    expect(s2).toBeLessThan(Math.ceil(counted / 5));
    expect((await readDesired(world.store))?.value.request?.id).toBe("r2");
  });

  it("R7 a table that is lost takes none along, and the line of checkpoints goes on without them", async () => {
    const world = await running();
    await world.wish();
    await world.flow(40);
    await world.until((head) => head.completed !== null, 60_000);
    await world.edited(await completed(world), "mended", "s1", 1_000_000);
    // Newest of all ids, and of no line: nobody has started from it.
    await world.store.registers.remove({ group: "p", name: "head" });
    await world.until(() => false, 10_000);
    const options = { incarnation: null, checkpoint: null, fingerprint: world.plan.fingerprint, library: "0.1.0" };
    const recovery = await planRecovery(world.store, options);
    expect(recovery.head.savepoints.map(({ name }) => name)).toEqual(["mended"]);
    expect(recovery.completed.checkpointId).not.toBe(recovery.head.savepoints[0]?.checkpointId);
    await recover(world.store, recovery);
    await world.wish(desired({ request: request({ id: "r2" }) }), 1);
    await world.until(({ status }) => status === "running", 120_000);
    await world.flow(10);
    await world.until(() => world.sum() === world.put(), 120_000);
    expect(world.sum()).toBe(world.put());
  });
});

describe("G1 what is copied", () => {
  it("G1 R6 has an id of its own, which no checkpoint gets", async () => {
    const world = await running();
    await world.wish();
    await world.flow(30);
    await world.until((head) => head.completed !== null, 60_000);
    const ids = [await reserveSavepoint(world.store, "a"), await reserveSavepoint(world.store, "b")].map(
      (one) => one.checkpointId,
    );
    expect(new Set(ids).size).toBe(2);
    const last = Math.max(...ids);
    await world.flow(40);
    const head = await world.until(({ completed: now }) => (now?.checkpointId ?? 0) > last + 2, 60_000);
    const seen: number[] = [];
    for (let at = head?.completed ?? null; at !== null && at.checkpointId > last - 4; ) {
      seen.push(at.checkpointId);
      at = (await readManifest(world.store, head?.incarnation ?? "", at)).previous;
    }
    expect(seen.filter((id) => ids.some((own) => own === id))).toEqual([]);
  });

  it("G1 E3 expects no more than its producers had sent, whatever generation it is in", () => {
    const lane = { edge: "count", generation: generation(3), producer: 1, keyGroups: [0, 127] } as const;
    const tasks = [
      ack({ task: task0, generation: generation(3), expected: [{ ...lane, from: 4, to: null }] }),
      ack({
        task: task1,
        generation: generation(3),
        sent: { count: 6 },
        expected: [{ ...lane, producer: 0, from: 1, to: null }],
      }),
    ];
    const at = manifest({ generation: generation(3), tasks });
    const reserved = { head: head({ generation: generation(7) }), checkpointId: checkpointId(50), at: now };
    const copied = carriedOver(at, reserved);
    expect(copied.map(({ expected }) => expected)).toEqual([[{ ...lane, from: 4, to: 6 }], []]);
    expect(copied.map((one) => [one.generation, one.checkpointId])).toEqual([
      [7, 50],
      [7, 50],
    ]);
    expect(closedRanges(manifest({ generation: generation(7), tasks: copied }))).toEqual(closedRanges(at));
  });
});

describe("G1 a savepoint of a pipeline that never ran", () => {
  it("G1 is what its first start goes on from, with its sources at their start", async () => {
    const world = await running();
    await world.flow(20);
    const { fingerprint } = world.plan;
    const stages = [{ name: "main", tasks: 1, operators: ["count"] }];
    const begun = await beginBootstrap(world.store, "old", { fingerprint, library: "0.1.0", stages });
    const place = { head: begun.head, checkpointId: checkpointId(1) };
    const tables = tablesOf(world.plan);
    for (const [key, n] of [
      ["s0", 100],
      ["elsewhere", 7],
    ] as const)
      for (const table of tables) writeEntry(table, key, { n });
    const empty = { ...ack(), keyGroups: [0, 127], positions: {}, checkpointId: checkpointId(1) } as const;
    const tasks = [await withSnapshot(world.store, empty, { kind: "base", tables }, place)];
    const ref = await bootstrap(world.store, begun, { name: "old", how: "write", from: null, fingerprint, tasks });
    expect((await readHead(world.store))?.value).toMatchObject({
      status: "stopped",
      completed: ref,
      savepoints: [{ name: "old" }],
    });
    const late = await beginBootstrap(world.store, "again", { fingerprint, library: "0.1.0", stages });
    await expect(
      bootstrap(world.store, late, { name: "again", how: "write", from: null, fingerprint, tasks }),
    ).rejects.toMatchObject({ kind: "fenced" });
    await world.wish();
    await world.until(() => world.sum() === 120, 120_000);
    expect(world.sum()).toBe(120);
    expect(await world.head()).toMatchObject({ generation: 2, failures: [] });
    await world.flow(5);
    await world.until(() => world.sum() === 125, 120_000);
    expect(world.sum()).toBe(125);
  });
});
