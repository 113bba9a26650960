import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import type { World } from "../../lib/ports/world.js";
import { guardWorld } from "../../lib/runtime/guard.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryFunctions } from "../../lib/testing/memory/functions.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { virtualClock } from "./runtime-world.js";

const key = { group: "p", name: "head" };

function world() {
  const clock = virtualClock();
  const bucket = memoryBlobs();
  const log = memoryLog(clock);
  log.control.createStream("s", 1);
  const inner: World = {
    clock,
    registers: memoryRegisters().registers,
    blobs: bucket.blobs,
    log: log.log,
    files: memoryFiles().files,
    objects: memoryObjects().objects,
    tables: memoryTables().tables,
    streams: log.streams,
    functions: memoryFunctions({ task: () => {}, supervisor: () => {} }).functions,
  };
  return { inner, bucket, clock };
}

/** A world whose `blobs.get` answers when it is told to. */
function slow() {
  const { inner } = world();
  const waiting: ((answer: Uint8Array | null) => void)[] = [];
  const failing: ((error: unknown) => void)[] = [];
  const get = () =>
    new Promise<Uint8Array | null>((resolve, reject) => {
      waiting.push(resolve);
      failing.push(reject);
    });
  return { guarded: guardWorld({ ...inner, blobs: { ...inner.blobs, get } }), waiting, failing };
}
const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  return done;
};

describe("N4", () => {
  it("N4 after the end every call of every port is refused, and does nothing", async () => {
    const { inner, bucket } = world();
    const guarded = guardWorld(inner);
    await guarded.world.blobs.put("before", new Uint8Array(1));
    guarded.end();
    const { registers, blobs, log, tables, functions } = guarded.world;
    const calls: readonly (readonly [string, () => unknown])[] = [
      ["registers.read", () => registers.read(key)],
      ["registers.swap", () => registers.swap(key, null, "x")],
      ["registers.put", () => registers.put(key, "x")],
      ["blobs.put", () => blobs.put("after", new Uint8Array(1))],
      ["blobs.get", () => blobs.get("before")],
      ["blobs.list", () => blobs.list("")],
      ["log.read", () => log.read("s", "{}", 1)],
      ["tables.describe", () => tables.describe("t")],
      ["functions.callSupervisor", () => functions.callSupervisor({ pipeline: "p", report: null })],
    ];
    for (const [name, call] of calls) {
      await expect(async () => call()).rejects.toMatchObject({
        kind: "fenced",
        message: expect.stringContaining(name),
      });
    }
    expect([...bucket.all().keys()]).toEqual(["before"]);
    expect(await inner.registers.read(key)).toBeNull();
    expect(guarded.requests()).toEqual({ "blobs.put": 1 });
  });

  it("N4 the clock goes on: what waits for its end may still sleep", async () => {
    const { inner } = world();
    const guarded = guardWorld(inner);
    guarded.end();
    const before = guarded.world.clock.now();
    await guarded.world.clock.sleep(50);
    expect(guarded.world.clock.now()).toBe(before + 50);
  });

  it("N4 idle waits for what is under way, answered or failed, also for what was begun meanwhile", async () => {
    const { guarded, waiting, failing } = slow();
    const { blobs } = guarded.world;
    const first = blobs.get("a");
    const second = blobs.get("b").catch((error: unknown) => error);
    const third = first.then(() => blobs.get("c"));
    const idle = guarded.idle();
    expect(await settled(idle)).toBe(false);
    waiting[0]?.(null);
    expect(await settled(idle)).toBe(false);
    failing[1]?.(new StreamError("transient", "no"));
    expect(await settled(idle)).toBe(false);
    expect(waiting).toHaveLength(3);
    waiting[2]?.(null);
    expect(await settled(idle)).toBe(true);
    expect(await third).toBeNull();
    expect(await second).toMatchObject({ message: "no" });
  });

  it("N4 a call that was under way at the end still gets its answer", async () => {
    const { guarded, waiting } = slow();
    const call = guarded.world.blobs.get("a");
    guarded.end();
    waiting[0]?.(new Uint8Array([7]));
    expect(await call).toEqual(new Uint8Array([7]));
    expect(await settled(guarded.idle())).toBe(true);
  });

  it("N4 a list is awaited page by page, and goes on no further after the end", async () => {
    const { inner } = world();
    const answers: (() => void)[] = [];
    const list = async function* () {
      for (const key of ["a", "b", "c"]) {
        await new Promise<void>((resolve) => answers.push(resolve));
        yield { key, size: 1 };
      }
    };
    const guarded = guardWorld({ ...inner, blobs: { ...inner.blobs, list } });
    const found: string[] = [];
    const listing = (async () => {
      for await (const { key } of guarded.world.blobs.list("")) found.push(key);
    })().catch((error: unknown) => error);
    await settled(Promise.resolve());
    answers[0]?.();
    await settled(Promise.resolve());
    guarded.end();
    const idle = guarded.idle();
    expect(await settled(idle)).toBe(false);
    answers[1]?.();
    expect(await settled(idle)).toBe(true);
    expect(await listing).toMatchObject({ kind: "fenced", message: expect.stringContaining("blobs.list") });
    expect([found, answers.length]).toEqual([["a", "b"], 2]);
  });

  it("N4 who stops listing closes the list, also one that has not begun", async () => {
    const { inner } = world();
    let closed = 0;
    const list = async function* () {
      try {
        for (const key of ["a", "b"]) yield { key, size: 1 };
      } finally {
        closed++;
      }
    };
    const guarded = guardWorld({ ...inner, blobs: { ...inner.blobs, list } });
    for await (const { key } of guarded.world.blobs.list("")) if (key === "a") break;
    expect(closed).toBe(1);
    const pages = guarded.world.blobs.list("");
    guarded.end();
    await expect(async () => {
      for await (const page of pages) expect(page).toBeUndefined();
    }).rejects.toMatchObject({ kind: "fenced" });
    expect(await settled(guarded.idle())).toBe(true);
  });

  it("N4 nothing under way: idle at once", async () => {
    expect(await settled(guardWorld(world().inner).idle())).toBe(true);
  });

  it("N4 a guard within a guard ends alone: the lease is still released through the outer one", async () => {
    const { inner } = world();
    const outer = guardWorld(inner);
    const nested = guardWorld(outer.world);
    await nested.world.registers.read(key);
    nested.end();
    await expect(async () => nested.world.registers.read(key)).rejects.toMatchObject({ kind: "fenced" });
    expect(await outer.world.registers.swap(key, null, "x")).toEqual({ kind: "swapped" });
    expect(outer.requests()).toEqual({ "registers.read": 1, "registers.swap": 1 });
  });
});

describe("requests", () => {
  it("are counted by port and method, in order of their names", async () => {
    const { inner } = world();
    const { world: guarded, requests } = guardWorld(inner);
    expect(requests()).toEqual({});
    await guarded.registers.read(key);
    await guarded.blobs.put("a", new Uint8Array(1));
    await guarded.blobs.put("b", new Uint8Array(1));
    await guarded.log.shards("none").catch(() => undefined);
    expect(Object.entries(requests())).toEqual([
      ["blobs.put", 2],
      ["log.shards", 1],
      ["registers.read", 1],
    ]);
  });

  it("what makes no request is not counted as one", () => {
    const { world: guarded, requests } = guardWorld(world().inner);
    guarded.tables.measure({ a: "b" });
    expect(requests()).toEqual({});
  });

  it("arguments and answers are those of the port", async () => {
    const { world: guarded } = guardWorld(world().inner);
    await guarded.blobs.put("a", new Uint8Array([1, 2, 3]));
    expect(await guarded.blobs.get("a", [1, 2])).toEqual(new Uint8Array([2, 3]));
    const found: string[] = [];
    for await (const entry of guarded.blobs.list("")) found.push(entry.key);
    expect(found).toEqual(["a"]);
  });
});
