// A replay of a pipeline that runs: the command is killed at one of its requests that write, or all that runs is. KILLS and SEED (see
// kills/points.ts) repeat what a failure has told.
import { afterAll, describe, expect, it, vi } from "vitest";
import { endAll, nothingIsLeft, type Running } from "../fixtures/cli/command.js";
import { drawPoints, eachPoint, type Point, trapAt } from "./kills/points.js";
import { openScene, type Rows, rowsOfWords, type Scene, type Standing, write } from "./kills/scene.js";
import { seed } from "./zombies/moments.js";

// Processes start slowly on a busy machine, and KILLS=all is many.
vi.setConfig({ testTimeout: process.env.KILLS === "all" ? 7_200_000 : 1_200_000, hookTimeout: 120_000 });
afterAll(() => endAll());

const words = ["a", "b", "c", "a", "b", "a"];
const waiting = { timeout: 120_000, interval: 250 };

/** The pipeline, what it was fed, and the tables that it has written to: the last one is the one that it writes to. */
interface Course {
  readonly scene: Scene;
  readonly fed: string[];
  readonly tables: string[];
}

const devArgs = ["dev", "pipeline.ts", "--json"];

async function openCourse(name: string): Promise<Course & { readonly running: Running }> {
  const scene = await openScene(name);
  write(scene, "pipeline.ts", { by: "one" });
  await scene.feed(words);
  await scene.done("dev", "pipeline.ts", "--until-drained");
  await scene.done("savepoint", "pipeline.ts", "--name", "first");
  await scene.feed(words);
  const course = { scene, fed: [...words, ...words], tables: [scene.table] };
  const running = scene.begin(devArgs, "the cloud");
  await untilShown(course);
  return { ...course, running };
}

/** Each word that came is counted once, in the table that the pipeline writes to now. */
async function untilShown({ scene, fed, tables }: Course): Promise<void> {
  const wanted = rowsOfWords(fed, "one");
  const found = () => scene.rows(tables.at(-1)).catch(() => null);
  await vi.waitFor(async () => expect(await found()).toEqual(wanted), waiting);
}

const replayInto = (suffix: string): readonly string[] => [
  ...["replay", "pipeline.ts", "--from-checkpoint", "first", "--yes", "--json"],
  ...["--sinks", `redirect:${suffix}`],
];

/** One more word comes: it is counted once, where the pipeline writes now, and nowhere else. */
async function feedOne(course: Course, word: string, others: readonly Rows[]): Promise<void> {
  const { scene, fed, tables } = course;
  await scene.feed([word]);
  fed.push(word);
  await untilShown(course);
  const before = await Promise.all(tables.slice(0, -1).map((table) => scene.rows(table)));
  expect(before).toEqual(others.slice(0, tables.length - 1));
}

const allRows = ({ scene, tables }: Course): Promise<readonly Rows[]> =>
  Promise.all(tables.map((table) => scene.rows(table)));

const isAsked = (before: Standing, { desired }: Standing): boolean =>
  desired.request?.id !== before.desired.request?.id;

async function expectGeneration(scene: Scene, number: number, reason: string): Promise<void> {
  const { head, record } = await scene.standing();
  expect({ generation: head.generation, reason: record.reason, status: head.status }).toEqual({
    ...{ generation: number, reason },
    status: "running",
  });
  const told = JSON.parse(await scene.done("status", "pipeline.ts", "--json"));
  expect(told).toMatchObject({ generation: number, reason, status: "running", desired: "running" });
}

/** The command is killed; what runs goes on, as it was or replayed, and the command does it again. */
async function killCommand(course: Course, index: number, point: Point): Promise<void> {
  const { scene, tables } = course;
  const suffix = `command-${index}`;
  const before = await scene.standing();
  const rows = await allRows(course);
  await scene.kill(replayInto(suffix), point);
  const asked = isAsked(before, await scene.standing());
  if (asked) tables.push(`${scene.table}-${suffix}`);
  await feedOne(course, `k-${suffix}`, rows);
  const { generation } = before.head;
  await expectGeneration(scene, asked ? generation + 1 : generation, asked ? "replay" : before.record.reason);

  if (!asked) tables.push(`${scene.table}-${suffix}`);
  const last = await allRows({ ...course, tables: tables.slice(0, -1) });
  expect(JSON.parse(await scene.done(...replayInto(suffix)))).toMatchObject({
    generation: asked ? generation + 2 : generation + 1,
  });
  await scene.wire.letArrive();
  await feedOne(course, `again-${suffix}`, last);
  await expectGeneration(scene, asked ? generation + 2 : generation + 1, "replay");
}

/** All that runs is killed, while it carries the replay out; what runs next goes on from where that was. */
async function killAll(course: Course, index: number, point: Point): Promise<void> {
  const { scene, fed, tables } = course;
  const suffix = `all-${index}`;
  const running = scene.begin(devArgs, "the wire");
  await running.event("status", ({ idle }) => idle);
  await untilShown(course);
  const [before, rows] = [await scene.standing(), await allRows(course)];
  const both = [running];
  const kill = () => {
    for (const one of both) one.signal("SIGKILL", "group");
  };
  scene.wire.arm(trapAt(point, kill));
  both.push(scene.begin(replayInto(suffix), "the wire"));
  await Promise.all(both.map((one) => one.ended));
  await Promise.all(both.map((one) => nothingIsLeft(one)));

  const after = await scene.standing();
  const asked = isAsked(before, after);
  const { generation } = before.head;
  expect([generation, asked ? generation + 1 : generation]).toContain(after.head.generation);
  if (after.head.generation > generation)
    expect(after).toMatchObject({ record: { reason: "replay", requestId: after.desired.request?.id } });
  if (asked) tables.push(`${scene.table}-${suffix}`);
  fed.push(suffix);
  await scene.feed([suffix]);
  await scene.done("dev", "pipeline.ts", "--until-drained");
  const stands = [await scene.standing(), await allRows(course)];
  expect(stands[1]).toEqual([...rows.slice(0, tables.length - 1), rowsOfWords(fed, "one")]);
  await scene.wire.letArrive();
  expect([await scene.standing(), await allRows(course)]).toEqual(stands);
}

describe("a replay of a pipeline that runs", () => {
  it(`R2 W2 whose command is killed at a write is carried out, or was never asked for (seed ${seed})`, async () => {
    const { running, ...course } = await openCourse("runs");
    const { scene, tables, fed } = course;
    const writes = await scene.count(replayInto("quiet"));
    tables.push(`${scene.table}-quiet`);
    await untilShown(course);
    expect(fed).toHaveLength(2 * words.length);
    let index = 0;
    // The last is the one that asks for it.
    const points = drawPoints(
      { from: 1, to: writes - 1, count: 1 },
      ...[1, 2, 3].map(() => ({ from: writes, to: writes, count: 1 })),
    );
    await eachPoint(points, (point) => killCommand(course, ++index, point));
    running.signal("SIGINT", "group");
    expect(await running.ended).toMatchObject({ code: 0 });
  });

  it(`R2 W2 that is killed with all that runs goes on as it was, or replayed (seed ${seed})`, async () => {
    const { running, ...course } = await openCourse("falls");
    running.signal("SIGINT", "group");
    expect(await running.ended).toMatchObject({ code: 0 });
    let index = 0;
    // What runs writes a little, too, and a restore and its first checkpoint some forty times.
    await eachPoint(drawPoints({ from: 8, to: 40, count: 3 }), (point) => killAll(course, ++index, point));
  });
});
