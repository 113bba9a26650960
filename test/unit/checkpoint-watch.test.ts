import { describe, expect, it } from "vitest";
import { coordinate } from "../../lib/checkpoint/coordinator.js";
import * as stored from "../../lib/checkpoint/store.js";
import { wishRunning, wishStopped } from "../../lib/checkpoint/wishes.js";
import { StreamError } from "../../lib/model/errors.js";
import { generation, type Millis, millis } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { Position } from "../../lib/model/shards.js";
import { acking, asleep, own, started, type World } from "./checkpoint-cloud.js";
import { version } from "./checkpoint-samples.js";

const hour = 3_600_000;
const day = 24 * hour;
const bytes = new Uint8Array([1]);
type Sleeping = Awaited<ReturnType<typeof asleep>>;

/** Behind the first record of the shard, read up to now. */
const behindFirst = (at: World): Position => {
  const { sequenceNumber } = at.control.put("flights", "k", bytes);
  return { kind: "after", sequenceNumber, sub: null, readTo: at.clock.now() };
};
const atBeginning = (at: World): Position => ({ kind: "beginning", readTo: at.clock.now() });
const look = async (at: Sleeping) => (await coordinate(at.coordinator(), [], null)).head?.value;
const watched = async (at: Sleeping): Promise<Millis | undefined> =>
  (await stored.readWatch(at.store))?.value.readTo.flights?.[at.shardId];

describe("N2 asleep", () => {
  it("N2 C3 with the last lease done the status is suspended, and nobody is invoked", async () => {
    const at = await asleep(behindFirst);
    expect(await look(at)).toMatchObject({ status: "suspended", completed: { checkpointId: 1 }, generation: 1 });
    expect((await at.head()).endedAt).not.toBeNull();
    for (let minute = 0; minute < 5; minute++) {
      at.clock.pass(60_000);
      await look(at);
    }
    expect(at.sent()).toEqual([]);
    expect(await at.head()).toMatchObject({ status: "suspended", generation: 1, nextCheckpointId: 2 });
  });

  it("N3 a look costs seven reads of items, and of the stream one description and two calls a shard", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    const calls: string[] = [];
    const counting = <P extends object>(port: P): P =>
      new Proxy(port, {
        get: (target, member) => {
          const method: unknown = Reflect.get(target, member);
          if (typeof method === "function") calls.push(String(member));
          return method;
        },
      });
    const coordinator = at.coordinator();
    const store = { ...at.store, registers: counting(at.store.registers), blobs: counting(at.store.blobs) };
    await coordinate({ ...coordinator, store, log: counting(at.log) }, [], null);
    // The head and what is desired, before the look and after it; generation record, manifest, watch.
    expect(calls.toSorted()).toEqual(["cursor", "describe", "read", ...Array<string>(7).fill("read")]);
  });

  it("N3 a session that is told of it looks at nothing", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    const before = await stored.readWatch(at.store);
    at.clock.pass(hour);
    at.control.put("flights", "k", bytes);
    expect((await coordinate(at.coordinator(), [], own())).head?.value.status).toBe("suspended");
    expect(await stored.readWatch(at.store)).toEqual(before);
  });
});

describe("N3 waking", () => {
  it.each([
    [
      "a record behind the position",
      behindFirst,
      (at: Sleeping): undefined => void at.control.put("flights", "k", bytes),
    ],
    ["a record where none was", atBeginning, (at: Sleeping): undefined => void at.control.put("flights", "k", bytes)],
    [
      "a split: the shard has ended",
      behindFirst,
      (at: Sleeping): undefined => void at.control.split("flights", at.shardId),
    ],
  ] as const)("N3 by %s", async (_, position, happen) => {
    const at = await asleep(position);
    expect(await look(at)).toMatchObject({ status: "suspended" });
    happen(at);
    const { completed, openings } = await at.head();
    expect(await look(at)).toMatchObject({
      status: "running",
      generation: 2,
      origin: completed,
      completed,
      failures: [],
    });
    const head = await at.head();
    expect(await stored.readGenerationRecord(at.store, head)).toMatchObject({ reason: "wake", origin: completed });
    expect(at.sent()).toHaveLength(1);
    expect(head.openings).toEqual({ since: openings.since, count: openings.count + 1 });
  });

  it.each([
    ["the service throttles", (at: Sleeping): void => at.control.throttle(1), 0],
    [
      "reads find nothing though there is something: the next ones do",
      (at: Sleeping): void => at.control.answerEmpty(5),
      2,
    ],
    ["reads never find anything: a session will", (at: Sleeping): void => at.control.answerEmpty(1_000), 2],
  ] as const)("N3 %s", async (_, trouble, generationThen) => {
    const at = await asleep(behindFirst);
    await look(at);
    at.control.put("flights", "k", bytes);
    at.clock.pass(1_000);
    trouble(at);
    expect((await look(at))?.generation).toBe(generationThen === 0 ? 1 : generationThen);
    expect((await look(at))?.status).toBe("running");
  });

  it("N3 the service does not answer: it sleeps on, and the next look tells", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    at.control.put("flights", "k", bytes);
    const broken = {
      ...at.coordinator(),
      log: { ...at.log, read: () => Promise.reject(new StreamError("transient", "busy")) },
    };
    expect((await coordinate(broken, [], null)).head?.value).toMatchObject({ status: "suspended", failures: [] });
    expect(await look(at)).toMatchObject({ status: "running", generation: 2 });
  });

  it("N3 K3 a child that an old list did not show wakes it, though no record comes", async () => {
    const at = await asleep(behindFirst);
    const [left, right] = at.control.split("flights", at.shardId);
    // The session that read the shard's end saw one of its children.
    const { incarnation, completed } = await at.head();
    if (completed === null) throw new Error("nothing is complete");
    const manifest = await stored.readManifest(at.store, incarnation, completed);
    const [parent] = manifest.shards.flights?.shards ?? [];
    const flights = manifest.shards.flights;
    if (flights === undefined || parent === undefined) throw new Error("no table");
    const readTo = at.clock.now();
    const finished = {
      ...parent,
      at: { kind: "finished" as const, generation: generation(1), producer: 0, sent: {}, readTo },
    };
    const child = (shardId: string) => ({
      ...parent,
      shardId,
      parents: [at.shardId],
      at: { kind: "open" as const, position: { kind: "beginning" as const, readTo } },
    });
    const sleepOn = async (...children: readonly string[]) => {
      const shards = { flights: { ...flights, shards: [finished, ...children.map(child)] } };
      const ref = await stored.writeManifest(at.store, { ...manifest, shards });
      const head = await stored.readHead(at.store);
      if (head === null) throw new Error("no head");
      await stored.swapHead(at.store, head.version, {
        ...head.value,
        status: "suspended",
        endedAt: readTo,
        completed: ref,
      });
    };
    await sleepOn(left, right);
    expect((await look(at))?.status).toBe("suspended");
    await sleepOn(left);
    at.control.answerOldShards("flights", 1);
    expect((await look(at))?.status).toBe("suspended");
    expect((await look(at))?.status).toBe("running");
  });

  it("N3 R5 of two looks at a time one opens the generation", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    at.control.put("flights", "k", bytes);
    await Promise.all([look(at), look(at), look(at)]);
    expect(await at.head()).toMatchObject({ generation: 2, status: "running" });
  });

  it("N3 R5 it wakes once, whatever answers are lost", async () => {
    const at = await asleep(
      behindFirst,
      Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? "unanswered" : "answered")),
    );
    for (let i = 0; i < 5; i++) await look(at);
    expect(await at.head()).toMatchObject({ status: "suspended", generation: 1 });
    at.control.put("flights", "k", bytes);
    for (let i = 0; i < 5; i++) await look(at);
    expect(await at.head()).toMatchObject({ status: "running", generation: 2 });
  });
});

describe("N3 what people want of it", () => {
  it("N3 a stop stops it as it is, without a session", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    await wishStopped(at.store);
    at.control.put("flights", "k", bytes);
    expect(await look(at)).toMatchObject({ status: "stopped", generation: 1 });
    expect(await look(at)).toMatchObject({ status: "stopped", generation: 1 });
    expect(at.sent()).toEqual([]);
  });

  it("N3 a stop while it goes to sleep", async () => {
    const at = await asleep(behindFirst);
    await wishStopped(at.store);
    expect((await at.head()).status).toBe("suspending");
    expect(await look(at)).toMatchObject({ status: "stopped", generation: 1 });
  });

  it("N3 R4 a start wakes it at once, and what was before does not count", async () => {
    const at = await asleep(behindFirst);
    const before = await look(at);
    await wishRunning(at.store, { functionVersion: version, fingerprint: sha256("plan") }, "r2");
    at.clock.pass(5);
    expect(await look(at)).toMatchObject({
      status: "running",
      generation: 2,
      origin: before?.completed,
      idleSince: null,
      openings: { count: 1, since: at.clock.now() },
    });
    expect(at.sent()).toHaveLength(1);
  });
});

describe("N3 P1 the time up to which it was read", () => {
  it("N3 a quiet sleep that is longer than the retention loses nothing, and the next generation knows", async () => {
    const at = await asleep(behindFirst);
    for (let hours = 0; hours < 72; hours++) {
      expect(await look(at)).toMatchObject({ status: "suspended" });
      at.clock.pass(hour);
    }
    expect(at.control.records("flights", at.shardId)).toEqual([]);
    at.control.put("flights", "k", bytes);
    expect(await look(at)).toMatchObject({ status: "running", generation: 2, failures: [] });
    const record = await stored.readGenerationRecord(at.store, await at.head());
    const readTo = record.readTo?.flights?.[at.shardId] ?? 0;
    expect(at.clock.now() - readTo).toBeLessThan(hour + day / 100 + 1_000);
    expect(readTo).toBeLessThanOrEqual(at.clock.now());
  });

  it("N3 the generation after one that failed before its first checkpoint knows it too", async () => {
    const at = await asleep(behindFirst);
    for (let hours = 0; hours < 72; hours++, at.clock.pass(hour)) await look(at);
    at.control.put("flights", "k", bytes);
    await look(at);
    const first = await stored.readGenerationRecord(at.store, await at.head());
    await at.store.registers.remove({ group: "p", name: "watch" });
    const invocation = { ...at.invocation, generation: generation(2) };
    await coordinate(at.coordinator(), [{ invocation, kind: "died", message: "x" }], null);
    expect(await at.head()).toMatchObject({ generation: 3, status: "running" });
    expect((await stored.readGenerationRecord(at.store, await at.head())).readTo).toEqual(first.readTo);
  });

  it("N3 P1 nobody looked for longer than the retention, and the record at the position is gone: it fails, once, and says so", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    at.clock.pass(day + hour);
    const head = await look(at);
    expect(head).toMatchObject({ status: "failed", generation: 1, failures: [{ kind: "invalid" }] });
    const message = head?.failures[0]?.message;
    for (const part of ['source "flights"', at.shardId, "sequence number", "24 h", "P1"])
      expect(message).toContain(part);
    at.clock.pass(hour);
    expect((await look(at))?.failures).toHaveLength(1);
    expect(at.sent()).toEqual([]);
  });

  it("N3 P1 nobody looked for longer than the retention, but the record at the position is there: nothing is missing", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    at.clock.pass(2 * hour);
    // What is past the retention need not be trimmed yet.
    const lazy = {
      ...at.log,
      describe: async (name: string) => ({ ...(await at.log.describe(name)), retentionMillis: hour }),
    };
    const again = () => coordinate({ ...at.coordinator(), log: lazy as typeof at.log }, [], null);
    expect((await again()).head?.value).toMatchObject({ status: "suspended", failures: [] });
    at.clock.pass(2 * hour);
    at.control.put("flights", "k", bytes);
    expect((await again()).head?.value).toMatchObject({ status: "running", generation: 2 });
  });

  it("N3 what was read behind one checkpoint is not used for another", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    const watch = await stored.readWatch(at.store);
    if (watch === null) throw new Error("nothing was noted");
    const { checkpoint } = watch.value;
    const other = { ...checkpoint, sha256: sha256("another manifest") };
    await stored.swapWatch(at.store, watch.version, {
      format: 1,
      checkpoint: other,
      readTo: { flights: { [at.shardId]: millis(at.clock.now() + 30 * day) } },
    });
    at.clock.pass(day + hour);
    expect((await look(at))?.status).toBe("failed");
  });

  it("N3 it is noted no more often than needed", async () => {
    const at = await asleep(behindFirst);
    const versions: (number | undefined)[] = [];
    for (let minutes = 0; minutes < 60; minutes++, at.clock.pass(60_000)) {
      await look(at);
      versions.push((await stored.readWatch(at.store))?.version);
    }
    expect(versions.at(0)).toBe(1);
    expect(versions.at(-1)).toBeLessThanOrEqual(5);
    expect(at.clock.now() - ((await watched(at)) ?? 0)).toBeLessThan(day / 100 + 62_000);
  });

  it("N3 R2 it wakes, and its stream is gone: it fails with that, for nobody has asked and could be told", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    at.control.put("flights", "k", bytes);
    let asked = 0;
    const describe = async (name: string) => (asked++ === 0 ? at.log.describe(name) : ({ kind: "absent" } as const));
    const found = await coordinate({ ...at.coordinator(), log: { ...at.log, describe } }, [], null);
    expect(found.head?.value).toMatchObject({
      status: "failed",
      generation: 1,
      failures: [{ kind: "invalid", generation: 1 }],
    });
    expect(asked).toBe(2);
  });

  it("N3 the stream is gone: it fails with that", async () => {
    const at = await asleep(behindFirst);
    await look(at);
    at.control.deleteStream("flights");
    const head = await look(at);
    expect(head).toMatchObject({ status: "failed" });
    expect(head?.failures[0]?.message).toContain('there is no stream "flights"');
  });
});

it("N2 an abort of the checkpoint with which it was to sleep: it goes on, and sleeps with the next", async () => {
  const awake = await started([], { idle: { suspendAfter: "1m" } });
  const idleSince = awake.clock.now();
  awake.clock.pass(60_000);
  const session = awake.coordinator();
  const told = own({ changed: false, idleSince });
  await coordinate(session, [], told);
  expect(await awake.head()).toMatchObject({ pending: { andThen: "suspend", reason: "idle" } });
  awake.clock.pass(30_000);
  await coordinate(session, [], told);
  expect(await awake.head()).toMatchObject({
    consecutiveAborts: 1,
    pending: { checkpointId: 2, andThen: "suspend" },
    status: "running",
  });
  await acking(awake);
  await coordinate(session, [], told);
  expect(await awake.head()).toMatchObject({
    status: "suspending",
    completed: { checkpointId: 2 },
    consecutiveAborts: 0,
  });
});
