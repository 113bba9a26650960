import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import { manifestKey, markerKey } from "../../lib/checkpoint/names.js";
import type { Head } from "../../lib/model/head.js";
import { checkpointId, type Millis } from "../../lib/model/ids.js";
import { acking, checkpointed, own, started, world } from "./checkpoint-cloud.js";
import { desired, request, task0, version } from "./checkpoint-samples.js";
import type { Fate } from "./checkpoint-worlds.js";

describe("R3 a whole checkpoint", () => {
  it("B1 B4 R1 R7 is triggered, completed and marked, and stands in the bucket", async () => {
    const at = await started();
    const head = await checkpointed(at);
    expect(head).toMatchObject({ completed: { checkpointId: 1 }, pending: null, nextCheckpointId: 2 });
    if (head?.completed == null) throw new Error("not complete");
    const keys = [...at.bucket.all().keys()];
    expect(keys).toContain(manifestKey("p", head.incarnation, head.completed));
    expect(keys).toContain(markerKey("p", head.incarnation, checkpointId(1)));
  });

  it("R7 a marker that is missing, for the answer to R1 was lost, is repaired by the next completer", async () => {
    const at = await started();
    const head = await checkpointed(at);
    const first = markerKey("p", head?.incarnation ?? "", checkpointId(1));
    await at.store.blobs.remove([first]);
    await checkpointed(at);
    expect([...at.bucket.all().keys()]).toContain(first);
    expect(await at.head()).toMatchObject({ completed: { checkpointId: 2 } });
  });

  it("R1 R5 when two of three answers are lost after the write, every change happens once", async () => {
    const fates = Array.from(
      { length: 40 },
      (_, i): Fate => (i % 3 === 0 ? "unanswered" : i % 3 === 1 ? "own conflict" : "answered"),
    );
    const at = await started(fates);
    await checkpointed(at);
    expect(await checkpointed(at)).toMatchObject({
      generation: 1,
      completed: { checkpointId: 2 },
      nextCheckpointId: 3,
      consecutiveAborts: 0,
    });
  });

  it("R3 two that complete at once: one manifest is selected, and both see it", async () => {
    const at = await started();
    at.clock.pass(60_000);
    await coordinate(at.coordinator(), [], own());
    await acking(at);
    const both = await Promise.all([at.coordinator(), at.coordinator()].map((one) => coordinate(one, [], null)));
    const completed = (await at.head()).completed;
    expect(completed?.checkpointId).toBe(1);
    for (const { head } of both) expect(head?.value.completed).toEqual(completed);
  });
});

describe("openings", () => {
  it("R2 R6 the first: record, head, invocation with version 0", async () => {
    const at = await world();
    await coordinate(at.coordinator(), [], null);
    expect(await at.head()).toMatchObject({ generation: 1, status: "running", origin: null });
    expect(at.sent()).toMatchObject([
      { kind: "task", functionVersion: version, invocation: { generation: 1, leaseVersion: 0, task: task0 } },
    ]);
  });

  it("R5 an opening whose answer was lost is invoked all the same, and opened once", async () => {
    const at = await world(["answered", "unanswered"]);
    await coordinate(at.coordinator(), [], null);
    expect(await at.head()).toMatchObject({ generation: 1 });
    expect(at.sent()).toHaveLength(1);
  });

  it("R2 R3 of two that open at once one wins, and its sessions alone are invoked", async () => {
    const at = await world();
    await Promise.all([coordinate(at.coordinator(), [], null), coordinate(at.coordinator(), [], null)]);
    const { incarnation } = await at.head();
    expect(at.sent()).toMatchObject([{ kind: "task", invocation: { generation: 1, incarnation } }]);
  });

  it("P4 R5 a lease that nobody took is invoked by the generation's version, whoever decides", async () => {
    const at = await world();
    await coordinate(at.coordinator(), [], null);
    at.clock.pass(10_000);
    await coordinate(at.coordinator("8"), [], null);
    expect(at.sent().map((one) => (one.kind === "task" ? one.functionVersion : null))).toEqual([version, version]);
  });

  const restart = desired({ request: request({ id: "r2" }) });

  it("R2 a restart that cannot be is the person's to hear of, and fences nothing", async () => {
    const at = await started();
    await at.wish(restart);
    at.control.deleteStream("flights");
    await expect(coordinate(at.coordinator(), [], null)).rejects.toMatchObject({ kind: "invalid" });
    expect(await at.head()).toMatchObject({ generation: 1, status: "running" });
  });

  it("R2 the session that runs meanwhile goes on with its checkpoints", async () => {
    const at = await started();
    await at.wish(restart);
    at.control.deleteStream("flights");
    expect(await checkpointed(at)).toMatchObject({ generation: 1, completed: { checkpointId: 1 } });
  });

  it("R2 the supervisor too does all else before it says so", async () => {
    const at = await started();
    at.clock.pass(60_000);
    await coordinate(at.coordinator(), [], own());
    await acking(at);
    await at.wish(restart);
    at.control.deleteStream("flights");
    await expect(coordinate(at.coordinator(), [], null)).rejects.toMatchObject({ kind: "invalid" });
    expect(await at.head()).toMatchObject({ generation: 1, completed: { checkpointId: 1 } });
  });

  it("R2 R4 a failure that no restart can help, for the stream is gone, is the pipeline's end", async () => {
    const at = await started();
    at.control.deleteStream("flights");
    const report = { invocation: at.invocation, kind: "died", message: "out of memory" };
    await coordinate(at.coordinator(), [report], null);
    expect(await at.head()).toMatchObject({ status: "failed", generation: 1, failures: [{ kind: "invalid" }] });
    expect((await at.head()).failures[0]?.message).toContain("out of memory");
  });

  it("R2 R4 a report opens the next generation from what is complete, once", async () => {
    const at = await started();
    const completed = (await checkpointed(at))?.completed;
    const report = { invocation: at.invocation, kind: "died", message: "out of memory" };
    await coordinate(at.coordinator(), [report], null);
    await coordinate(at.coordinator(), [report], null);
    expect(await at.head()).toMatchObject({
      generation: 2,
      origin: completed,
      completed,
      failures: [{ kind: "died" }],
    });
  });
});

describe("P1 at an opening", () => {
  const end = (readTo: Millis, generation: Head["generation"]) => ({
    kind: "finished" as const,
    generation,
    producer: 0,
    sent: {},
    readTo,
  });

  it.each([
    ["is past retention: the restart is refused", 25 * 3_600_000, "failed", "past the retention"],
    ["is not: it is opened", 23 * 3_600_000, "running", undefined],
  ] as const)("P1 the end of a shard whose children are not in %s", async (_, later, status, why) => {
    const at = await started();
    const { generation } = await at.head();
    const [shard] = await at.log.shards("flights");
    const shardId = shard?.shardId ?? "";
    const positions = { flights: [{ shardId, at: end(at.clock.now(), generation) }] };
    expect(await checkpointed(at, { positions })).toMatchObject({ completed: { checkpointId: 1 } });
    at.clock.pass(later);
    await coordinate(at.coordinator(), [{ invocation: at.invocation, kind: "died", message: "x" }], null);
    const head = await at.head();
    expect(head.status).toBe(status);
    if (why !== undefined) expect(head.failures.at(-1)?.message).toContain(why);
  });
});
