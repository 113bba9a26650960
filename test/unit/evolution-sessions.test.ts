// P2 with sessions: what other code finds of the state before it, when it is deployed.
import { dynamoTable, json, kinesisSource, list, pipeline, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { readManifest } from "../../lib/checkpoint/store.js";
import type { Head } from "../../lib/model/head.js";
import type { Migration } from "../../lib/pipeline/migrations.js";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

interface Sale {
  readonly shop: number;
}
type World = ReturnType<typeof cloud>;

const flow = { checkpoint: { interval: "1s", timeout: "10s" }, session: { reserve: "30s" } } as const;
const sales = kinesisSource({ stream: "flights", codec: json<Sale>(), start: "trim-horizon" });
const shops = dynamoTable({ table: "shops", key: ["shop"] });

const first = pipeline("p", flow, (from) =>
  from
    .from("flights", sales)
    .keyBy(({ shop }) => `s${shop}`)
    .process("count", {
      state: { n: value(0) },
      onRecord: (_, { key, state }) => {
        state.n.update((n) => n + 1);
        return { shop: key, n: state.n.get() };
      },
    })
    .to("shops", shops),
);

const second = (migrate: Readonly<Record<number, Migration>>) =>
  pipeline("p", flow, (from) =>
    from
      .from("flights", sales)
      .keyBy(({ shop }) => `s${shop}`)
      .process("count", {
        version: 2,
        migrate,
        state: { total: value(0) },
        onRecord: (_, { key, state }) => {
          state.total.update((n) => n + 1);
          return { shop: key, n: state.total.get() };
        },
      })
      .to("shops", shops),
  );

const put = (world: World, count: number) => {
  for (let i = 0; i < count; i++) world.stream.put("flights", `k${i}`, Buffer.from(JSON.stringify({ shop: i % 4 })));
};
const sum = (world: World) => world.tables.items("shops").reduce((all, item) => all + Number(item.n), 0);

async function running(made: Parameters<typeof cloud>[0] = first) {
  const world = cloud(made);
  world.stream.createStream("flights", 2);
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  put(world, 40);
  await world.wish(desired());
  await world.until(() => sum(world) === 40, 60_000);
  expect(sum(world)).toBe(40);
  return world;
}

describe("P2 a deploy of code with another version of state", () => {
  it("P2 migrates every key once, counts on from there, and saves it in the new version, also after a crash on the way", async () => {
    const world = await running();
    world.release(second({ 1: (old: { n: number }) => ({ total: old.n }) }));
    await world.until(({ generation, status }) => generation === 2 && status === "running", 300_000);
    await world.crash();
    await world.until(({ generation, status }) => generation === 3 && status === "running", 300_000);
    put(world, 8);
    await world.until(() => sum(world) === 48, 60_000);
    expect(sum(world)).toBe(48);
    const head = (await world.until(
      ({ completed, origin }) => completed?.checkpointId !== origin?.checkpointId,
      60_000,
    )) as Head;
    const { tasks } = await readManifest(
      world.store,
      head.incarnation,
      head.completed as NonNullable<Head["completed"]>,
    );
    const [file, ...deltas] = tasks.flatMap(({ snapshot: { base, deltas: all } }) => [base, ...all]);
    expect(file?.slices.map(({ stateVersion }) => stateVersion)).toEqual([2]);
    expect(file?.operators).toEqual({ count: { keys: ["string"], states: { total: "value" } } });
    expect(deltas.flatMap((delta) => delta?.slices ?? []).every(({ stateVersion }) => stateVersion === 2)).toBe(true);
  });

  it("P2 without a way from the old version is taken back before anything is fenced", async () => {
    const world = await running();
    world.release(second({}));
    const head = await world.until(({ failures }) => failures.length > 0, 300_000);
    expect(head).toMatchObject({
      generation: 1,
      status: "running",
      failures: [{ kind: "rejected", message: expect.stringContaining("migrate has no step from version 1 to 2") }],
    });
    put(world, 4);
    await world.until(() => sum(world) === 44, 60_000);
    expect(sum(world)).toBe(44);
  });

  it("P2 whose migration throws is taken back, with operator and key", async () => {
    const world = await running();
    world.release(
      second({
        1: () => {
          throw new Error("not this one");
        },
      }),
    );
    const head = await world.until(({ generation, status }) => generation === 3 && status === "running", 600_000);
    const [failure] = head?.failures ?? [];
    expect(failure?.message).toMatch(/operator "count", key "s\d": migrate from version 1 to 2: not this one/);
  });
});

describe("P2 a deploy of code that has changed what it says nothing of", () => {
  it("P2 another kind of state in the same version is found before anything is fenced", async () => {
    const world = await running();
    world.release(
      pipeline("p", flow, (from) =>
        from
          .from("flights", sales)
          .keyBy(({ shop }) => `s${shop}`)
          .process("count", {
            state: { n: list<number>() },
            onRecord: (_, { key, state }) => ({ shop: key, n: state.n.get().length }),
          })
          .to("shops", shops),
      ),
    );
    const head = await world.until(({ failures }) => failures.length > 0, 300_000);
    expect(head).toMatchObject({
      generation: 1,
      failures: [{ message: expect.stringContaining('"n" is a value in the checkpoint and a list in the plan') }],
    });
  });

  it.each(["fail", "quarantine"] as const)(
    "P2 keys of another type are found at the first record, with onBadRecord %s",
    async (onBadRecord) => {
      const bad =
        onBadRecord === "fail" ? {} : { onBadRecord, deadLetters: dynamoTable({ table: "bad", key: ["id"] }) };
      const keyed = (keyOf: (sale: Sale) => string | number) =>
        pipeline("p", { ...flow, ...bad }, (from) =>
          from
            .from("flights", sales)
            .keyBy(keyOf)
            .process("count", {
              state: { n: value(0) },
              onRecord: (_, { key, state }) => {
                state.n.update((n) => n + 1);
                return { shop: `${key}`, n: state.n.get() };
              },
            })
            .to("shops", shops),
        );
      const world = cloud(keyed(({ shop }) => `s${shop}`));
      world.stream.createStream("flights", 2);
      world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
      world.tables.createTable("bad", [{ name: "id", type: "string" }]);
      put(world, 40);
      await world.wish(desired());
      await world.until(() => sum(world) === 40, 60_000);
      world.release(keyed(({ shop }) => shop));
      await world.until(({ generation, status }) => generation === 2 && status === "running", 300_000);
      put(world, 4);
      const head = await world.until(({ generation, status }) => generation === 3 && status === "running", 300_000);
      expect(head?.failures[0]?.message).toMatch(
        /operator "count" failed.*is by keys of type string, and keyBy now gives one of type number.*--allow-dropped count/,
      );
      await world.until(() => sum(world) === 44, 60_000);
      expect([sum(world), world.tables.items("bad").length]).toEqual([44, 0]);
    },
  );
});
