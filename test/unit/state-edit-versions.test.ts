// P2: state is edited with the code that wrote it, also where an edit has to make a base of all operators.
import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";
import { expect, it } from "vitest";
import { readManifest } from "../../lib/checkpoint/store.js";
import { writeEdited } from "../../lib/cli/state-edit.js";
import { parseKey } from "../../lib/cli/state-key.js";
import type { Head } from "../../lib/model/head.js";
import { deltasMax } from "../../lib/state/compaction.js";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";
import { salesInto, salesOptions } from "./sales.js";

const shops = dynamoTable({ table: "shops", key: ["shop"] });

/** Two operators with state, the second one in a version of its own. */
const twice = (version: number) =>
  pipeline("p", salesOptions, (flow) =>
    flow
      .from(
        "sales",
        kinesisSource({ stream: "flights", codec: json<{ readonly shop: string }>(), start: "trim-horizon" }),
      )
      .keyBy(({ shop }) => shop)
      .process("count", {
        state: { n: value(0) },
        onRecord: (sale, { state }) => {
          state.n.update((n) => n + 1);
          return sale;
        },
      })
      .keyBy(({ shop }) => shop)
      .process("other", {
        version,
        ...(version === 1 ? {} : { migrate: { 1: (old: { readonly n?: number }) => ({ n: (old.n ?? 0) * 100 }) } }),
        state: { n: value(0) },
        onRecord: ({ shop }, { state }) => {
          state.n.update((n) => n + 1);
          return { shop, n: state.n.get() };
        },
      })
      .to("shops", shops),
  );

it("P2 an edit by code that has another operator in a newer version is refused, not a migration that nobody asked for", async () => {
  const { plan } = twice(1);
  const world = cloud({ plan });
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 1);
  await world.wish(desired());
  let ref = await salesInto(world).sell(9);
  const { incarnation } = (await world.head()) as Head;
  const edit = async (edits: number, by: typeof plan) => {
    const manifest = await readManifest(world.store, incarnation, ref);
    const change = { name: `e${edits}`, how: "set", operator: "count", key: parseKey("s1") } as const;
    return writeEdited({ store: world.store, plan: by }, { ref, manifest }, { ...change, states: { n: 100 + edits } });
  };
  const deltas = async () =>
    (await readManifest(world.store, incarnation, ref)).tasks.map(({ snapshot }) => snapshot.deltas.length);
  for (let edits = 1; Math.max(...(await deltas())) < deltasMax; edits++) ref = await edit(edits, plan);
  await expect(edit(1_000, twice(2).plan)).rejects.toThrow(
    /state of operator "other" in version 1, and this code declares version 2: edit it with the code of that version/,
  );
  ref = await edit(1_001, plan);
  expect(await deltas()).toContain(0);
});
