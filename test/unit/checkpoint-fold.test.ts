import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeDocument } from "../../lib/checkpoint/documents.js";
import { type FoldInput, foldManifest, gatherAcks, shardsBefore, tasksOf } from "../../lib/checkpoint/fold.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SourceTable } from "../../lib/model/shards.js";
import {
  ack,
  ago,
  held,
  leases,
  manifest,
  pending,
  record,
  ref,
  task0,
  task1,
  twoTasks,
} from "./checkpoint-samples.js";

const two = record({ stages: twoTasks });

const table = (shardId: string): SourceTable => ({
  streamArn: "arn:stream",
  createdAt: millis(1),
  start: "horizon",
  shards: [
    {
      shardId,
      parents: [],
      hashKeys: ["0", "9"],
      at: { kind: "open", position: { kind: "horizon", readTo: null } },
    },
  ],
});

describe("gatherAcks", () => {
  const done = leases(held(), { kind: "done", committed: checkpointId(1) });
  const older = ack({ task: task1, checkpointId: checkpointId(1), finished: true });
  const withFinished = manifest({ tasks: [ack({ checkpointId: checkpointId(1) }), older] });

  it("B4 all tasks, in their order, whatever the order of the acks", () => {
    const acks = [ack({ task: task1 }), ack({ task: task0 })];
    expect(gatherAcks(two, acks, null, done)?.map(({ task }) => task)).toEqual([task0, task1]);
    expect(tasksOf(two)).toEqual([task0, task1]);
  });

  it("B4 one is missing: none", () => {
    expect(gatherAcks(two, [ack()], null, done)).toBeNull();
    expect(gatherAcks(two, [], withFinished, done)).toBeNull();
  });

  it("B4 a finished ack counts for all later checkpoints", () => {
    expect(gatherAcks(two, [ack()], withFinished, done)).toEqual([ack(), older]);
  });

  it("B4 C3 not while a session runs the task, or is to: that one acks too, and ends", () => {
    for (const holder of [held(), { kind: "free", since: ago(1) } as const, null]) {
      expect(gatherAcks(two, [ack()], withFinished, leases(held(), holder))).toBeNull();
    }
  });

  it("B4 an ack of its own replaces the finished one (a finished task acks once more)", () => {
    const own = ack({ task: task1, finished: true });
    expect(gatherAcks(two, [ack(), own], withFinished, done)).toEqual([ack(), own]);
  });

  it("B4 an ack that is not finished does not count again", () => {
    const unfinished = manifest({ tasks: [ack(), { ...older, finished: false }] });
    expect(gatherAcks(two, [ack()], unfinished, done)).toBeNull();
  });

  it("B4 R2 what was finished in another generation is not: its sources may have to be read again", () => {
    const other = { ...withFinished, generation: generation(2) };
    expect(gatherAcks(two, [ack()], other, done)).toBeNull();
  });
});

describe("foldManifest", () => {
  const input = (over: Partial<FoldInput> = {}): FoldInput => ({
    record: record({ origin: ref(1) }),
    recordHash: sha256("record"),
    pending: pending({ andThen: "stop", savepoint: { name: "before the deploy", requestId: "q" } }),
    acks: [ack()],
    previous: { ref: ref(1), manifest: manifest({ shards: { flights: table("s0") } }) },
    listed: {},
    ...over,
  });

  it("B4 says what it covers, and what came before", () => {
    expect(foldManifest(input())).toMatchObject({
      generation: 1,
      generationRecord: sha256("record"),
      checkpointId: 2,
      savepoint: "before the deploy",
      andThen: "stop",
      previous: ref(1),
      origin: ref(1),
      tasks: [ack()],
      wakeAt: null,
    });
  });

  it("B4 the same inputs give the same bytes, and none of them is changed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.boolean(), (n, listed) => {
        const make = () =>
          input({
            acks: Array.from({ length: n }, (_, i) => ack({ wakeAt: millis(i) })),
            listed: listed ? { flights: [] } : {},
          });
        const given = make();
        expect(encodeDocument(foldManifest(given))).toBe(encodeDocument(foldManifest(make())));
        expect(given).toEqual(make());
      }),
      { numRuns: 20 },
    );
  });

  it("N3 it wakes at the earliest time that a task asked for", () => {
    const at = (...times: (number | null)[]) =>
      foldManifest(input({ acks: times.map((time) => ack({ wakeAt: time === null ? null : millis(time) })) })).wakeAt;
    expect(at(null, 70, 50)).toBe(50);
    expect(at(null)).toBeNull();
    expect(at()).toBeNull();
  });

  it("P0 the first checkpoint folds the table of the generation record", () => {
    const first = input({ previous: null, record: record({ shards: { flights: table("s0") } }) });
    expect(foldManifest(first).shards).toEqual({ flights: table("s0") });
    expect(foldManifest(first).previous).toBeNull();
  });

  it("K3 the completed manifest's table goes before the record's, which adds sources that it does not know", () => {
    const known = manifest({ shards: { flights: table("s1") } });
    const made = record({ shards: { flights: table("s0"), weather: table("w0") } });
    expect(shardsBefore(made, known)).toEqual({ flights: table("s1"), weather: table("w0") });
    expect(() => shardsBefore(record({ shards: null }), null)).toThrow("P0");
  });

  it("K3 it carries positions from the acks", () => {
    const position = { kind: "after", sequenceNumber: "7", sub: null, readTo: ago(1) } as const;
    const acks = [ack({ positions: { flights: [{ shardId: "s0", at: { kind: "open", position } }] } })];
    expect(foldManifest(input({ acks })).shards.flights?.shards.map(({ at }) => at)).toEqual([
      { kind: "open", position },
    ]);
  });
});
