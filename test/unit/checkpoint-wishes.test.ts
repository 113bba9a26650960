import { describe, expect, it } from "vitest";
import { readDesired, swapDesired } from "../../lib/checkpoint/store.js";
import { wishRunning, wishStopped } from "../../lib/checkpoint/wishes.js";
import { StreamError } from "../../lib/model/errors.js";
import { sha256 } from "../../lib/model/sha256.js";
import { desired } from "./checkpoint-samples.js";
import { type Fate, memoryStore } from "./checkpoint-worlds.js";

const code = (functionVersion: string) => ({ functionVersion, fingerprint: sha256(`plan ${functionVersion}`) });
const first = {
  format: 1,
  state: "running",
  code: { deployment: 1, ...code("7") },
  deployedAt: null,
  rejected: [],
  rejection: null,
  request: { id: "a", kind: "restart", from: null, sinks: {}, dropped: [] },
  savepoint: null,
};
const lost: readonly (readonly [string, readonly Fate[]])[] = [
  ["the answer comes", []],
  ["the write is lost", ["lost"]],
  ["the answer is lost", ["unanswered"]],
  ["a retry underneath met its own write", ["own conflict"]],
  ["the write comes late", [{ after: 1 }]],
  ["nothing works at first", ["lost", { after: 2 }, "unanswered", "lost"]],
];

describe("a start", () => {
  it("R4 is wished with its request, deployment 1 where there was none", async () => {
    const { store } = memoryStore();
    expect(await wishRunning(store, code("7"), "a")).toEqual(first);
    expect(await readDesired(store)).toEqual({ version: 1, value: first });
  });

  it("P4 the deployment grows with another version of the code, and only then", async () => {
    const { store } = memoryStore();
    const deployments: number[] = [];
    for (const version of ["7", "7", "8", "7", "7"]) {
      const { code: made } = await wishRunning(store, code(version), `r${deployments.length}`);
      deployments.push(made.deployment);
      expect(made).toMatchObject(code(version));
    }
    expect(deployments).toEqual([1, 1, 2, 3, 3]);
  });

  it("P4 deployments that were rolled back stay listed; another fingerprint alone is no deployment", async () => {
    const { store } = memoryStore();
    await swapDesired(store, null, desired({ rejected: [3], state: "stopped" }));
    const other = { functionVersion: "7", fingerprint: sha256("other") };
    expect(await wishRunning(store, other, "b")).toMatchObject({
      state: "running",
      rejected: [3],
      code: { deployment: 1, fingerprint: sha256("other") },
      request: { id: "b" },
    });
  });

  it.each(lost)("R5 is wished once: %s", async (_, fates) => {
    const { store, settle } = memoryStore(fates);
    await wishRunning(store, code("7"), "a");
    await settle();
    expect((await readDesired(store))?.value).toEqual(first);
  });

  it.each(lost)("R5 P4 a new version counts once: %s", async (_, fates) => {
    const { store, settle } = memoryStore(["answered", ...fates]);
    await wishRunning(store, code("7"), "a");
    expect((await wishRunning(store, code("8"), "b")).code.deployment).toBe(2);
    await settle();
    expect((await readDesired(store))?.value).toMatchObject({ code: { deployment: 2 }, request: { id: "b" } });
  });

  it("R5 of two at a time both are told what stands, or stood before the other's", async () => {
    const { store } = memoryStore();
    const wishes = await Promise.all([wishRunning(store, code("7"), "a"), wishRunning(store, code("8"), "b")]);
    const found = (await readDesired(store))?.value;
    expect(found?.code.deployment).toBe(2);
    expect(wishes).toContainEqual(found);
    expect(wishes.map((wish) => wish.code.deployment).toSorted()).toEqual([1, 2]);
  });
});

describe("a stop", () => {
  it("changes the state alone", async () => {
    const { store } = memoryStore();
    await wishRunning(store, code("7"), "a");
    expect(await wishStopped(store)).toEqual({ ...first, state: "stopped" });
    expect(await readDesired(store)).toEqual({ version: 2, value: { ...first, state: "stopped" } });
  });

  it("of what never ran is none", async () => {
    const { store, swaps } = memoryStore();
    expect(await wishStopped(store)).toBeNull();
    expect([await readDesired(store), swaps()]).toEqual([null, 0]);
  });

  it.each(lost)("R5 is wished once: %s", async (_, fates) => {
    const { store, settle } = memoryStore(["answered", ...fates]);
    await wishRunning(store, code("7"), "a");
    await wishStopped(store);
    await settle();
    expect((await readDesired(store))?.value).toEqual({ ...first, state: "stopped" });
  });
});

describe("limits", () => {
  it("R5 no answer ten times: it says so, and what to do", async () => {
    const { store, swaps } = memoryStore(Array<Fate>(10).fill("lost"));
    await expect(wishRunning(store, code("7"), "a")).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringMatching(/^p: .*10 attempts; try again/),
    });
    expect(swaps()).toBe(10);
  });

  it("what is no lost answer is told at once", async () => {
    const { store } = memoryStore();
    const refuse = () => Promise.reject(new StreamError("invalid", "no permission"));
    const refused = { ...store, registers: { ...store.registers, swap: refuse } };
    await expect(wishRunning(refused, code("7"), "a")).rejects.toThrow("no permission");
  });
});
