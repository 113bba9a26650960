import { describe, expect, it } from "vitest";
import { storeBody } from "../../lib/checkpoint/bodies.js";
import type { HeldCommittable } from "../../lib/model/checkpoints.js";
import { checkpointId, generation } from "../../lib/model/ids.js";
import type { HeldWriter } from "../../lib/pipeline/sink.js";
import { Committer } from "../../lib/runtime/committer.js";
import { encodeHeldRows } from "../../lib/runtime/held-bodies.js";
import { head, incarnation, ref, task0 } from "./checkpoint-samples.js";
import { memoryStore, quickClock } from "./checkpoint-worlds.js";

const rowsEach = 100;

/**
 * A target that takes `millisPerRow`, and a list of so many checkpoints, of a hundred rows each, seen complete but for those that
 * were aborted: how many checkpoints each commit took.
 */
async function commitsOf(
  reserve: number,
  checkpoints: number,
  millisPerRow: number,
  aborted: readonly number[] = [],
): Promise<readonly number[]> {
  const clock = quickClock();
  const store = { ...memoryStore().store, clock };
  const writer: HeldWriter = {
    target: "acme-out",
    check: async () => {},
    close: async () => {},
    validate: () => {},
    apply: async (_, writes) => clock.pass(writes.length * millisPerRow),
  };
  const writers = new Map([["out", { delivery: "held", writer } as const]]);
  const list: HeldCommittable[] = [];
  for (let id = 1; id <= checkpoints; id++) {
    const rows = Array.from({ length: rowsEach }, (_, seq) => ({
      key: `${id} ${seq}`,
      row: seq,
      change: "put" as const,
      seq,
    }));
    list.push({
      sink: "out",
      target: "acme-out",
      kind: "held",
      generation: generation(1),
      epoch: checkpointId(id - 1),
      checkpointId: checkpointId(id),
      task: task0,
      index: 0,
      body: await storeBody(store.blobs, `held ${id}`, encodeHeldRows(rows)),
      records: rowsEach,
    });
  }
  const committer = new Committer({ store, incarnation, writers }, list, reserve);
  for (let id = 1; id <= checkpoints; id++) if (!aborted.includes(id)) committer.observe(head({ completed: ref(id) }));
  const covering = head({ completed: ref(checkpoints) });
  const pieces: number[] = [];
  for (let piece = committer.next(covering); piece !== null; piece = committer.next(covering)) {
    const before = committer.list.length;
    await piece;
    pieces.push(before - committer.list.length);
  }
  expect(committer.list).toEqual([]);
  return pieces;
}

describe("N1 how long one commit may take", () => {
  it("N1 a quarter of a short reserve: an ack and a hand-over need the rest", async () => {
    const [first, ...others] = await commitsOf(4_000, 20, 5);
    // Of the first the target's speed is not known yet: half of what a longer commit would take.
    expect(first).toBe(5);
    // 200 rows a second, a second at a time.
    expect(others).toEqual([2, 2, 2, 2, 2, 2, 2, 1]);
  });

  it("N1 ten seconds at most, however long the reserve is", async () => {
    expect(await commitsOf(90_000, 120, 5)).toEqual([50, 20, 20, 20, 10]);
  });

  it("C2 a checkpoint at a time, where the target takes less than one in that time", async () => {
    expect(await commitsOf(4_000, 8, 100)).toEqual([5, 1, 1, 1]);
  });

  it("C2 ends at a checkpoint that was complete, never at the cut of one that was aborted", async () => {
    expect(await commitsOf(4_000, 12, 5, [2, 4, 5, 6, 7, 9])).toEqual([3, 5, 2, 2]);
  });
});
