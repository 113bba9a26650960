import type { Pipeline } from "tidemark";
import { readHead, swapDesired } from "../../lib/checkpoint/store.js";
import { fileLog } from "../../lib/connectors/file-log.js";
import { logs } from "../../lib/connectors/logs.js";
import type { Desired, Head, Invocation } from "../../lib/model/head.js";
import { type Millis, millis } from "../../lib/model/ids.js";
import type { Clock } from "../../lib/ports/clock.js";
import type { World } from "../../lib/ports/world.js";
import type { Deployment } from "../../lib/runtime/deployment.js";
import { runSession, type SessionOutcome } from "../../lib/runtime/run-session.js";
import { runSupervisor } from "../../lib/runtime/supervisor.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryFunctions } from "../../lib/testing/memory/functions.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { desired, now, version } from "./checkpoint-samples.js";

/** Time that passes when nothing else is to be done: the earliest sleeper wakes, one at a time. */
export function virtualClock(): Clock {
  let at: number = now;
  let drawn = 0;
  let scheduled = false;
  const sleepers: { readonly until: number; readonly wake: () => void }[] = [];
  const schedule = () => {
    if (!scheduled) setImmediate(turn);
    scheduled = true;
  };
  const turn = () => {
    scheduled = false;
    if (sleepers.length === 0) return;
    const next = sleepers.reduce((a, b) => (b.until < a.until ? b : a));
    sleepers.splice(sleepers.indexOf(next), 1);
    at = Math.max(at, next.until);
    next.wake();
    if (sleepers.length > 0) schedule();
  };
  return {
    now: () => millis(at),
    random: (bytes) => new Uint8Array(bytes).fill(++drawn),
    sleep: (length, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        };
        const sleeper = { until: at + Math.max(0, length), wake };
        const abort = () => {
          sleepers.splice(sleepers.indexOf(sleeper), 1);
          resolve();
        };
        sleepers.push(sleeper);
        schedule();
        signal?.addEventListener("abort", abort, { once: true });
      }),
  };
}

/** How long the way to a port and back is, in milliseconds; `what` is the key or name that the call is about. */
export type Way = (method: string, what: unknown) => number;

/** The port, with a way to it and back. */
function far<P extends object>(port: P, clock: Clock, way: Way): P {
  return new Proxy(port, {
    get(target, member) {
      const method: unknown = Reflect.get(target, member);
      if (typeof method !== "function" || member === "list" || member === "measure") return method;
      return async (...args: unknown[]) => {
        const length = way(String(member), args[0]);
        if (length > 0) await clock.sleep(length / 2);
        const answer: unknown = await Reflect.apply(method, target, args);
        if (length > 0) await clock.sleep(length / 2);
        return answer;
      };
    },
  });
}

/** Ports as a process has them: once it has died, nothing that it asks for happens, and nothing that it waits for comes. */
function processOf(world: World): { readonly world: World; die(): void } {
  let dead = false;
  const never = new Promise<never>(() => undefined);
  const mortal = <P extends object>(port: P): P =>
    new Proxy(port, {
      get(target, member) {
        const method: unknown = Reflect.get(target, member);
        if (typeof method !== "function" || member === "now" || member === "random" || member === "measure")
          return method;
        return (...args: unknown[]) => {
          if (dead) return never;
          const answer: unknown = Reflect.apply(method, target, args);
          return answer instanceof Promise ? answer.then((value) => (dead ? never : value)) : answer;
        };
      },
    });
  const { clock, registers, blobs, log, files, objects, tables, streams, functions } = world;
  return {
    world: {
      clock: mortal(clock),
      registers: mortal(registers),
      blobs: mortal(blobs),
      log: mortal(log),
      files: mortal(files),
      objects: mortal(objects),
      tables: mortal(tables),
      streams: mortal(streams),
      functions: mortal(functions),
    },
    die: () => {
      dead = true;
    },
  };
}

/** What pipelines share that run on one cloud. */
function newServices() {
  const clock = virtualClock();
  return {
    clock,
    stream: memoryLog(clock),
    disk: memoryFiles(),
    lake: memoryObjects(),
    tables: memoryTables(),
    bucket: memoryBlobs(),
    registers: memoryRegisters(),
  };
}

/** A cloud in this process that runs the sessions of a pipeline as they are invoked, and its supervisor each minute. */
export function cloud(
  made: Pipeline<never, never> | { readonly plan: Deployment["plan"] },
  options: {
    readonly way?: Way;
    readonly lifetime?: number;
    readonly memoryBytes?: number;
    /** Of the cloud of another pipeline, beside which this one runs. */
    readonly services?: ReturnType<typeof newServices>;
  } = {},
) {
  const { way = () => 0, lifetime = 900_000, memoryBytes = null, services = newServices() } = options;
  const { clock, stream, disk, lake, tables, bucket, registers } = services;
  const outcomes: SessionOutcome[] = [];
  const logged: { readonly event: string }[] = [];
  const alive = new Map<ReturnType<typeof processOf>, Invocation>();
  const functions = memoryFunctions({
    task: (wanted, invocation) => {
      const process = processOf(world);
      alive.set(process, invocation);
      const plan = codes.get(wanted) ?? made.plan;
      const running = { ...deployment, plan, functionVersion: wanted, world: process.world };
      void runSession(running, invocation, { requestId: "q", deadline: deadline() }).then((one) => {
        alive.delete(process);
        outcomes.push(one);
      });
    },
    supervisor: (call) => void runSupervisor(codeOf(call.by), call, { deadline: deadline() }).catch(() => undefined),
  });
  const world: World = {
    clock,
    registers: far(registers.registers, clock, way),
    blobs: far(bucket.blobs, clock, way),
    log: far(logs(stream.log, fileLog(disk.files)), clock, way),
    files: far(disk.files, clock, way),
    objects: far(lake.objects, clock, way),
    tables: far(tables.tables, clock, way),
    streams: far(stream.streams, clock, way),
    functions: functions.functions,
  };
  const codes = new Map([[version, made.plan]]);
  let latest = version;
  const deployment: Deployment = {
    world,
    get plan() {
      return codes.get(latest) ?? made.plan;
    },
    bindings: {
      stream: (name) => name,
      table: (name) => name,
      file: (name) => name,
      bucket: (name) => name,
      database: (name) => name,
    },
    get functionVersion() {
      return latest;
    },
    library: "0.1.0",
    memoryBytes,
    log: (event) => void logged.push(event),
  };
  /** Of a version that was deployed before, as the functions of that version are. */
  const codeOf = (by: string | undefined): Deployment => {
    if (by === undefined) return releases.get(latest) ?? deployment;
    const plan = codes.get(by);
    if (plan === undefined) throw new Error(`there is no version ${by}`);
    return { ...deployment, plan, functionVersion: by };
  };
  const releases = new Map<string, Deployment>();
  const deadline = (): Millis => millis(clock.now() + lifetime);
  const store = { pipeline: made.plan.graph.name, registers: registers.registers, blobs: bucket.blobs, clock };
  const head = async (): Promise<Head | null> => (await readHead(store))?.value ?? null;
  return {
    services,
    deployment,
    clock,
    store,
    stream: stream.control,
    disk,
    lake,
    tables,
    outcomes,
    logged,
    shards: () => stream.log.shards("flights"),
    head,
    wish: async (next: Desired = desired(), at: number | null = null) => {
      await swapDesired(store, at, next);
      functions.functions.callSupervisor({ pipeline: store.pipeline, report: null });
    },
    /** As `wish`, and what the supervisor that is called for it fails with. */
    ask: async (next: Desired, at: number): Promise<unknown> => {
      await swapDesired(store, at, next);
      const call = { pipeline: store.pipeline, report: null };
      return runSupervisor(deployment, call, { deadline: deadline() }).then(
        () => null,
        (error: unknown) => error,
      );
    },
    /** A next version of the functions; what runs keeps its own (P4). Returns what `desired` says of it. */
    deploy: (next: typeof made): Pick<Desired, "code"> => {
      latest = `v${codes.size + 1}`;
      codes.set(latest, next.plan);
      return { code: { ...desired().code, deployment: codes.size, functionVersion: latest } };
    },
    /** A next version of the functions, whose supervisor brings itself into effect; what runs keeps its own (P4). */
    release: (next: typeof made): string => {
      latest = `v${codes.size + 1}`;
      codes.set(latest, next.plan);
      releases.set(latest, { ...deployment, plan: next.plan, functionVersion: latest, release: codes.size });
      void functions.functions.callSupervisor({ pipeline: store.pipeline, report: null });
      return latest;
    },
    /** All sessions die as they stand, and the failure destination says so. */
    crash: async () => {
      for (const [process, invocation] of [...alive]) {
        process.die();
        alive.delete(process);
        const report = { invocation, kind: "died", message: "the process died" };
        await functions.functions.callSupervisor({ pipeline: store.pipeline, report });
      }
    },
    /** Lets time pass until the head is so, at most so long; then the head. */
    async until(holds: (head: Head) => boolean, length: number): Promise<Head | null> {
      const end = clock.now() + length;
      for (let next = clock.now(); clock.now() < end; ) {
        const found = await head();
        if (found !== null && holds(found)) return found;
        await clock.sleep(500);
        if (clock.now() - next < 60_000) continue;
        next = clock.now();
        await functions.functions.callSupervisor({ pipeline: store.pipeline, report: null });
      }
      return head();
    },
  };
}
