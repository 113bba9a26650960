// R7: the bucket alone says which checkpoints have a name.
import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import { planRecovery, recover } from "../../lib/checkpoint/recover.js";
import { writeSavepointMark } from "../../lib/checkpoint/savepoint-marks.js";
import { answerSavepoint } from "../../lib/checkpoint/savepoints.js";
import { readDesired, readHead, swapDesired, swapHead } from "../../lib/checkpoint/store.js";
import { settle } from "../../lib/checkpoint/transitions.js";
import { removeSavepoint, wishSavepoint } from "../../lib/checkpoint/wishes.js";
import { sha256 } from "../../lib/model/sha256.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { acking, checkpointed, own, started, type World } from "./checkpoint-cloud.js";
import { desired, ref } from "./checkpoint-samples.js";
import { expectedBy } from "./garbage-channels.js";
import { garbageWorld } from "./garbage-world.js";

const options = { incarnation: null, checkpoint: null, fingerprint: sha256("plan"), library: "0.1.0" };
const removeRegister = (at: Pick<World, "registers">, name: string) => at.registers.remove({ group: "p", name });

/** What the head has after it was lost, and rebuilt. */
async function afterLoss(at: World) {
  await removeRegister(at, "head");
  const plan = await planRecovery(at.store, options);
  const head = await recover(at.store, plan);
  return { plan, names: head.savepoints.map(({ name, checkpointId }) => [name, checkpointId]) };
}

/** Checkpoint 2 is its last. */
async function stopped() {
  const at = await started();
  for (let i = 0; i < 2; i++) await checkpointed(at);
  const found = await readHead(at.store);
  if (found === null) throw new Error("no head");
  await swapHead(at.store, found.version, settle(found.value, "stopped", at.clock.now()));
  return at;
}

async function makes(at: World): Promise<void> {
  for (let i = 0; i < 3; i++) {
    at.clock.pass(100);
    if ((await at.head()).pending !== null) await acking(at);
    await coordinate(at.coordinator(), [], own());
  }
}

describe("R7 names in the bucket", () => {
  it.each(["who asks", "the supervisor"])(
    "R7 a name that %s gave the last checkpoint of a pipeline that rests outlives its head",
    async (who) => {
      const at = await stopped();
      await wishSavepoint(at.store, { id: "q", name: "june" });
      await (who === "who asks" ? answerSavepoint(at.store) : coordinate(at.coordinator(), [], null));
      expect((await at.head()).savepoints).toMatchObject([{ name: "june", checkpointId: 2 }]);
      expect((await afterLoss(at)).names).toEqual([["june", 2]]);
    },
  );

  it("R7 so does one that a checkpoint was made for, and it is one that may be deleted", async () => {
    const at = await started();
    await wishSavepoint(at.store, { id: "q", name: "june" });
    await makes(at);
    await checkpointed(at);
    expect((await afterLoss(at)).names).toEqual([["june", 1]]);
    expect(await removeSavepoint(at.store, "june")).toBe(true);
    expect((await at.head()).savepoints).toEqual([]);
    expect((await afterLoss(at)).names).toEqual([]);
  });

  it.each(["a checkpoint was made for", "the last checkpoint of a rest got"])(
    "R7 a name that %s, and that was deleted, does not come back",
    async (how) => {
      const at = how.startsWith("a") ? await started() : await stopped();
      for (const name of ["june", "june-2"]) {
        await wishSavepoint(at.store, { id: name, name });
        await (how.startsWith("a") ? makes(at) : answerSavepoint(at.store));
      }
      expect((await at.head()).savepoints.map(({ name }) => name)).toEqual(["june", "june-2"]);
      await removeSavepoint(at.store, "june");
      expect((await afterLoss(at)).names.map(([name]) => name)).toEqual(["june-2"]);
    },
  );

  it("R7 the head dies within a deletion: the name is gone, as was wished", async () => {
    const at = await stopped();
    await wishSavepoint(at.store, { id: "q", name: "june" });
    await answerSavepoint(at.store);
    const dying = {
      ...at.store,
      registers: { ...at.store.registers, swap: () => Promise.reject(new Error("the process dies")) },
    };
    // The request is answered, so that only the head would change.
    const before = await readDesired(at.store);
    await swapDesired(at.store, before?.version ?? null, { ...(before?.value ?? desired()), savepoint: null });
    await expect(removeSavepoint(dying, "june")).rejects.toThrow("the process dies");
    expect((await afterLoss(at)).names).toEqual([]);
  });

  it("R7 marks of requests that came to nothing: the newest of a name counts, and only of what is complete", async () => {
    const at = await stopped();
    const { incarnation, completed } = await at.head();
    if (completed === null) throw new Error("nothing is complete");
    const plan = await planOf(at);
    const older = plan.restorable.find(({ ref: found }) => found.checkpointId === 1)?.ref ?? completed;
    await writeSavepointMark(at.store, incarnation, older, "june");
    await writeSavepointMark(at.store, incarnation, completed, "june");
    // Another folder's manifest, which the head did not select; and a checkpoint that was aborted.
    await writeSavepointMark(at.store, incarnation, { ...completed, sha256: sha256("another") }, "lost");
    await writeSavepointMark(at.store, incarnation, ref(9), "aborted");
    expect((await afterLoss(at)).names).toEqual([["june", 2]]);
    await removeSavepoint(at.store, "june");
    expect((await afterLoss(at)).names).toEqual([]);
  });
});

async function planOf(at: World) {
  const found = await readHead(at.store);
  await removeRegister(at, "head");
  const plan = await planRecovery(at.store, options);
  if (found !== null) await swapHead(at.store, null, found.value);
  return plan;
}

describe("R7 E3 names and frames on their way", () => {
  /** Checkpoint 1 has nothing on the way, the last one has frames. Both have names; the last one got its own at rest. */
  async function onTheWay() {
    for (let n = 0; n < 50; n++) {
      const at = garbageWorld(randomOf(`names ${n}`), 10, { channels: true });
      await at.begin();
      await at.checkpoint("complete", "whole", "aligned");
      for (let i = 0; i < 2; i++) await at.flow();
      await at.checkpoint("complete", null);
      const [last] = await at.restorable();
      if (last !== undefined && at.traffic.within(expectedBy(last.manifest)).length > 0) return at;
    }
    throw new Error("no such history");
  }
  async function world() {
    const at = await onTheWay();
    const { value, version } = await at.read();
    await swapHead(at.store, version, { ...value, status: "failed", endedAt: at.store.clock.now() });
    await swapDesired(at.store, null, desired({ savepoint: { id: "q", name: "on-the-way" } }));
    await answerSavepoint(at.store);
    const { savepoints } = (await at.read()).value;
    expect(savepoints.map(({ name }) => name)).toEqual(["whole", "on-the-way"]);
    return at;
  }

  it("R7 E3 where the head alone is lost both are there", async () => {
    const at = await world();
    const before = (await at.read()).value.savepoints.map(({ name, checkpointId }) => [name, checkpointId]);
    await at.registers.registers.remove({ group: "p", name: "head" });
    const plan = await planRecovery(at.store, options);
    expect(plan.head.savepoints.map(({ name, checkpointId }) => [name, checkpointId])).toEqual(before);
  });

  it("R7 E3 where the notes are lost too it says which savepoint is not whole, and the other one is there", async () => {
    const at = await world();
    for (const { key } of at.registers.all()) await at.registers.registers.remove(key);
    const plan = await planRecovery(at.store, { ...options, checkpoint: 1 });
    expect(plan.head.savepoints.map(({ name }) => name)).toEqual(["whole"]);
    expect(plan.notes).toContainEqual(
      expect.stringMatching(
        /^checkpoint 2, the savepoint "on-the-way", is not whole: \d+ frames? (was|were) on the way/,
      ),
    );
  });
});
