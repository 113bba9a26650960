// A fork whose processes are killed, all at once, at one of its requests that write: its origin is as it was, bit by bit, and the same
// command makes it, or goes on. KILLS and SEED (see kills/points.ts) repeat what a failure has told.
import { afterAll, expect, it, vi } from "vitest";
import { endAll } from "../fixtures/cli/command.js";
import { drawPoints, eachPoint, type Point } from "./kills/points.js";
import { openScene, rowsOfWords, type Scene, write } from "./kills/scene.js";
import { seed } from "./zombies/moments.js";

// Processes start slowly on a busy machine, and KILLS=all is many.
vi.setConfig({ testTimeout: process.env.KILLS === "all" ? 7_200_000 : 1_200_000, hookTimeout: 120_000 });
afterAll(() => endAll());

const words = ["a", "b", "c", "a", "b", "a"];

const forkTo = (name: string): readonly string[] => [
  ...["fork", "pipeline.ts", "--from-checkpoint", "first", "--code", "new.ts"],
  ...["--name", name, "--sinks", `redirect:${name}`, "--until-drained"],
];

/** What the origin has: its items and objects, and its rows. */
const originOf = async (scene: Scene) => ({ stored: await scene.stored(), rows: await scene.rows() });

it(`W2 R6 a fork that is killed at a write leaves its origin as it was, and ends as one that nobody killed (seed ${seed})`, async () => {
  const scene = await openScene("origin");
  write(scene, "pipeline.ts", { by: "old" });
  await scene.feed(words);
  await scene.done("dev", "pipeline.ts", "--until-drained");
  await scene.done("savepoint", "pipeline.ts", "--name", "first");
  await scene.feed([...words, "d"]);
  await scene.done("dev", "pipeline.ts", "--until-drained");
  write(scene, "new.ts", { by: "new" });
  const origin = await originOf(scene);
  expect(origin.rows).toEqual(rowsOfWords([...words, ...words, "d"], "old"));

  const writes = await scene.count(forkTo("quiet"));
  const rows = rowsOfWords([...words, ...words, "d"], "new");
  expect(await scene.rows(`${scene.table}-quiet`)).toEqual(rows);
  // From there on it is a pipeline that runs like others: most kills come before.
  const made = scene.wire.writes.findLastIndex((name) => name.startsWith("s3:ListBucket"));
  expect(made).toBeGreaterThan(10);

  let index = 0;
  const attempt = async (point: Point): Promise<void> => {
    const name = `fork-${++index}`;
    await scene.kill(forkTo(name), point);
    expect(await originOf(scene)).toEqual(origin);
    const left = Object.keys(await scene.stored(name));
    const again = await scene.tidemark(...forkTo(name));
    expect(again, left.join(" ")).toMatchObject({ code: 0 });
    const isTold = /something is left of a fork that was cut short, beneath fork-\d+\/: --delete removes it/.test(
      again.err,
    );
    expect(isTold, again.err).toBe(left.length > 0 && !left.includes("head"));
    expect(await scene.rows(`${scene.table}-${name}`)).toEqual(rows);
    await scene.wire.letArrive();
    expect(await scene.rows(`${scene.table}-${name}`)).toEqual(rows);
    expect(await originOf(scene)).toEqual(origin);
    if (index % 2 === 0) return;
    await scene.done("fork", "pipeline.ts", "--delete", "--name", name);
    expect(await scene.stored(name)).toEqual({});
    expect(await originOf(scene)).toEqual(origin);
  };
  const points = drawPoints({ from: 1, to: made, count: 3 }, { from: made + 1, to: writes, count: 1 });
  await eachPoint(points, attempt);
});
