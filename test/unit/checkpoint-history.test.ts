import { describe, expect, it } from "vitest";
import { historyMax, listCheckpoints } from "../../lib/checkpoint/history.js";
import { manifestKey, manifestName } from "../../lib/checkpoint/names.js";
import { writeManifest } from "../../lib/checkpoint/store.js";
import type { CheckpointRef, Manifest } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";
import type { Position, ShardEntry } from "../../lib/model/shards.js";
import { ack, head, incarnation, manifest, now, task1 } from "./checkpoint-samples.js";
import { memoryStore } from "./checkpoint-worlds.js";

const made = memoryStore;
type Store = ReturnType<typeof made>["store"];

/** Completes these checkpoints, each upon the one before. */
async function chain(
  store: Store,
  ids: readonly number[],
  after: CheckpointRef | null = null,
  over: Partial<Manifest> = {},
) {
  const refs: CheckpointRef[] = [];
  for (const id of ids) {
    const previous = refs.at(-1) ?? after;
    refs.push(await writeManifest(store, manifest({ checkpointId: checkpointId(id), previous, ...over })));
  }
  return refs;
}
const ids = async (store: Store, over: Parameters<typeof head>[0]) =>
  (await listCheckpoints(store, head(over))).map(({ id }) => id);
const last = (refs: readonly CheckpointRef[]) => refs.at(-1) ?? null;

describe("R7 which checkpoints there are", () => {
  it("R7 none", async () => {
    expect(await ids(made().store, { completed: null })).toEqual([]);
  });

  it("R7 those that can be reached from the completed one, newest first", async () => {
    const { store } = made();
    const refs = await chain(store, [1, 2, 5, 9, 10]);
    expect(await ids(store, { completed: last(refs) })).toEqual([10, 9, 5, 2, 1]);
    expect(await ids(store, { completed: refs[2] ?? null })).toEqual([5, 2, 1]);
  });

  it("R7 and from every tip that an opening left, each once", async () => {
    const { store } = made();
    const trunk = await chain(store, [1, 2, 3]);
    const left = await chain(store, [4, 5], last(trunk));
    const other = await chain(store, [6], trunk[0] ?? null, { generation: generation(2) });
    const completed = last(await chain(store, [7, 8], trunk[1] ?? null, { generation: generation(3) }));
    const tips = [left, other].map((refs) => last(refs)).filter((tip) => tip !== null);
    expect(await ids(store, { completed, left: tips })).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
    expect(await ids(store, { completed: null, left: tips })).toEqual([6, 5, 4, 3, 2, 1]);
  });

  it("G2 not what lies below the floor: it may be deleted, and is not asked for", async () => {
    const { store } = made();
    const refs = await chain(store, [1, 2, 3, 4]);
    const gone = refs[1] as CheckpointRef;
    await store.registers.remove({ group: "p", name: manifestName(incarnation, gone) });
    await store.blobs.remove([manifestKey("p", incarnation, gone)]);
    expect(await ids(store, { completed: last(refs), floor: checkpointId(3) })).toEqual([4, 3]);
    await expect(ids(store, { completed: last(refs) })).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("P3 R7 a manifest that is not what was written is read from its copy; without one it is corrupt", async () => {
    const { store } = made();
    const refs = await chain(store, [1, 2]);
    const name = manifestName(incarnation, refs[0] as CheckpointRef);
    const key = { group: "p", name };
    const body = (await store.registers.read(key))?.body ?? "";
    await store.registers.put(key, body.replace('"p"', '"q"'));
    expect(await ids(store, { completed: last(refs) })).toEqual([2, 1]);
    await store.blobs.remove([manifestKey("p", incarnation, refs[0] as CheckpointRef)]);
    await expect(ids(store, { completed: last(refs) })).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("more than the limit: the oldest are left out", async () => {
    const { store } = made();
    const refs = await chain(
      store,
      Array.from({ length: historyMax + 3 }, (_, i) => i + 1),
    );
    const found = await ids(store, { completed: last(refs) });
    expect([found.length, found[0], found.at(-1)]).toEqual([historyMax, historyMax + 3, 4]);
  });
});

describe("what is said of a checkpoint", () => {
  const summary = async (over: Partial<Manifest>) => {
    const { store } = made();
    const completed = await writeManifest(store, manifest(over));
    const [found] = await listCheckpoints(store, head({ completed }));
    return found;
  };

  it("figures of all its tasks, and times as ISO 8601", async () => {
    const figures = (ackedAt: number, bytes: number, recordsIn: number) => ({
      ...ack().figures,
      ackedAt: millis(ackedAt),
      bytes,
      recordsIn,
    });
    const tasks = [
      ack({ figures: figures(now - 100, 10, 5) }),
      ack({ task: task1, figures: figures(now - 300, 7, 8) }),
    ];
    expect(await summary({ triggeredAt: millis(now - 1_100), tasks, generation: generation(4) })).toEqual({
      id: 1,
      generation: 4,
      kind: "checkpoint",
      names: [],
      triggeredAt: new Date(now - 1_100).toISOString(),
      completedAt: new Date(now - 100).toISOString(),
      durationMillis: 1_000,
      bytes: 17,
      records: 13,
      positions: [],
    });
  });

  it("clocks that differ make no negative duration", async () => {
    expect(await summary({ triggeredAt: millis(now + 60_000) })).toMatchObject({ durationMillis: 0 });
  });

  it.each([
    ["continue", "checkpoint"],
    ["suspend", "suspend"],
    ["stop", "stop"],
    ["finish", "final"],
  ] as const)(
    "then %s: it is called %s, and a savepoint where the head names it so, whatever it was made as",
    async (andThen, kind) => {
      expect(await summary({ andThen })).toMatchObject({ kind, names: [] });
      expect(await summary({ andThen, savepoint: "deleted" })).toMatchObject({ kind, names: [] });
      const { store } = made();
      const [ref] = await chain(store, [1], null, { andThen });
      const savepoints = ["a", "b"].map((name) => ({ ...(ref as CheckpointRef), name, requestId: "q" }));
      const [found] = await listCheckpoints(store, head({ completed: ref ?? null, savepoints }));
      expect(found).toMatchObject({ kind: "savepoint", names: ["a", "b"] });
    },
  );

  it("where each shard of each source stands", async () => {
    const open = (position: Position): ShardEntry["at"] => ({ kind: "open", position });
    const end = { kind: "finished", generation: generation(1), producer: 0, sent: {}, readTo: now } as const;
    const table = (...at: readonly ShardEntry["at"][]) => ({
      streamArn: "arn",
      createdAt: now,
      start: now,
      shards: at.map((one, i) => ({ shardId: `s${i}`, parents: [], hashKeys: ["0", "1"] as const, at: one })),
    });
    const shards = {
      flights: table(open({ kind: "after", sequenceNumber: "495", sub: null, readTo: now }), end),
      weather: table(
        open({ kind: "horizon", readTo: null }),
        open({ kind: "beginning", readTo: now }),
        open({ kind: "timestamp", at: now, readTo: now }),
      ),
    };
    const found = (await summary({ shards }))?.positions.map(({ source, shard, at }) => `${source} ${shard} ${at}`);
    expect(found).toEqual([
      "flights s0 495",
      "flights s1 end",
      "weather s0 horizon",
      "weather s1 beginning",
      "weather s2 timestamp",
    ]);
  });
});
