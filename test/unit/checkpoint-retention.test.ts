import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import { shardsBefore } from "../../lib/checkpoint/fold.js";
import { lossAt, mayBePast, readFurther } from "../../lib/checkpoint/retention.js";
import * as stored from "../../lib/checkpoint/store.js";
import { wishRunning } from "../../lib/checkpoint/wishes.js";
import type { Head } from "../../lib/model/head.js";
import { generation, type Millis, millis } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { Position, ShardEntry, SourceTable } from "../../lib/model/shards.js";
import { checkpointed, started, type World } from "./checkpoint-cloud.js";
import { manifest, now, record, version } from "./checkpoint-samples.js";

const hour = 3_600_000;
const day = 24 * hour;
const bytes = new Uint8Array([1]);
const stream = { name: "flights", stream: "acme-flights", retentionMillis: day };
const behind = (readTo: Millis): Position => ({ kind: "after", sequenceNumber: "9", sub: null, readTo });
const entry = (at: ShardEntry["at"], shardId = "s", parents: readonly string[] = []): ShardEntry => ({
  shardId,
  parents,
  hashKeys: ["0", "9"],
  at,
});
const open = (position: Position, shardId = "s") => entry({ kind: "open", position }, shardId);
const end = (readTo: Millis): ShardEntry["at"] => ({
  kind: "finished",
  generation: generation(1),
  producer: 0,
  sent: {},
  readTo,
});
const table = (...shards: readonly ShardEntry[]): SourceTable => ({
  streamArn: "arn",
  createdAt: millis(0),
  start: "horizon",
  shards,
});

describe("P1 the server's clock", () => {
  it.each([
    ["inside the retention by a second", 1_000, false],
    ["inside by less than a second: the Date header is rounded down, it may be past", 999, true],
    ["exactly at its end", 0, true],
    ["past it", -1, true],
  ] as const)("P1 %s", (_, inside, past) => {
    expect(mayBePast(millis(now - day + inside), day, now)).toBe(past);
  });

  it("P1 says source, shard, position, retention, times, and what to do", () => {
    const message = lossAt(stream, "shard-7", behind(millis(now - 2 * day)), now)?.message ?? "";
    for (const part of [
      'source "flights"',
      "shard shard-7",
      "sequence number 9",
      "24 h",
      '"acme-flights"',
      "P1",
      "another pipeline name",
    ])
      expect(message).toContain(part);
    expect(message).toContain(new Date(now - 2 * day).toISOString());
    expect(lossAt(stream, "shard-7", behind(now), now)).toBeNull();
    expect(lossAt(stream, "shard-7", { kind: "horizon", readTo: null }, now)).toBeNull();
  });
});

describe("N3 what was read while it slept", () => {
  const before = {
    flights: table(open(behind(millis(50))), entry(end(millis(40)), "p"), open({ kind: "horizon", readTo: null }, "h")),
  };
  const positionOf = (shards: Record<string, SourceTable>, shardId: string) =>
    shards.flights?.shards.find((shard) => shard.shardId === shardId)?.at;

  it("N3 a readTo only ever becomes later, that of an open position alone", () => {
    const further = readFurther(before, { flights: { s: millis(70), p: millis(70), h: millis(70), gone: millis(70) } });
    expect(positionOf(further, "s")).toEqual({ kind: "open", position: behind(millis(70)) });
    expect(positionOf(further, "p")).toEqual(end(millis(40)));
    expect(positionOf(further, "h")).toEqual({ kind: "open", position: { kind: "horizon", readTo: null } });
    expect(further.flights?.shards).toHaveLength(3);
    expect(readFurther(before, { flights: { s: millis(30) } })).toEqual(before);
    expect(readFurther(before, null)).toEqual(before);
  });

  it("N3 it counts until the generation's own first checkpoint, which knows better", () => {
    const woken = record({ generation: generation(2), readTo: { flights: { s: millis(70) } } });
    const origin = manifest({ shards: before, generation: generation(1) });
    const own = manifest({ shards: before, generation: generation(2) });
    expect(positionOf(shardsBefore(woken, origin), "s")).toEqual({ kind: "open", position: behind(millis(70)) });
    expect(positionOf(shardsBefore(woken, own), "s")).toEqual({ kind: "open", position: behind(millis(50)) });
  });
});

/** Checkpoint 1 has the one shard at this position; then so much time passes, and its session dies, or a person starts it. */
async function reopened(
  positionOf: (at: World) => Position,
  later: number,
  how: "failure" | "start",
  retention = day,
): Promise<Head & { before: Head }> {
  const at = await started();
  const [shard] = await at.log.shards("flights");
  const shardId = shard?.shardId ?? "";
  const positions = { flights: [{ shardId, at: { kind: "open" as const, position: positionOf(at) } }] };
  await checkpointed(at, { positions });
  at.clock.pass(later);
  const before = await at.head();
  const describe = async (name: string) => ({ ...(await at.log.describe(name)), retentionMillis: retention });
  const coordinator = { ...at.coordinator(), log: { ...at.log, describe } as typeof at.log };
  if (how === "start") {
    await wishRunning(at.store, { functionVersion: version, fingerprint: sha256("plan") }, "r2");
    await coordinate(coordinator, [], null).catch((error: Error) =>
      expect(error.message).toContain("past the retention"),
    );
  } else {
    await coordinate(coordinator, [{ invocation: at.invocation, kind: "died", message: "x" }], null);
  }
  return { ...(await at.head()), before };
}

const behindFirst = (at: World): Position => {
  const { sequenceNumber } = at.control.put("flights", "k", bytes);
  return { kind: "after", sequenceNumber, sub: null, readTo: at.clock.now() };
};
const atBeginning = (at: World): Position => ({ kind: "beginning", readTo: at.clock.now() });

describe("P1 the positions at an opening", () => {
  it.each([
    ["inside the retention", behindFirst, 23 * hour, day, true],
    ["past it, and the record is gone", behindFirst, 25 * hour, day, false],
    ["past it, but the record at the position is still there", behindFirst, 5 * hour, hour, true],
    ["past it, and never read: nothing can be there", atBeginning, 25 * hour, day, false],
    ["inside it, and never read", atBeginning, 23 * hour, day, true],
  ] as const)("P1 %s", async (_, position, later, retention, opens) => {
    const restarted = await reopened(position, later, "failure", retention);
    expect(restarted.generation).toBe(opens ? 2 : 1);
    expect(restarted.status).toBe(opens ? "running" : "failed");
    if (!opens)
      expect(restarted.failures.at(-1)).toMatchObject({ kind: "invalid", message: expect.stringContaining("(P1)") });
  });

  it("P1 R2 a start that would lose records is refused, and fences nothing", async () => {
    const { before, ...refused } = await reopened(behindFirst, 25 * hour, "start");
    expect(refused).toEqual(before);
    expect(refused.status).toBe("running");
  });
});

describe("P1 children that are past the retention themselves", () => {
  it.each([
    ["are waited for in vain: the pipeline fails with that", 25 * hour, "failed"],
    ["may still come in", 23 * hour, "running"],
  ] as const)("P1 K3 they %s", async (_, later, status) => {
    const at = await started();
    const [shard] = await at.log.shards("flights");
    const shardId = shard?.shardId ?? "";
    const positions = { flights: [{ shardId, at: end(at.clock.now()) }] };
    expect((await checkpointed(at, { positions }))?.status).toBe("running");
    at.clock.pass(later);
    const head = await checkpointed(at, { positions });
    expect(head).toMatchObject({ status, completed: { checkpointId: 2 }, generation: 1 });
    if (status === "failed") expect(head?.failures.at(-1)?.message).toMatch(/read to its end.*past the retention.*P1/);
    expect(await stored.readHead(at.store)).toMatchObject({ value: { status } });
  });
});
