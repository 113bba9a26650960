// The fault decorators and virtual time, as the simulation and users' tests share them.
import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/index.js";
import { type FaultyOptions, faulty } from "../../lib/testing/faults/faulty.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { Scheduler, startOfTime } from "../../lib/testing/seeded/scheduler.js";

const day = 86_400_000;

/** A world with registers behind faults, in virtual time. */
function open(options: Omit<FaultyOptions, "clock">) {
  const scheduler = new Scheduler(randomOf("scheduler"));
  const inside = memoryRegisters();
  const made = faulty({ registers: inside.registers }, { ...options, clock: scheduler.clock(randomOf("clock")) });
  return { ...made, scheduler, inside, registers: made.world.registers };
}

const at = (name: string) => ({ group: "g", name });

describe("a faulty port", () => {
  it("does what the port does where no rate is given", async () => {
    const { registers, scheduler } = open({ seed: 1, rates: {} });
    await scheduler.until(
      (async () => {
        expect(await registers.swap(at("a"), null, "1")).toEqual({ kind: "swapped" });
        expect(await registers.read(at("a"))).toEqual({ version: 1, body: "1" });
        expect(await registers.list("g", "")).toHaveLength(1);
      })(),
    );
  });

  it("R5 loses answers of writes that happened, happen later, and never happen", async () => {
    const seen = new Map<string, number>();
    for (let seed = 1; seed <= 200; seed++) {
      const { registers, scheduler, inside } = open({ seed, rates: { lost: 1 } });
      const told = await scheduler.until(
        registers.swap(at("a"), null, "1").then(
          () => "told",
          (error: StreamError) => error.kind,
        ),
      );
      expect(told).not.toBe("told");
      const [now] = inside.all();
      await scheduler.run(() => false, Number.POSITIVE_INFINITY);
      const [later] = inside.all();
      const fate = now !== undefined ? "happened" : later !== undefined ? "later" : "never";
      seen.set(`${fate} ${told}`, (seen.get(`${fate} ${told}`) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual([
      "happened ambiguous",
      "later ambiguous",
      "never ambiguous",
      "never transient",
    ]);
  });

  it("leaves no doubt about a read", async () => {
    const { registers, scheduler } = open({ seed: 1, rates: { lost: 1 } });
    const kinds = await scheduler.until(
      Promise.all([1, 2, 3, 4, 5].map(() => registers.read(at("a")).catch((error: StreamError) => error.kind))),
    );
    expect(kinds).toEqual(["transient", "transient", "transient", "transient", "transient"]);
  });

  it("dies before or after the call that it is told to die at, and answers no more", async () => {
    for (const moment of ["before", "after"] as const) {
      const crashes = [{ call: "registers.swap", nth: 2, moment }];
      const { registers, scheduler, inside, crashed } = open({ seed: 1, rates: {}, crashes });
      let answered = 0;
      for (const name of ["a", "b", "c"]) registers.swap(at(name), null, "1").then(() => answered++);
      expect(await scheduler.until(crashed)).toContain(moment === "before" ? "before registers.swap b" : "waiting for");
      await scheduler.run(() => false, Number.POSITIVE_INFINITY);
      const there = inside.all().map(({ key }) => key.name);
      expect(there).toContain("a");
      expect(there.includes("b")).toBe(moment === "after");
      expect(answered).toBeLessThan(3);
    }
  });

  it("kills at any call, and when it is told to", async () => {
    const first = open({ seed: 1, rates: {}, crashes: [{ call: "*", nth: 3, moment: "before" }] });
    for (let n = 0; n < 3; n++) void first.registers.read(at("a"));
    expect(await first.scheduler.until(first.crashed)).toContain("before registers.read");
    const second = open({ seed: 1, rates: {} });
    second.kill("enough");
    expect(await second.crashed).toBe("enough");
  });

  it("repeats itself by its seed", async () => {
    const trace = async (seed: number) => {
      const { registers, scheduler, trace } = open({ seed, rates: { lost: 0.5, slow: 0.3, pause: 0.1 } });
      for (let n = 0; n < 30; n++) registers.swap(at(`r${n}`), null, "1").catch(() => undefined);
      await scheduler.run(() => false, Number.POSITIVE_INFINITY);
      return trace();
    };
    expect(await trace(1)).toEqual(await trace(1));
    expect(await trace(1)).not.toEqual(await trace(2));
    expect((await trace(1)).length).toBeGreaterThan(30);
  });

  it("calms down", async () => {
    const { registers, scheduler, calm } = open({ seed: 1, rates: { lost: 1 } });
    calm();
    expect(await scheduler.until(registers.swap(at("a"), null, "1"))).toEqual({ kind: "swapped" });
  });

  it("takes a scan, and a log's moods, that lose nothing", async () => {
    const scheduler = new Scheduler(randomOf("scheduler"));
    const { blobs } = memoryBlobs();
    const { log, control } = memoryLog({ now: () => scheduler.now });
    control.createStream("s", 1);
    const put = Array.from({ length: 50 }, (_, n) => control.put("s", "k", Buffer.from(String(n))).sequenceNumber);
    const clock = scheduler.clock(randomOf("clock"));
    const { world, trace } = faulty({ blobs, log }, { seed: 3, rates: { log: 0.5, few: 0.5 }, clock });
    const read = async () => {
      const found: string[] = [];
      const start = { kind: "horizon" } as const;
      for (let cursor: string | null = null; found.length < 50; ) {
        if (cursor === null) {
          const made = await world.log.cursor("s", "shardId-000000000000", start);
          cursor = made.kind === "cursor" ? made.cursor : null;
          if (cursor === null) continue;
          found.length = 0;
        }
        const answer = await world.log.read("s", cursor, 100);
        if (answer.kind === "expired") cursor = null;
        if (answer.kind !== "records") continue;
        if (answer.records.length === 0 && found.length < 50) expect(answer.behindMillis).toBeGreaterThan(0);
        found.push(...answer.records.map(({ sequenceNumber }) => sequenceNumber));
        cursor = answer.next;
      }
      return found;
    };
    expect(await scheduler.until(read())).toEqual(put);
    expect(trace().some((line) => line.endsWith("throttled"))).toBe(true);
    await blobs.put("a/1", Buffer.from("x"));
    const keys = async () => {
      const all: string[] = [];
      for await (const { key } of world.blobs.list("a/")) all.push(key);
      return all;
    };
    expect(await scheduler.until(keys())).toEqual(["a/1"]);
  });

  it("refuses rates that are no probabilities", () => {
    expect(() => open({ seed: 1, rates: { lost: 2 } })).toThrow(StreamError);
    expect(() => open({ seed: 1, rates: { crash: Number.NaN } })).toThrow(/"crash"/);
  });
});

describe("virtual time", () => {
  it("passes at once, in order, and stands still between events", async () => {
    const scheduler = new Scheduler(randomOf("1"));
    const clock = scheduler.clock(randomOf("clock"));
    const order: string[] = [];
    const nap = async (name: string, length: number) => {
      await clock.sleep(length);
      order.push(`${name} ${clock.now() - startOfTime}`);
    };
    await scheduler.until(Promise.all([nap("b", 2 * day), nap("a", day), nap("c", 3 * day)]));
    expect(order).toEqual([`a ${day}`, `b ${2 * day}`, `c ${3 * day}`]);
  });

  it("wakes a sleeper at once when its signal is aborted", async () => {
    const scheduler = new Scheduler(randomOf("1"));
    const clock = scheduler.clock(randomOf("clock"));
    const stop = new AbortController();
    scheduler.after(5, () => stop.abort());
    await scheduler.until(clock.sleep(day, stop.signal));
    expect(scheduler.now - startOfTime).toBe(5);
  });

  it("draws the order of one moment from its seed", async () => {
    const orderOf = async (seed: string) => {
      const scheduler = new Scheduler(randomOf(seed));
      const order: number[] = [];
      for (let n = 0; n < 8; n++) scheduler.after(1, () => order.push(n));
      await scheduler.run(() => false, Number.POSITIVE_INFINITY);
      return order.join();
    };
    expect(await orderOf("1")).toBe(await orderOf("1"));
    expect(new Set([await orderOf("1"), await orderOf("2"), await orderOf("3")]).size).toBeGreaterThan(1);
  });

  it("says when nothing is left that could happen", async () => {
    const scheduler = new Scheduler(randomOf("1"));
    await expect(scheduler.until(new Promise(() => undefined))).rejects.toThrow(/no event is left/);
    await expect(scheduler.until(Promise.reject(new Error("mine")))).rejects.toThrow("mine");
  });
});
