// R7: what a checkpoint took, and cost, is known as long as it is kept: also when all processes and the table are gone.
import { dynamoTable, pipeline } from "tidemark";
import { expect, it } from "vitest";
import { listCheckpoints, readRestorable } from "../../lib/checkpoint/history.js";
import { readMarked } from "../../lib/checkpoint/marked.js";
import { planRecovery, recover } from "../../lib/checkpoint/recover.js";
import { readManifest } from "../../lib/checkpoint/store.js";
import { explain } from "../../lib/cli/explain-report.js";
import type { CheckpointRef } from "../../lib/model/checkpoints.js";
import type { Head } from "../../lib/model/head.js";
import { checkpointId } from "../../lib/model/ids.js";
import { desired } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

const counting = pipeline("p", { ...salesOptions, parallelism: 2 }, (flow) =>
  countSales(flow).to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
);

it("R7 durations, bytes, requests and prices of old checkpoints are told as before, by the bucket alone and after a recovery", async () => {
  const world = cloud(counting, { way: () => 10 });
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 2);
  const { sell } = salesInto(world);
  await world.wish(desired());
  for (let n = 0; n < 4; n++) await sell(30);
  await world.crash();
  await sell(30);
  const { store, services } = world;
  const told = async (head: Head) => {
    const read = (ref: CheckpointRef) => readManifest(store, head.incarnation, ref);
    const all = await readRestorable(read, head);
    const explained = all.map(async ({ ref, manifest }) =>
      explain(ref, manifest, manifest.previous === null ? null : await read(manifest.previous)),
    );
    return { listed: await listCheckpoints(store, head), explained: await Promise.all(explained) };
  };
  const head = (await world.head()) as Head;
  const before = await told(head);
  expect(before.listed.length).toBeGreaterThan(4);
  expect(new Set(before.listed.map(({ generation }) => generation)).size).toBe(2);
  for (const { dollars, bytes, durationMillis } of before.explained)
    expect(Math.min(dollars, bytes, durationMillis ?? 0)).toBeGreaterThan(0);

  for (const { key } of services.registers.all()) await services.registers.registers.remove(key);
  await world.crash();
  const byBucket = await Promise.all(
    before.explained.map(async ({ checkpoint }) => {
      const { ref, manifest } = await readMarked(store, head.incarnation, checkpointId(checkpoint));
      const previous = manifest.previous && (await readMarked(store, head.incarnation, manifest.previous.checkpointId));
      return explain(ref, manifest, previous?.manifest ?? null);
    }),
  );
  expect(byBucket).toEqual(before.explained);

  const options = { incarnation: null, checkpoint: null, fingerprint: counting.plan.fingerprint, library: "0.1.0" };
  const after = await told(await recover(store, await planRecovery(store, options)));
  // The last of all may have become complete after it was looked at.
  const known = new Set(before.listed.map(({ id }) => id));
  expect(after.listed.filter(({ id }) => known.has(id))).toEqual(before.listed);
  expect(after.explained.filter(({ checkpoint }) => known.has(checkpointId(checkpoint)))).toEqual(before.explained);
});
