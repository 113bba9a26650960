import { describe, expect, it } from "vitest";
import type { CheckpointSummary } from "../../lib/checkpoint/history.js";
import { releaseLease } from "../../lib/checkpoint/lease.js";
import { putProgress, readHead, swapHead, writeGenerationRecord } from "../../lib/checkpoint/store.js";
import { readUncommitted } from "../../lib/checkpoint/uncommitted.js";
import { uncommittedText, withUncommitted } from "../../lib/cli/checkpoints.js";
import type { TwoPhaseCommittable } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";
import { checkpointed, started, type World } from "./checkpoint-cloud.js";
import { progress, record, task0 } from "./checkpoint-samples.js";

const item = (id: number, sink = "rows", records = 10): TwoPhaseCommittable => ({
  kind: "two-phase",
  sink,
  target: "t",
  generation: generation(1),
  epoch: checkpointId(id - 1),
  checkpointId: checkpointId(id),
  task: task0,
  index: 0,
  records,
  prepared: null,
});
const shown = async (at: World) =>
  (await readUncommitted(at.store, await at.head())).map(({ checkpointId: id, sink, rows }) => [id, sink, rows]);

/** Checkpoints 1 to 3 are complete; the ack of the last one lists all that was not confirmed. */
async function three() {
  const at = await started();
  await checkpointed(at, { committables: [item(1)] });
  await checkpointed(at, { committables: [item(1), item(2)] });
  await checkpointed(at, { committables: [item(2), item(3), item(3, "other", 5)] });
  const told = async (late: number, uncommitted: number) => {
    const { incarnation, settledAt } = await at.head();
    await putProgress(at.store, incarnation, progress({ at: millis(settledAt + late), uncommitted }));
  };
  return { ...at, told };
}
const all = [
  [3, "other", 5],
  [3, "rows", 10],
  [2, "rows", 10],
];

describe("C1 output that is covered and not known to be written", () => {
  it("C1 is what the newest ack lists, until its session says what is left", async () => {
    const at = await three();
    expect(await shown(at)).toEqual(all);
    await at.told(1_000, 0);
    expect(await shown(at)).toEqual(all);
    await at.told(3_000, 2);
    expect(await shown(at)).toEqual(all);
    await at.told(3_000, 1);
    expect(await shown(at)).toEqual(all.slice(0, 2));
    await at.told(3_000, 0);
    expect(await shown(at)).toEqual([]);
  });

  it("C2 what no checkpoint covers yet is not meant", async () => {
    const at = await started();
    await checkpointed(at, { committables: [item(1), item(2)] });
    expect(await shown(at)).toEqual([[1, "rows", 10]]);
  });

  it("C3 a task that rests has committed what its lease says", async () => {
    const at = await three();
    const end = { kind: "done", ack: checkpointId(3), committed: checkpointId(2) } as const;
    await releaseLease(at.store, at.claim, at.invocation, end);
    expect(await shown(at)).toEqual(all.slice(0, 2));
  });

  it("C2 a new generation has written what it was given once each of its tasks tells how far it is", async () => {
    const at = await three();
    const found = await readHead(at.store);
    if (found === null) throw new Error("no head");
    const { incarnation } = found.value;
    const opened = { incarnation, generation: generation(2) };
    const generationRecord = await writeGenerationRecord(at.store, record(opened));
    await swapHead(at.store, found.version, { ...found.value, ...opened, generationRecord });
    expect(await shown(at)).toEqual(all);
    await putProgress(at.store, incarnation, progress({ generation: generation(2), uncommitted: 0 }));
    expect(await shown(at)).toEqual([]);
  });

  it("C2 a commit that failed is named with its cause", async () => {
    const at = await three();
    const found = await readHead(at.store);
    if (found === null) throw new Error("no head");
    const failure = { generation: generation(1), at: at.clock.now(), task: task0, kind: "invalid" };
    const failures = ['sink "rows": the table is gone', "another"].map((message) => ({
      ...failure,
      message,
      checkpointId: checkpointId(3),
    }));
    await swapHead(at.store, found.version, { ...found.value, failures });
    const causes = (await readUncommitted(at.store, await at.head())).map(({ sink, cause }) => [sink, cause]);
    expect(causes).toEqual([
      ["other", null],
      ["rows", 'sink "rows": the table is gone'],
      ["rows", 'sink "rows": the table is gone'],
    ]);
  });
});

describe("C1 what is printed", () => {
  const summary = (id: number) => ({ id }) as CheckpointSummary;
  const of = (id: number, cause: string | null = null) => ({
    checkpointId: checkpointId(id),
    sink: "rows",
    rows: 1_234,
    cause,
  });

  it("C1 output of a checkpoint that was aborted is of the complete one that covers it", () => {
    const listed = withUncommitted([summary(9), summary(7), summary(4)], [of(8), of(4)]);
    expect(listed.map(({ id, uncommitted }) => [id, uncommitted.length])).toEqual([
      [9, 1],
      [7, 0],
      [4, 1],
    ]);
  });

  it("has a line for each checkpoint, and each cause once", () => {
    const listed = withUncommitted([summary(9), summary(4)], [of(9, "gone"), of(4, "gone")]);
    expect(uncommittedText(listed)).toBe(
      "checkpoint 9: completed, commits pending: rows (1,234 rows)\n" +
        "checkpoint 4: completed, commits pending: rows (1,234 rows)\n" +
        "the last commit that failed: gone\n",
    );
    expect(uncommittedText(withUncommitted([summary(9)], []))).toBe("");
  });
});
