// W2: where a redirect or a dry run may end, of sinks whose rows are not overwritten.
import { dynamoTable, fileSink, pipeline } from "tidemark";
import { describe, expect, it } from "vitest";
import { readManifest, writeManifest } from "../../lib/checkpoint/store.js";
import { askedModes } from "../../lib/cli/replay/asked-modes.js";
import { checkNormal } from "../../lib/cli/replay/back-to-normal.js";
import { modesOfStart } from "../../lib/cli/start-again.js";
import { writeEdited } from "../../lib/cli/state-edit.js";
import { parseKey } from "../../lib/cli/state-key.js";
import type { CheckpointRef, Manifest } from "../../lib/model/checkpoints.js";
import type { Head, SinkMode } from "../../lib/model/head.js";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

const counting = () =>
  pipeline("p", salesOptions, (flow) => {
    const counts = countSales(flow);
    return [
      counts.to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
      counts.to("lines", fileSink({ folder: "/out" })),
    ] as const;
  });

function running() {
  const world = cloud(counting());
  for (const table of ["shops", "shops-v2"]) world.tables.createTable(table, [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 1);
  const { plan } = counting();
  let asked = 0;
  const head = async () => (await world.head()) as Head;
  return {
    ...world,
    plan,
    sell: salesInto(world).sell,
    /** Goes back with all sinks in this mode; resolves at a checkpoint of it that is new. */
    async replay(from: CheckpointRef, mode: SinkMode): Promise<CheckpointRef> {
      asked += 1;
      const sinks = { shops: mode, lines: mode };
      await world.ask(
        desired({ request: { id: `replay ${asked}`, kind: "restore", from, sinks, dropped: [] } }),
        asked,
      );
      const of = asked + 1;
      await world.until(({ generation, completed }) => generation === of && completed?.generation === of, 60_000);
      await world.until(() => false, 3_000);
      return (await head()).completed as CheckpointRef;
    },
    normal: async (from: CheckpointRef, isAlone = true) =>
      checkNormal({ store: world.store, plan, isAlone }, await head(), {
        from,
        modes: askedModes(plan, ["normal"]).modes,
      }),
    start: async (from: CheckpointRef, isAlone = true) =>
      modesOfStart({ store: world.store, plan, isAlone }, await head(), from),
    async edited(ref: CheckpointRef): Promise<CheckpointRef> {
      const manifest = await readManifest(world.store, (await head()).incarnation, ref);
      const change = { name: "mended", how: "set", operator: "count", key: parseKey("s1"), states: { n: 7 } } as const;
      return writeEdited({ store: world.store, plan }, { ref, manifest }, change);
    },
  };
}

const redirected: SinkMode = { kind: "redirect", suffix: "v2" };
const twice = /normal output of "lines" was shown after checkpoint \d+, and would be there twice/;

describe("W2 normal output", () => {
  it("W2 is refused from a checkpoint with other state, where the one that it was made of has output behind it", async () => {
    const world = running();
    await world.wish(desired());
    const older = await world.sell(3);
    await world.sell(3);
    const mended = await world.edited(older);
    await expect(world.normal(older)).rejects.toThrow(twice);
    await expect(world.normal(mended)).rejects.toThrow(twice);
  });

  it("W2 is allowed from a checkpoint with other state that was made of the last one", async () => {
    const world = running();
    await world.wish(desired());
    const last = await world.sell(3);
    await expect(world.normal(await world.edited(last))).resolves.toBeUndefined();
  });

  it("W2 is refused where a redirect lies in between, and normal output behind that", async () => {
    const world = running();
    await world.wish(desired());
    const before = await world.sell(3);
    await world.replay(before, redirected);
    const beside = await world.sell(3);
    await world.replay(beside, { kind: "normal" });
    await world.sell(3);
    await expect(world.normal(before)).rejects.toThrow(twice);
  });

  it("W2 is refused within a redirect that has not read as far as normal output did: what lies between would be there twice", async () => {
    const world = running();
    await world.wish(desired());
    const older = await world.sell(3);
    const newer = await world.sell(3);
    const beside = await world.replay(older, redirected);
    const { incarnation } = (await world.head()) as Head;
    const [first, last] = await Promise.all([older, beside].map((ref) => readManifest(world.store, incarnation, ref)));
    // The first checkpoint of the redirect, if it had been made sooner.
    const soon = await writeManifest(world.store, { ...last, shards: first?.shards } as Manifest);
    await expect(world.normal(soon)).rejects.toThrow(twice);
    await expect(world.normal(older)).rejects.toThrow(twice);
    await expect(world.normal(newer)).resolves.toBeUndefined();
  });

  it("W2 is refused while what runs writes there: another checkpoint may be complete before the replay begins", async () => {
    const world = running();
    await world.wish(desired());
    const last = await world.sell(3);
    await expect(world.normal(last, false)).rejects.toThrow(/"lines" is shown by what runs.*stop the pipeline first/);
    const beside = await world.replay(last, redirected);
    await expect(world.normal(last, false)).resolves.toBeUndefined();
    await expect(world.normal(beside, false)).resolves.toBeUndefined();
  });

  it("W2 is allowed within a redirect that has read further than all normal output", async () => {
    const world = running();
    await world.wish(desired());
    const older = await world.sell(3);
    await world.sell(3);
    await world.replay(older, redirected);
    await expect(world.normal(await world.sell(3))).resolves.toBeUndefined();
  });

  it("W2 is allowed from the last checkpoint before a redirect, again and again", async () => {
    const world = running();
    await world.wish(desired());
    const last = await world.sell(3);
    await world.replay(last, redirected);
    await world.sell(3);
    await expect(world.normal(last)).resolves.toBeUndefined();
    await world.replay(last, { kind: "dry-run" });
    await world.sell(3);
    await expect(world.normal(last)).resolves.toBeUndefined();
  });
});

describe("W2 start --from", () => {
  it("W2 refuses, too, where files are redirected: those of the redirect would have rows twice", async () => {
    const world = running();
    await world.wish(desired());
    const last = await world.sell(3);
    const older = await world.replay(last, redirected).then(() => world.sell(3));
    await world.sell(3);
    await expect(world.start(older)).rejects.toThrow(/lines \(file\): what it has shown[\s\S]*tidemark replay/);
  });

  it("W2 from the last checkpoint refuses while something runs: files of the next one would be there twice", async () => {
    const world = running();
    await world.wish(desired());
    const last = await world.sell(3);
    await expect(world.start(last)).resolves.toEqual({});
    await expect(world.start(last, false)).rejects.toThrow(
      /its last one for now[\s\S]*lines \(file\)[\s\S]*stop it first/,
    );
  });
});
