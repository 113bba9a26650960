// Operator processes that stand still while others take their place, and then go on as if nothing had happened.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { seededRandom } from "../../dist/local/runner/queue.js";
import { makeZombie, type Stopping, seed, startFeeding, type Waking } from "./zombies/moments.js";
import { openStage, type Stage, until } from "./zombies/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const moments: readonly { readonly stopping: Stopping; readonly waking: Waking }[] = [
  { stopping: "cutting", waking: "opened" },
  { stopping: "committing", waking: "flowing" },
  { stopping: "reading", waking: "completed" },
  { stopping: "cutting", waking: "flowing" },
];

describe("a process that stands still", () => {
  it("R2 until its successor runs counts nothing twice when it goes on, and ends fenced", async () => {
    const random = seededRandom(seed);
    const settings = `checkpoint: { interval: "1s", timeout: "1s", tolerableFailures: 0 }, session: { reserve: "10s" },
      restart: { initialDelay: "100ms", maxDelay: "200ms" }`;
    const stage = await openStage({ name: "zombies", settings, sessionMillis: 300_000, seed });
    const endFeeding = startFeeding(stage);
    await until(stage, "a checkpoint is complete", 30_000, async () => (await stage.head()).completed !== null);
    const zombies: string[] = [];
    for (const moment of moments) zombies.push(await makeZombie(stage, moment, random));
    const fed = await endFeeding();
    const head = await stage.finish();
    expect(head.generation).toBeGreaterThan(moments.length);
    expect(fed).toBeGreaterThan(0);
    const outcomes = zombies.map((zombie) => stage.ended().find(({ requestId }) => requestId === zombie)?.outcome);
    expect(outcomes, await stage.story()).toEqual(zombies.map(() => ({ kind: "fenced" })));
  });
});

/** How long the cloud is away, and whether the session is killed meanwhile: then nobody can be told of its end. */
const outages = [
  { millis: 300, killing: false },
  { millis: 7_000, killing: false },
  { millis: 4_000, killing: true },
];

describe("the cloud's process, killed with -9 and started again", () => {
  it("R4 R5 the pipeline goes on by itself, and counts exactly", async () => {
    const random = seededRandom(seed);
    const settings = `checkpoint: { interval: "500ms", timeout: "1s", tolerableFailures: 0 }, session: { reserve: "10s" },
      restart: { initialDelay: "100ms", maxDelay: "500ms" }`;
    const stage = await openStage({ name: "outage", settings, sessionMillis: 300_000, seed });
    const endFeeding = startFeeding(stage);
    for (const { millis, killing } of outages) {
      await anotherCheckpoint(stage);
      const startAgain = stage.killCloud();
      if (killing) expect(stage.runner.kill({ functionName: stage.taskFunction, random })).not.toBeNull();
      await sleep(millis);
      await startAgain();
    }
    await anotherCheckpoint(stage);
    await endFeeding();
    await stage.finish();
  });
});

describe("everything at once", () => {
  it("R2 R4 R5 kills, pauses, twins, hand-overs, splits and merges on a throttling cloud: every record counts once, in order", async () => {
    const random = seededRandom(seed);
    const settings = `checkpoint: { interval: "500ms", timeout: "1s", tolerableFailures: 1 }, session: { reserve: "2s" },
      restart: { initialDelay: "100ms", maxDelay: "200ms", window: "5s" }`;
    const name = "everything";
    const stage = await openStage({ name, settings, sessionMillis: 7_000, seed, duplicateEvents: 0.5, limits: "real" });
    const endFeeding = startFeeding(stage);
    const done: string[] = [];
    for (const until = performance.now() + chaosMillis; performance.now() < until; ) {
      await sleep(500 + random() * 1_200);
      done.push(await trouble(stage, random));
    }
    // Chance may have drawn no kill, or one of a twin that holds nothing: one that ends a generation there must be.
    while ((await stage.head()).generation === 1) {
      done.push(`killed ${stage.runner.kill({ functionName: stage.taskFunction, random })}`);
      await sleep(1_000);
    }
    await endFeeding();
    const head = await stage.finish();
    expect(head.generation, done.join(" ")).toBeGreaterThan(1);
  });
});

const chaosMillis = 22_000;

/** One thing that goes wrong, or that people do. */
async function trouble(stage: Stage, random: () => number): Promise<string> {
  const draw = random();
  if (draw < 0.25) return `killed ${stage.runner.kill({ functionName: stage.taskFunction, random })}`;
  if (draw < 0.35) return `killed ${stage.runner.kill({ random })}`;
  if (draw < 0.65) return pauseHolder(stage, 500 + random() * 3_000);
  await stage.input.reshard("either", random);
  return "resharded";
}

async function pauseHolder(stage: Stage, millis: number): Promise<string> {
  const held = await stage.holder();
  if (held === null) return "nobody to pause";
  process.kill(held.pid, "SIGSTOP");
  await sleep(millis);
  // Its deadline may have ended it.
  const isThere = stage.runner.environments().some(({ pid, state }) => pid === held.pid && state === "busy");
  if (isThere) process.kill(held.pid, "SIGCONT");
  return `paused ${held.pid}${isThere ? "" : " to its deadline"}`;
}

async function anotherCheckpoint(stage: Stage): Promise<void> {
  const completed = async () => (await stage.head()).completed?.checkpointId ?? 0;
  const before = await completed();
  await until(stage, "another checkpoint is complete", 30_000, async () => (await completed()) > before);
}
