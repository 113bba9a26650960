// Which forks a pipeline has, and which of them may be removed.
import { dynamoTable, pipeline } from "tidemark";
import { expect, it } from "vitest";
import { makeFork } from "../../lib/checkpoint/fork.js";
import { isRemovable, removeFork } from "../../lib/checkpoint/fork-removal.js";
import { checkForkOf, forgetFork, listForks, measureFork, noteFork } from "../../lib/checkpoint/forks.js";
import { readHead, swapHead, swapLease } from "../../lib/checkpoint/store.js";
import { millis } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { desired, held, lease } from "./checkpoint-samples.js";
import { cutPorts } from "./cut-ports.js";
import { cloud } from "./runtime-world.js";
import { countSales, salesInto, salesOptions } from "./sales.js";

async function forked() {
  const made = pipeline("p", salesOptions, (flow) =>
    countSales(flow).to("shops", dynamoTable({ table: "shops", key: ["shop"] })),
  );
  const world = cloud(made);
  world.tables.createTable("shops", [{ name: "shop", type: "string" }]);
  world.stream.createStream("flights", 1);
  await world.wish(desired());
  const from = await salesInto(world).sell(30);
  const options = {
    from,
    dropped: [],
    sinks: { shops: { kind: "dry-run" } },
    fingerprint: sha256("f"),
    library: "1",
  } as const;
  const at = (name: string) => ({ ...world.store, pipeline: name });
  return { ...world, at, from, make: (name: string) => makeFork(world.store, at(name), options), options };
}

it("W2 forks are listed by what is there: also those cut short, and none that is another pipeline's", async () => {
  const world = await forked();
  const { store, at, make, from } = world;
  expect(await listForks(store)).toEqual([]);
  await make("p-fork");
  await noteFork(store, "trial");
  await make("trial");
  // Noted, and nothing is there.
  await noteFork(store, "gone");
  await noteFork(store, "broken");
  const cut = cutPorts(world.deployment.world, { call: 8, when: "before" });
  const { registers, blobs } = cut.world;
  await Promise.race([makeFork(store, { ...at("broken"), registers, blobs }, world.options), cut.died]);
  const checkpoint = from.checkpointId;
  expect(await listForks(store)).toEqual([
    { name: "broken", checkpoint, status: "cut short" },
    { name: "p-fork", checkpoint, status: "stopped" },
    { name: "trial", checkpoint, status: "stopped" },
  ]);
  // Of which pipeline it is says the fork, not who asks.
  await noteFork(at("trial"), "p-fork");
  expect(await listForks(at("trial"))).toEqual([]);

  await checkForkOf(at("trial"), "p");
  await expect(checkForkOf(at("trials"), "p")).rejects.toThrow('has no fork "trials"; it has: broken, p-fork, trial');
  await expect(checkForkOf(store, "p")).rejects.toThrow('has no fork "p"');
  await expect(checkForkOf(at("trial"), "q")).rejects.toThrow('pipeline "q" has no fork "trial"; it has: none');
  await expect(checkForkOf(at("broken"), "p")).rejects.toThrow(/cut short.*fork … --delete --name broken/);

  const { objects, items } = await measureFork(at("trial"));
  expect(Math.min(objects, items)).toBeGreaterThan(1);
  for (const name of ["trial", "broken"]) {
    expect(await removeFork(at(name))).toBe(true);
    await forgetFork(store, name);
    expect(await measureFork(at(name))).toEqual({ objects: 0, items: 0 });
  }
  expect((await listForks(store)).map(({ name }) => name)).toEqual(["p-fork"]);
});

it("N4 a fork whose process is gone may be removed once nobody can run it any more", async () => {
  const { store, at, make, clock } = await forked();
  await make("trial");
  expect(await isRemovable(at("trial"))).toBe(true);
  expect(await isRemovable(at("trials"))).toBe(false);
  const head = await readHead(at("trial"));
  if (head === null) throw new Error("there is no fork");
  await swapHead(at("trial"), head.version, { ...head.value, status: "running", endedAt: null });
  const refused = /the fork "trial" is running: stop it first, with Ctrl-C.*that made it, and stop it then/;
  await expect(isRemovable(at("trial"))).rejects.toThrow(refused);
  const { incarnation, generation } = head.value;
  const holder = held({ deadline: millis(clock.now() + 60_000) });
  await swapLease(at("trial"), incarnation, null, lease(holder, { generation }));
  await expect(removeFork(at("trial"))).rejects.toThrow(/or remove it after \d{4}-/);
  await clock.sleep(5 * 60_000);
  await expect(removeFork(at("trial"))).rejects.toThrow(/or remove it after/);
  await clock.sleep(2 * 60_000);
  expect(await removeFork(at("trial"))).toBe(true);
  expect(await listForks(store)).toEqual([]);
});
