// Two stages that go on with another number of tasks, and whose processes are killed, all at once, at one of the requests that write:
// from wherever that leaves them they go on with yet another number. KILLS and SEED (see kills/points.ts) repeat what a failure has told.
import { afterAll, expect, it, vi } from "vitest";
import { endAll } from "../fixtures/cli/command.js";
import { drawPoints, eachPoint, type Point } from "./kills/points.js";
import { openScene, rowsOfWords, type Scene, write } from "./kills/scene.js";
import { seed } from "./zombies/moments.js";

// Processes start slowly on a busy machine, and KILLS=all is many.
vi.setConfig({ testTimeout: process.env.KILLS === "all" ? 7_200_000 : 1_200_000, hookTimeout: 120_000 });
afterAll(() => endAll());

/** Over all tasks. */
const words = Array.from({ length: 24 }, (_, index) => `w${index % 12}`);
const drained = ["dev", "pipeline.ts", "--until-drained"];

const withTasks = (scene: Scene, tasks: number): string =>
  write(scene, "pipeline.ts", { by: "one", settings: `parallelism: ${tasks}` });

const rowsNow = async (scene: Scene, fed: readonly string[]): Promise<void> =>
  expect(await scene.rows()).toEqual(rowsOfWords(fed, "one"));

/** The generation that it left, or the next one, with its tasks; and of each word a count that a complete checkpoint can have. */
async function killRescale(scene: Scene, at: { fed: readonly string[]; tasks: number }, point: Point): Promise<void> {
  withTasks(scene, at.tasks);
  const [before, rows] = [await scene.standing(), await scene.rows()];
  await scene.kill(drained, point);
  const { head, record } = await scene.standing();
  const told = JSON.parse(await scene.done("status", "pipeline.ts", "--json"));
  expect(told).toMatchObject({ generation: head.generation, reason: record.reason });
  if (head.generation === before.head.generation) expect(head).toEqual(before.head);
  else {
    expect(head).toMatchObject({ generation: before.head.generation + 1, origin: before.head.completed });
    expect(record.stages.map(({ tasks }) => tasks)).toContain(at.tasks);
  }
  // C2: it may have shown what was complete before.
  const most = head.generation === before.head.generation ? rows : rowsOfWords(at.fed, "one");
  for (const [word, { n }] of Object.entries(await scene.rows())) {
    expect(Number(n), word).toBeGreaterThanOrEqual(Number(rows[word]?.n));
    expect(Number(n), word).toBeLessThanOrEqual(Number(most[word]?.n));
  }
}

it(`R2 E4 K2 a rescale that is killed at a write leaves one generation, and every record counts once (seed ${seed})`, async () => {
  const scene = await openScene("rescaled", { shards: 2 });
  let fed = [...words, ...words];
  await scene.feed(words);
  withTasks(scene, 2);
  await scene.done(...drained);
  await scene.feed(words);
  withTasks(scene, 3);
  const writes = await scene.count(drained);
  await rowsNow(scene, fed);

  let index = 0;
  await eachPoint(drawPoints({ from: 1, to: writes, count: 4 }), async (point) => {
    index++;
    await scene.feed(words);
    fed = [...fed, ...words];
    await killRescale(scene, { fed, tasks: 1 + (index % 3) }, point);
    // The next one begins where this one was killed.
    if (index % 2 === 1) return;
    withTasks(scene, 1 + ((index + 1) % 3));
    await scene.done(...drained);
    await rowsNow(scene, fed);
    const stands = await scene.standing();
    await scene.wire.letArrive();
    await rowsNow(scene, fed);
    expect(await scene.standing()).toEqual(stands);
  });
});
