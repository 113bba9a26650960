// W2 with sessions over memory ports: what becomes of output where an older checkpoint is gone back to.
import { dynamoCounters, dynamoTable, fileSink, kinesisStream, pipeline, s3Files } from "tidemark";
import { describe, expect, it } from "vitest";
import { readGenerationRecord } from "../../lib/checkpoint/store.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head, SinkMode } from "../../lib/model/head.js";
import { desired } from "./checkpoint-samples.js";
import { cloud, type Way } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

/** Counts in steps, so that rows tell which code wrote them; and every kind of sink. */
const counting = (step = 1) =>
  pipeline("p", salesOptions, (flow) => {
    const counts = countSales(flow, step);
    return [
      counts.to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
      counts.to("live", dynamoTable({ table: "live", key: ["shop"], delivery: "eager", stableKeys: true })),
      counts.to("alerts", kinesisStream({ stream: "alerts", partitionKey: ({ shop }) => shop })),
      counts.map(({ shop }) => ({ shop, sales: 1 })).to("totals", dynamoCounters({ table: "totals", key: ["shop"] })),
      counts.to("lines", fileSink({ folder: "/out/lines" })),
      counts.to("lake", s3Files({ bucket: "lake", prefix: "sales/" })),
    ] as const;
  });

const sinks = ["shops", "live", "alerts", "totals", "lines", "lake"] as const;
const tables = ["shops", "live", "totals"];
const all = (mode: SinkMode): Readonly<Record<string, SinkMode>> =>
  Object.fromEntries(sinks.map((sink) => [sink, mode]));

function running(way: Way = () => 0) {
  const world = cloud(counting(), { way });
  for (const table of [...tables, ...tables.map((name) => `${name}-v2`)])
    world.tables.createTable(table, [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 2);
  for (const stream of ["alerts", "alerts-v2"]) world.stream.createStream(stream, 1);
  world.lake.createBucket("lake");
  let wishes = 0;
  const keys = async (prefix: string) => {
    const found: string[] = [];
    for await (const { key } of world.lake.objects.list("lake", prefix)) found.push(key);
    return found.filter((key) => !key.includes("_tidemark/"));
  };
  return {
    ...world,
    begin: () => world.wish(desired()),
    sell: salesInto(world).sell,
    async replay(from: CheckpointRef, modes: Readonly<Record<string, SinkMode>>, code = desired().code) {
      const id = `replay ${++wishes}`;
      return world.ask(desired({ code, request: { id, kind: "restore", from, sinks: modes, dropped: [] } }), wishes);
    },
    record: async () => readGenerationRecord(world.store, (await world.head()) as Head),
    /** What readers see, by sink. */
    async seen(suffix = "") {
      const files = [...world.disk.paths()].filter((path) => path.startsWith(`/out/lines${suffix}/`));
      return {
        shops: world.tables.items(`shops${suffix}`),
        live: world.tables.items(`live${suffix}`),
        totals: world.tables.items(`totals${suffix}`).filter(({ shop }) => !String(shop).startsWith("~")),
        // What the older checkpoint covers is put again, and bears the same mark (C6).
        alerts: new Set(
          world.stream
            .shards(`alerts${suffix}`)
            .flatMap(({ shardId }) => world.stream.records(`alerts${suffix}`, shardId))
            .map(({ data }) => Buffer.from(data).toString("hex")),
        ).size,
        lines: files.filter((path) => !path.includes("/.staged/")).length,
        lake: (await keys(`sales${suffix}/`)).length,
      };
    },
  };
}

const countsOf = (rows: readonly Readonly<Record<string, unknown>>[], by = "n") =>
  rows.reduce((sum, row) => sum + Number(row[by] ?? 0), 0);

describe("W2 a replay", () => {
  it("W2 redirected writes beside what is there, which stays as it is; failures and wakes keep it so", async () => {
    const world = running();
    await world.begin();
    const older = await world.sell(9);
    const newer = await world.sell(9);
    const before = await world.seen();
    expect(before).toMatchObject({ alerts: 18 });
    expect(countsOf(before.shops)).toBe(18);

    expect(await world.replay(older, all({ kind: "redirect", suffix: "v2" }))).toBeNull();
    await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, 60_000);
    await world.until(() => false, 3_000);
    expect(await world.head()).toMatchObject({ origin: older, left: [newer] });
    expect(await world.record()).toMatchObject({ reason: "replay", origin: older });
    expect(await world.seen()).toEqual(before);
    const beside = await world.seen("-v2");
    expect(countsOf(beside.shops)).toBe(18);
    expect(countsOf(beside.live)).toBe(18);
    expect(countsOf(beside.totals, "sales")).toBe(9);
    expect(beside).toMatchObject({ alerts: 9 });
    expect(beside.lines).toBeGreaterThan(0);
    expect(beside.lake).toBeGreaterThan(0);

    await world.crash();
    await world.until(({ generation }) => generation === 3, 60_000);
    expect(await world.record()).toMatchObject({ reason: "failure", sinks: all({ kind: "redirect", suffix: "v2" }) });
    await world.sell(9);
    expect(await world.seen()).toEqual(before);
    expect(countsOf((await world.seen("-v2")).shops)).toBe(27);
  });

  it("W2 C2 what was prepared under a name goes there, though its sink is redirected now", async () => {
    let held = false;
    const way: Way = (method, what) => (held && method === "put" && tableOf(what) === "shops" ? 3_600_000 : 0);
    const world = running(way);
    await world.begin();
    await world.sell(9);
    held = true;
    const last = await world.sell(9);
    expect(countsOf(world.tables.items("shops"))).toBe(9);
    held = false;
    expect(await world.replay(last, all({ kind: "redirect", suffix: "v2" }))).toBeNull();
    await world.until(({ generation }) => generation === 2, 60_000);
    await world.sell(3);
    expect(countsOf(world.tables.items("shops"))).toBe(18);
    expect(countsOf(world.tables.items("shops-v2"))).toBe(21);
  });

  it("W2 in a dry run nothing is written anywhere, and rows are counted, once, through failures", async () => {
    const world = running();
    await world.begin();
    const older = await world.sell(9);
    await world.sell(9);
    const before = await world.seen();
    expect(await world.replay(older, all({ kind: "dry-run" }))).toBeNull();
    await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, 60_000);
    await world.crash();
    await world.until(({ generation }) => generation === 3, 60_000);
    await world.sell(6);
    expect(await world.seen()).toEqual(before);
    const progress = await world.store.registers.list("p", "progress/");
    const last = progress.map(({ register }) => JSON.parse(register.body) as { dryRows?: unknown }).at(-1);
    expect(last?.dryRows).toEqual(Object.fromEntries(sinks.map((sink) => [sink, 15])));
  });

  it("W2 overwritten ends as the new code alone would have, from there on", async () => {
    const world = running();
    await world.begin();
    const older = await world.sell(9);
    await world.sell(9);
    const { code } = world.deploy(counting(100));
    const modes = { ...all({ kind: "dry-run" }), shops: { kind: "overwrite" }, live: { kind: "overwrite" } } as const;
    expect(await world.replay(older, modes, code)).toBeNull();
    await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, 60_000);
    await world.until(() => false, 3_000);
    for (const table of ["shops", "live"]) expect(countsOf(world.tables.items(table))).toBe(9 + 900);
  });

  it("R2 a failure of the replay goes back to what the replay has completed, else to its origin; never to what it left", async () => {
    const world = running();
    await world.begin();
    const older = await world.sell(9);
    const newer = await world.sell(9);
    await world.replay(older, all({ kind: "redirect", suffix: "v2" }));
    await world.until(({ generation }) => generation === 2, 60_000);
    await world.crash();
    const early = await world.until(({ generation }) => generation === 3, 60_000);
    expect(early).toMatchObject({ origin: older, left: [newer] });
    await world.until(({ completed }) => completed?.generation === 3, 60_000);
    await world.crash();
    const late = await world.until(({ generation }) => generation === 4, 60_000);
    expect(late?.origin?.generation).toBe(3);
    expect(late?.origin?.checkpointId).toBeGreaterThan(newer.checkpointId);
  });

  it.each([
    [
      "alerts",
      { kind: "overwrite" },
      /sink "alerts" \(kinesis-stream\) does not allow overwrite: its rows are applied.*It allows: redirect, dry-run/,
    ],
    ["totals", { kind: "overwrite" }, /does not allow overwrite: its rows are applied, not replaced/],
    ["lines", { kind: "overwrite" }, /does not allow overwrite: what it has shown stays/],
    ["lake", { kind: "overwrite" }, /does not allow overwrite: what it has shown stays/],
    ["nobody", { kind: "dry-run" }, /has no sink "nobody"; it has: shops, live, alerts, totals, lines, lake/],
  ] as const)("W2 R2 a mode that %s does not allow is refused, and what runs goes on", async (sink, mode, why) => {
    const world = running();
    await world.begin();
    const older = await world.sell(3);
    expect(String(await world.replay(older, { [sink]: mode }))).toMatch(why);
    await world.sell(3);
    expect(await world.head()).toMatchObject({ generation: 1, status: "running", failures: [] });
  });

  it("W2 a request that names no sinks leaves them as they are", async () => {
    const world = running();
    await world.begin();
    const older = await world.sell(9);
    await world.replay(older, all({ kind: "dry-run" }));
    await world.until(({ generation, completed }) => generation === 2 && completed?.generation === 2, 60_000);
    const plain = { id: "plain", kind: "restart", from: null, sinks: {}, dropped: [] } as const;
    expect(await world.ask(desired({ request: plain }), 2)).toBeNull();
    await world.until(({ generation }) => generation === 3, 60_000);
    expect((await world.record()).sinks).toEqual(all({ kind: "dry-run" }));
  });
});

const tableOf = (what: unknown): unknown => (what as { readonly table?: unknown } | null)?.table;
