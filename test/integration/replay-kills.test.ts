// A replay whose processes are killed, all at once, at one of its requests that write: it leaves the old or the new generation, never
// both and never neither; and what arrives late shows nothing. KILLS and SEED (see kills/points.ts) repeat what a failure has told.
import { afterAll, describe, expect, it, vi } from "vitest";
import { endAll } from "../fixtures/cli/command.js";
import { drawPoints, eachPoint, type Point } from "./kills/points.js";
import { openScene, type Rows, rowsOfWords, type Scene, type Standing, write } from "./kills/scene.js";
import { seed } from "./zombies/moments.js";

// Processes start slowly on a busy machine, and KILLS=all is many.
vi.setConfig({ testTimeout: process.env.KILLS === "all" ? 7_200_000 : 1_200_000, hookTimeout: 120_000 });
afterAll(() => endAll());

const words = ["a", "b", "c", "a", "b", "a"];

const replayOf = (code: string): readonly string[] => [
  ...["replay", "pipeline.ts", "--from-checkpoint", "first", "--sinks", "overwrite"],
  ...["--code", code, "--until-drained", "--yes"],
];

/** What became of a replay that was killed. */
type Outcome = "not asked for" | "asked for" | "opened" | "progressed";

function outcomeOf(before: Standing, { head, record, desired }: Standing): Outcome {
  if (desired.request?.id === before.desired.request?.id) {
    // R2: without a request nothing is opened.
    expect(head).toEqual(before.head);
    return "not asked for";
  }
  expect(desired).toMatchObject({ state: expect.stringMatching(/running|stopped/), request: { kind: "restore" } });
  if (head.generation === before.head.generation) {
    expect(head).toEqual(before.head);
    return "asked for";
  }
  expect(head.generation).toBe(before.head.generation + 1);
  expect(record).toMatchObject({ reason: "replay", requestId: desired.request?.id, origin: desired.request?.from });
  expect(head.left).toContainEqual(before.head.completed);
  return head.completed?.checkpointId === head.origin?.checkpointId ? "opened" : "progressed";
}

/** A replay that is killed, what came of it, and how the pipeline goes on. */
interface Attempt {
  readonly index: number;
  /** Of the replay's code, which its rows name. */
  readonly by: string;
  /** All words so far. */
  readonly fed: readonly string[];
  /** The table before it. */
  readonly rows: Rows;
  readonly outcome: Outcome;
}

async function killReplay(scene: Scene, index: number, fed: readonly string[], point: Point): Promise<Attempt> {
  const by = `replay-${index}`;
  write(scene, "new.ts", { by });
  const [before, rows] = [await scene.standing(), await scene.rows()];
  await scene.kill(replayOf("new.ts"), point);
  const after = await scene.standing();
  const outcome = outcomeOf(before, after);
  const told = await expectStatus(scene, after);
  expect(/asked for \(restore\)/.test(String(told.waitsFor)), outcome).toBe(outcome === "asked for");
  // What a reader sees is of complete checkpoints alone.
  const mended = rowsOfWords(fed, by);
  for (const [word, row] of Object.entries(await scene.rows()))
    expect(outcome === "progressed" ? [rows[word], mended[word]] : [rows[word]], outcome).toContainEqual(row);
  return { index, by, fed, rows, outcome };
}

async function expectStatus(scene: Scene, { head, record, desired }: Standing): Promise<{ waitsFor: string | null }> {
  const { generation, status, completed } = head;
  const told = JSON.parse(await scene.done("status", "pipeline.ts", "--json"));
  expect(told).toMatchObject({
    ...{ generation, status, desired: desired.state, reason: record.reason },
    checkpoint: { id: completed?.checkpointId },
  });
  return told;
}

/** The same command again carries the replay out, whatever became of the first. */
async function again(scene: Scene, { by, fed }: Attempt): Promise<void> {
  const before = await scene.standing();
  await scene.done(...replayOf("new.ts"));
  expect(await scene.rows()).toEqual(rowsOfWords(fed, by));
  const { head, record } = await scene.standing();
  const first = head.savepoints.find(({ name }) => name === "first");
  expect(record).toMatchObject({ reason: "replay", origin: { checkpointId: first?.checkpointId } });
  expect(head.generation).toBe(before.head.generation + 1);
}

/** Any other code goes on from where it was left. Returns the words that it has counted. */
async function goOn(scene: Scene, { index, by, fed, rows, outcome }: Attempt): Promise<readonly string[]> {
  const [other, later] = [`dev-${index}`, `later-${index}`];
  write(scene, "pipeline.ts", { by: other });
  await scene.feed([later]);
  await scene.done("dev", "pipeline.ts", "--until-drained");
  const all = [...fed, later];
  const one = { [later]: { n: "1", by: other } };
  const ofOther = rowsOfWords(all, other);
  const found = await scene.rows();
  if (outcome === "not asked for") expect(found).toEqual({ ...rows, ...one });
  // Its checkpoint may have been complete before it had read anything.
  else if (outcome === "progressed") expect([{ ...rowsOfWords(fed, by), ...one }, ofOther]).toContainEqual(found);
  else expect(found, outcome).toEqual(ofOther);
  return all;
}

describe("a replay of a pipeline that rests", () => {
  it(`R2 W2 killed at a write it leaves the old or the new generation, and the table of one of them (seed ${seed})`, async () => {
    const scene = await openScene("rests");
    write(scene, "pipeline.ts", { by: "old" });
    await scene.feed(words);
    await scene.done("dev", "pipeline.ts", "--until-drained");
    await scene.done("savepoint", "pipeline.ts", "--name", "first");
    await scene.feed(words);
    await scene.done("dev", "pipeline.ts", "--until-drained");
    let fed: readonly string[] = [...words, ...words];
    expect(await scene.rows()).toEqual(rowsOfWords(fed, "old"));
    write(scene, "new.ts", { by: "new" });
    const writes = await scene.count(replayOf("new.ts"));
    // Before that it makes what is missing, and nothing is.
    const asking = scene.wire.writes.findIndex((name) => name.endsWith(" desired")) + 1;
    expect(await scene.rows()).toEqual(rowsOfWords(fed, "new"));

    const outcomes: string[] = [];
    const points = drawPoints({ from: 1, to: asking, count: 1 }, { from: asking + 1, to: writes, count: 3 });
    await eachPoint(points, async (point) => {
      const attempt = await killReplay(scene, outcomes.length + 1, fed, point);
      outcomes.push(`${point.write}:${point.fall} ${attempt.outcome}`);
      if (attempt.index % 2 === 0) await again(scene, attempt);
      else fed = await goOn(scene, attempt);
      const [stands, rows] = [await scene.standing(), await scene.rows()];
      await scene.wire.letArrive();
      expect([await scene.standing(), await scene.rows()]).toEqual([stands, rows]);
    });
    if (process.env.KILLS !== undefined) process.stdout.write(`${writes} writes; ${outcomes.join(", ")}\n`);
  });
});
