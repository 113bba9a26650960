// A fork: a pipeline of its own that begins with a copy of another one's checkpoint (W2, G3).
import { dynamoTable, fileSink, pipeline } from "tidemark";
import { describe, expect, it } from "vitest";
import { type ForkOptions, makeFork } from "../../lib/checkpoint/fork.js";
import { forkOf, removeFork } from "../../lib/checkpoint/fork-removal.js";
import { findCheckpoint, listCheckpoints } from "../../lib/checkpoint/history.js";
import { closedRanges } from "../../lib/checkpoint/inherit.js";
import { readGenerationRecord, readHead, readManifest } from "../../lib/checkpoint/store.js";
import { verifyCheckpoint } from "../../lib/checkpoint/verify.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head, SinkMode } from "../../lib/model/head.js";
import { sha256 } from "../../lib/model/sha256.js";
import { renamed } from "../../lib/pipeline/renamed.js";
import { desired } from "./checkpoint-samples.js";
import { cutPorts } from "./cut-ports.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

const counting = (parallelism: number) =>
  pipeline("p", { ...salesOptions, parallelism }, (flow) => {
    const counts = countSales(flow);
    return [
      counts.to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
      counts.to("lines", fileSink({ folder: "/out" })),
    ] as const;
  });

const shops = 40;
const modes = { shops: { kind: "redirect", suffix: "v2" }, lines: { kind: "dry-run" } } as const satisfies Readonly<
  Record<string, SinkMode>
>;

/** @param way of notes of frames: so that some are on their way at a checkpoint */
async function running(parallelism: number, way = 0) {
  const made = counting(parallelism);
  const isNote = (what: unknown) => (what as { readonly name?: string } | null)?.name?.startsWith("note/") === true;
  const world = cloud(made, { way: (method, what) => (method === "swap" && isNote(what) ? way : 0) });
  for (const table of ["shops", "shops-v2"]) world.tables.createTable(table, [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 2);
  const { put: sell, sold } = salesInto(world, shops);
  const counts = (table: string) => new Map(world.tables.items(table).map(({ shop, n }) => [shop, n]));
  const forkStore = { ...world.store, pipeline: "p-fork" };
  const forked = cloud(renamed(made, "p-fork"), { services: world.services });
  const options = (from: CheckpointRef): ForkOptions => ({
    from,
    dropped: [],
    sinks: modes,
    fingerprint: renamed(made, "p-fork").plan.fingerprint,
    library: "0.1.0",
  });
  await world.wish(desired());
  /** All that was sold is complete, and written. */
  const rest = async (): Promise<Head> => {
    let last = -1;
    await world.until(({ completed, pending }) => {
      const isSame = pending === null && completed?.checkpointId === last;
      last = completed?.checkpointId ?? -1;
      return isSame && [...counts("shops").values()].reduce((sum: number, n) => sum + Number(n), 0) === sold();
    }, 600_000);
    return (await world.head()) as Head;
  };
  return { ...world, sell, rest, counts, forkStore, forked, options };
}

const quietly = { countRows: () => 0, onProgress: () => undefined };

const problemsOf = async ({ forkStore }: Awaited<ReturnType<typeof running>>, head: Head) =>
  (await verifyCheckpoint(forkStore, head.incarnation, head.completed as CheckpointRef, quietly)).problems;

/** The oldest complete checkpoint that is like this. */
async function checkpointWhere(
  world: Awaited<ReturnType<typeof running>>,
  holds: (frames: number) => boolean,
): Promise<CheckpointRef> {
  const head = (await world.head()) as Head;
  for (const { id } of (await listCheckpoints(world.store, head)).toReversed()) {
    const ref = (await findCheckpoint(world.store, head, id)) as CheckpointRef;
    if (holds(closedRanges(await readManifest(world.store, head.incarnation, ref)).length)) return ref;
  }
  throw new Error("there is no such checkpoint");
}

const ofOrigin = (world: Awaited<ReturnType<typeof running>>) =>
  sha256(
    JSON.stringify([
      world.services.registers.all().filter(({ key }) => key.group === "p" && !key.name.startsWith("progress/")),
      world.services.bucket.keys().filter((key) => key.startsWith("p/")),
    ]),
  );
const leftOf = (world: Awaited<ReturnType<typeof running>>) => [
  ...world.services.registers.all().filter(({ key }) => key.group === "p-fork"),
  ...world.services.bucket.keys().filter((key) => key.startsWith("p-fork/")),
];

describe("a fork", () => {
  it.each([
    [1, 0, (frames: number) => frames === 0],
    [2, 1_500, (frames: number) => frames > 0],
  ] as const)(
    "W2 E3 at parallelism %i ends as its origin does, in its own table, and its origin is as it was",
    async (parallelism, way, holds) => {
      const world = await running(parallelism, way);
      for (let burst = 0; burst < 8; burst++) {
        world.sell(30);
        await world.until(() => false, 1_500);
      }
      await world.rest();
      const from = await checkpointWhere(world, holds);
      // Each shop sells after it, so that each has a row beside.
      world.sell(shops);
      const before = await world.rest();
      const lines = world.disk.paths();
      const origin = ofOrigin(world);

      const head = await makeFork(world.store, world.forkStore, world.options(from));
      expect(ofOrigin(world)).toBe(origin);
      expect(head).toMatchObject({ status: "stopped", savepoints: [{ name: "origin" }], failures: [] });
      expect(head.incarnation).not.toBe(before.incarnation);
      const found = await verifyCheckpoint(world.forkStore, head.incarnation, head.completed as CheckpointRef, quietly);
      expect(found).toMatchObject({ problems: [] });

      await world.forked.wish(desired());
      const isCounted = () => JSON.stringify([...world.counts("shops-v2")].sort());
      const wanted = JSON.stringify([...world.counts("shops")].sort());
      await world.forked.until(() => isCounted() === wanted, 600_000);
      expect(isCounted()).toBe(wanted);
      const now = (await world.forked.head()) as Head;
      expect(now).toMatchObject({ status: "running", failures: [] });
      expect((await readGenerationRecord(world.forkStore, now)).forkOf).toEqual({
        pipeline: "p",
        incarnation: before.incarnation,
        checkpointId: from.checkpointId,
      });
      expect(world.disk.paths()).toEqual(lines);
    },
  );

  it("W2 C2 whatever is asked of it, it never writes where its origin does", async () => {
    const world = await running(1);
    world.sell(9);
    const { completed } = await world.rest();
    await makeFork(world.store, world.forkStore, world.options(completed as CheckpointRef));
    await world.forked.wish(desired());
    const head = await world.forked.until(({ status }) => status === "running", 60_000);
    const from = head?.completed ?? null;
    for (const mode of [{ kind: "overwrite" }, { kind: "normal" }] as const) {
      const request = { id: mode.kind, kind: "restore", from, sinks: { shops: mode }, dropped: [] } as const;
      const desiredNow = await world.services.registers.registers.read({ group: "p-fork", name: "desired" });
      const refused = await world.forked.ask(desired({ request }), desiredNow?.version ?? 0);
      expect(String(refused)).toMatch(/is a fork of "p", and its sink "shops" would write where that one does/);
    }
    expect(await world.forked.head()).toMatchObject({ generation: head?.generation, failures: [] });
  });

  it("R7 that has run and lost its head is not made again: what it has shown would be shown twice", async () => {
    const world = await running(1);
    world.sell(9);
    const { completed } = await world.rest();
    const make = () => makeFork(world.store, world.forkStore, world.options(completed as CheckpointRef));
    await make();
    await world.forked.wish(desired());
    await world.forked.until(({ status }) => status === "running", 60_000);
    await world.services.registers.registers.remove({ group: "p-fork", name: "head" });
    await expect(make()).rejects.toThrow(/of a fork "p-fork" that has run.*fork --delete --name p-fork/);
    await removeFork(world.forkStore);
    await make();
  });

  it("R6 cut short at any call it leaves no pipeline, and what it left is removed, also where that is cut short", async () => {
    const world = await running(2, 1_500);
    for (let burst = 0; burst < 6; burst++) {
      world.sell(30);
      await world.until(() => false, 1_500);
    }
    await world.rest();
    const cutShort = await checkpointWhere(world, (frames) => frames > 0);
    const from = (await world.head())?.completed as CheckpointRef;
    expect(from.checkpointId).toBeGreaterThan(cutShort.checkpointId);
    for (let call = 1, died = true; died; call++) {
      for (const when of ["before", "after"] as const) {
        const cut = cutPorts(world.deployment.world, { call, when });
        const { registers, blobs } = cut.world;
        const making = makeFork(
          { ...world.store, registers, blobs },
          { ...world.forkStore, registers, blobs },
          world.options(cutShort),
        ).then(() => "made" as const);
        const outcome = await Promise.race([making, cut.died]);
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        died = outcome === "died";
        const head = (await readHead(world.forkStore))?.value ?? null;
        if (head !== null) expect(await problemsOf(world, head)).toEqual([]);
        expect(head !== null || died).toBe(true);
        // Made again it is whole, whatever is left of the first, and is known for a fork of what it was made of.
        if (head === null) await makeFork(world.store, world.forkStore, world.options(from));
        const { checkpointId } = head === null ? from : cutShort;
        expect(await forkOf(world.forkStore)).toMatchObject({ pipeline: "p", checkpointId });

        const removing = cutPorts(world.deployment.world, { call: 1 + (call % 9), when });
        const half = removeFork({
          ...world.forkStore,
          registers: removing.world.registers,
          blobs: removing.world.blobs,
        });
        await Promise.race([half, removing.died]);
        // What it is made of goes after the head: there is a whole one, or none.
        const rest = (await readHead(world.forkStore))?.value ?? null;
        if (rest !== null) expect(await problemsOf(world, rest)).toEqual([]);
        await removeFork(world.forkStore);
        expect(leftOf(world)).toEqual([]);
      }
    }
    expect(await removeFork(world.forkStore)).toBe(false);
    await expect(removeFork(world.store)).rejects.toThrow('pipeline "p" is no fork');
  });
});
