// Invocations that are delivered twice, and sessions that pass their work on, without any failure.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { seededRandom } from "../../dist/local/runner/queue.js";
import { seed, startFeeding } from "./zombies/moments.js";
import { openStage, type Stage, until } from "./zombies/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const isRun = (kind: string): boolean => kind !== "refused";
const ranOf = (stage: Stage) => stage.ended().filter(({ outcome }) => isRun(outcome.kind));
const deliveriesOf = (stage: Stage) =>
  stage.events.filter((event) => event.kind === "started" && event.functionName === stage.taskFunction);

/** All sessions of the one generation took the lease and passed it on, each from a version of its own. */
async function checkChain(stage: Stage): Promise<void> {
  const head = await stage.head();
  expect([head.generation, head.failures], await stage.story()).toEqual([1, []]);
  expect((await stage.lease())?.version, await stage.story()).toBe(2 * ranOf(stage).length);
}

describe("invocations that are delivered twice", () => {
  it("R4 one of the two runs, its twin is refused, and every record counts once", async () => {
    const settings = `checkpoint: { interval: "500ms", timeout: "1s" }, session: { reserve: "2s" }`;
    const stage = await openStage({ name: "twins", settings, sessionMillis: 8_000, seed, duplicateEvents: 1 });
    const endFeeding = startFeeding(stage);
    await until(stage, "three sessions have ended", 50_000, () => ranOf(stage).length >= 3);
    await endFeeding();
    await stage.finish();
    await checkChain(stage);
    const ran = ranOf(stage).map(({ requestId }) => requestId);
    expect(new Set(ran).size, await stage.story()).toBe(ran.length);
    const deliveries = deliveriesOf(stage);
    expect(deliveries.length).toBeGreaterThanOrEqual(2 * ran.length);
    await until(stage, "all deliveries have ended", 15_000, () => stage.ended().length === deliveriesOf(stage).length);
    const refused = stage.ended().filter(({ outcome }) => outcome.kind === "refused");
    for (const requestId of ran)
      expect(
        refused.map((one) => one.requestId),
        await stage.story(),
      ).toContain(requestId);
  });
});

describe("short sessions", () => {
  it("N1 pass on their work in one generation, through a split, a quiet time and a merge", async () => {
    const random = seededRandom(seed);
    const settings = `checkpoint: { interval: "400ms", timeout: "1s", tolerableFailures: 100 }, session: { reserve: "2s" }`;
    const stage = await openStage({ name: "chain", settings, sessionMillis: 6_000, seed });
    const before = startFeeding(stage);
    await until(stage, "a session has ended", 30_000, () => ranOf(stage).length >= 1);
    await stage.input.reshard("split", random);
    await until(stage, "two sessions have ended", 30_000, () => ranOf(stage).length >= 2);
    const fed = await before();
    await sleep(6_000);
    await stage.input.reshard("merge", random);
    const after = startFeeding(stage, fed);
    await until(stage, "five sessions have ended", 30_000, () => ranOf(stage).length >= 5);
    await after();
    await stage.finish();
    await checkChain(stage);
  });
});
