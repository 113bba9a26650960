import { AsyncLocalStorage } from "node:async_hooks";
import type { PipelineOptions } from "tidemark";
import { describe, expect, it } from "vitest";
import { readHead, swapDesired } from "../../lib/checkpoint/store.js";
import { wishRunning, wishStopped } from "../../lib/checkpoint/wishes.js";
import { StreamError } from "../../lib/model/errors.js";
import type { Head, Invocation, SupervisorCall } from "../../lib/model/head.js";
import { millis } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { Clock } from "../../lib/ports/clock.js";
import type { World } from "../../lib/ports/world.js";
import type { Deployment } from "../../lib/runtime/deployment.js";
import { runSession } from "../../lib/runtime/run-session.js";
import { runSupervisor } from "../../lib/runtime/supervisor.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryFunctions } from "../../lib/testing/memory/functions.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { desired, version } from "./checkpoint-samples.js";
import { countingFlights } from "./counting-flights.js";
import { virtualClock } from "./runtime-world.js";

const minute = 60_000;

/** Numbers in [0, 1), always the same. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * A warm environment of a function: one invocation after the other in one process, frozen between them. What an invocation left
 * behind, a call or an answer that comes when it has returned, is noted: here its timers run on, which is harsher than a frost.
 */
function environment(name: string, clock: Clock, random: () => number, faults: number) {
  const inside = new AsyncLocalStorage<number>();
  const leftovers: string[] = [];
  /** Names of registers that cannot be read, at once, and of those that answer late. */
  const trouble = { refused: /(?!)/, slow: /(?!)/ };
  let invocations = 0;
  let current: number | null = null;
  const port = <P extends object>(inner: P, portName: string): P =>
    new Proxy(inner, {
      get(target, member) {
        const method: unknown = Reflect.get(target, member);
        if (typeof method !== "function" || member === "measure") return method;
        const check = (what: string, mine: number | undefined) => {
          if (mine === current) return;
          leftovers.push(`${name} ${mine}: ${what} of ${portName}.${String(member)} while ${current ?? "frozen"}`);
        };
        const call = async (answer: () => unknown, about: unknown): Promise<unknown> => {
          const mine = inside.getStore();
          check("a call", mine);
          const item = member === "read" ? String((about as { readonly name?: string }).name) : "";
          if (trouble.refused.test(item)) throw new StreamError("invalid", `${item}: no permission`);
          if (trouble.slow.test(item)) await clock.sleep(5_000);
          await clock.sleep(random() * 60);
          const fault = random() < faults;
          const answered = fault && random() < 0.5 ? null : await answer();
          await clock.sleep(random() * 60);
          check("an answer", mine);
          if (fault) throw new StreamError("ambiguous", `${portName}.${String(member)}: the answer is lost`);
          return answered;
        };
        if (portName === "blobs" && member === "list") {
          return async function* (prefix: string) {
            const pages = target as World["blobs"];
            for await (const entry of pages.list(prefix)) yield await call(async () => entry, prefix);
          };
        }
        return (...args: unknown[]) => call(() => Reflect.apply(method, target, args), args[0]);
      },
    });
  const serve = async (run: () => Promise<unknown>): Promise<void> => {
    while (current !== null) await clock.sleep(50);
    const mine = ++invocations;
    current = mine;
    await inside.run(mine, run).catch(() => undefined);
    current = null;
  };
  return { port, serve, leftovers, trouble, invocations: () => invocations };
}

const counting = (options: PipelineOptions) =>
  countingFlights({ checkpoint: { interval: "1s", retained: 2 }, ...options });

function warm(options: PipelineOptions, { seed = 1, faults = 0, lifetime = 4 * minute } = {}) {
  const { plan } = counting(options);
  const clock = virtualClock();
  const random = seeded(seed);
  const stream = memoryLog(clock);
  const tables = memoryTables();
  const registers = memoryRegisters();
  const bucket = memoryBlobs();
  stream.control.createStream("flights", 2);
  tables.createTable("airports", [{ name: "airport", type: "string" }]);
  const environments = {
    task: environment("task", clock, random, faults),
    supervisor: environment("supervisor", clock, random, faults),
  };
  const execution = () => ({ requestId: "q", deadline: millis(clock.now() + lifetime) });
  const functions = memoryFunctions({
    task: (_: string, invocation: Invocation) =>
      void environments.task.serve(() => runSession(deployments.task, invocation, execution())),
    supervisor: (call: SupervisorCall) =>
      void environments.supervisor.serve(() =>
        runSupervisor(deployments.supervisor, call, { deadline: millis(clock.now() + minute) }),
      ),
  });
  const deployment = (of: ReturnType<typeof environment>): Deployment => ({
    world: {
      clock,
      registers: of.port(registers.registers, "registers"),
      blobs: of.port(bucket.blobs, "blobs"),
      log: of.port(stream.log, "log"),
      files: of.port(memoryFiles().files, "files"),
      objects: of.port(memoryObjects().objects, "objects"),
      tables: of.port(tables.tables, "tables"),
      streams: of.port(stream.streams, "streams"),
      functions: of.port(functions.functions, "functions"),
    },
    plan,
    bindings: {
      stream: (name) => name,
      table: (name) => name,
      file: (name) => name,
      bucket: (name) => name,
      database: (name) => name,
    },
    functionVersion: version,
    library: "0.1.0",
    log: () => undefined,
  });
  const deployments = { task: deployment(environments.task), supervisor: deployment(environments.supervisor) };
  const store = { pipeline: "p", registers: registers.registers, blobs: bucket.blobs, clock };
  const supervise = () => functions.functions.callSupervisor({ pipeline: "p", report: null });
  return {
    store,
    stream: stream.control,
    environments,
    counted: () => tables.items("airports").reduce((sum, item) => sum + Number(item.flights), 0),
    put: (airport: string) => stream.control.put("flights", airport, Buffer.from(JSON.stringify({ airport }))),
    supervise,
    async start() {
      await swapDesired(store, null, desired());
      await supervise();
    },
    /** Lets so much time pass, with a call of the supervisor each quarter of a minute; then the head. */
    async pass(length: number): Promise<Head | undefined> {
      const end = clock.now() + length;
      while (clock.now() < end) {
        await clock.sleep(15_000);
        await supervise();
      }
      return (await readHead(store))?.value;
    },
    leftovers: () => [...environments.task.leftovers, ...environments.supervisor.leftovers],
  };
}

describe("N4 nothing is left over in a warm environment", () => {
  it.each([1, 2, 3])(
    "N4 hand-overs, a restart by a person and a stop, with answers that are lost (seed %i)",
    async (seed) => {
      const world = warm({}, { seed, faults: 0.02 });
      await world.start();
      let puts = 0;
      for (let i = 0; i < 40; i++) {
        for (let n = 0; n < 5; n++, puts++) world.put(`A${puts % 9}`);
        await world.pass(15_000);
      }
      await wishRunning(world.store, { functionVersion: version, fingerprint: sha256("plan") }, "again");
      await world.supervise();
      await world.pass(minute);
      await wishStopped(world.store);
      const head = await world.pass(3 * minute);
      expect(head).toMatchObject({ status: "stopped" });
      expect(world.counted()).toBe(puts);
      expect(world.environments.task.invocations()).toBeGreaterThan(4);
      expect(world.leftovers()).toEqual([]);
    },
  );

  it.each([4, 5])("N4 sleep, looks and waking (seed %i)", async (seed) => {
    const world = warm({ idle: { suspendAfter: "20s" } }, { seed, faults: 0.02 });
    await world.start();
    for (let i = 0; i < 6; i++) {
      world.put("ATL");
      await world.pass(3 * minute);
    }
    await world.pass(3 * minute);
    expect(world.counted()).toBe(6);
    expect((await readHead(world.store))?.value).toMatchObject({ status: "suspended" });
    expect(world.leftovers()).toEqual([]);
  });

  it("N4 a record that no code can take: the session fails, and takes all that it began with it", async () => {
    const world = warm({});
    for (let i = 0; i < 50; i++) world.put(`A${i % 9}`);
    await world.start();
    await world.pass(minute);
    world.stream.put("flights", "k", Buffer.from("{"));
    expect(await world.pass(minute)).toMatchObject({ status: "failed" });
    expect(world.leftovers()).toEqual([]);
  });

  it("N4 one of several reads is refused: the supervisor and the session end when the others have answered", async () => {
    const world = warm({});
    await world.start();
    for (let i = 0; i < 20; i++) world.put(`A${i % 9}`);
    await world.pass(minute);
    for (const { trouble } of [world.environments.supervisor, world.environments.task]) {
      trouble.refused = /^lease[/]/;
      trouble.slow = /^progress[/]/;
      await world.pass(minute);
    }
    expect(world.environments.supervisor.invocations()).toBeGreaterThan(3);
    expect(world.leftovers()).toEqual([]);
  });
});
