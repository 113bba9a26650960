import type { CheckpointStore } from "../../checkpoint/store.js";
import { wishRunning } from "../../checkpoint/wishes.js";
import { fileLog } from "../../connectors/file-log.js";
import { logs } from "../../connectors/logs.js";
import { StreamError } from "../../model/errors.js";
import type { Head } from "../../model/head.js";
import type { Plan } from "../../pipeline/plan.js";
import type { Clock } from "../../ports/clock.js";
import type { Log } from "../../ports/log.js";
import type { Registers } from "../../ports/registers.js";
import type { World } from "../../ports/world.js";
import type { Deployment } from "../../runtime/deployment.js";
import { faultyPorts } from "../faults/faulty-ports.js";
import type { Line, Process, Venue } from "../faults/process.js";
import { type CallRates, noCallFaults } from "../faults/rates.js";
import { memoryBlobs } from "../memory/blobs.js";
import { type MemoryFiles, memoryFiles } from "../memory/files.js";
import { memoryFunctions } from "../memory/functions.js";
import { type MemoryLog, memoryLog } from "../memory/log.js";
import { type MemoryObjects, memoryObjects } from "../memory/objects.js";
import { memoryRegisters } from "../memory/registers.js";
import { type MemoryTables, memoryTables } from "../memory/tables.js";
import { sameNames } from "../same-names.js";
import type { Random } from "../seeded/random.js";
import { Scheduler, startOfTime } from "../seeded/scheduler.js";
import { Kills } from "./kills.js";
import { withOutsideCalls } from "./outside-calls.js";
import { RealCalls } from "./real-calls.js";
import { slowFiles } from "./slow-files.js";
import { VirtualLambda } from "./virtual-lambda.js";

const functionVersion = "1";
/** After the last record a pipeline ends within so much virtual time, whatever its delays between restarts. */
const endMillisMax = 4 * 3_600_000;

export type LoggedEvent = Readonly<Record<string, unknown>> & { readonly event: string };

export interface CloudOptions {
  readonly crashes: number;
  /** Of the input. */
  readonly lengthMillis: number;
  readonly faults: Partial<CallRates>;
}

/** Services in memory, functions that use them, and virtual time for all of them. */
export class VirtualCloud {
  readonly scheduler: Scheduler;
  readonly log: MemoryLog;
  readonly files: MemoryFiles = memoryFiles();
  readonly objects: MemoryObjects = memoryObjects();
  readonly tables: MemoryTables;
  readonly kills: Kills;
  /** Completed so far. */
  checkpoints = 0;
  /** What sessions and supervisors told, with virtual times. */
  readonly logged: LoggedEvent[] = [];
  readonly #calls = new RealCalls();
  readonly #plan: Plan;
  readonly #options: CloudOptions;
  readonly #registers: Registers;
  readonly #blobs = memoryBlobs().blobs;
  readonly #log: Log;
  readonly #personsClock: Clock;
  readonly #lambda: VirtualLambda;
  readonly #lines: (readonly [at: number, line: Line])[] = [];
  readonly #ended: PromiseWithResolvers<Head> = promiseWithResolvers();
  #head: Head | null = null;

  constructor(plan: Plan, random: Random, options: CloudOptions) {
    const { crashes: count, lengthMillis } = options;
    const calls = this.#calls;
    this.#plan = calls.watchPlan(plan);
    this.#options = options;
    this.scheduler = new Scheduler(random.fork("scheduler"), { beforeTimePasses: () => calls.settle() });
    this.kills = new Kills(this.scheduler, random.fork("kills"), { count, lengthMillis });
    this.log = memoryLog({ now: () => this.scheduler.now });
    const clock = this.scheduler.clock(random.fork("files"));
    this.#log = logs(this.log.log, slowFiles(fileLog(this.files.files), clock, lengthMillis));
    this.tables = memoryTables();
    this.#registers = this.#watched(memoryRegisters().registers);
    this.#personsClock = this.scheduler.clock(random.fork("person"));
    const venue = this.#venue(random.fork("faults"));
    this.#lambda = new VirtualLambda(
      venue,
      (process) => this.#deployment(venue, process),
      (error) => this.#refuse(error),
    );
  }

  /** Starts the pipeline. @returns the head with which it ended */
  run(): Promise<Head> {
    const limit = startOfTime + this.#options.lengthMillis + endMillisMax;
    return this.scheduler.until(this.#start(), limit);
  }

  /** With virtual times. */
  trace(): readonly string[] {
    return this.#lines.map(([at, line]) => `${at - startOfTime} ${typeof line === "string" ? line : line()}`);
  }

  async #start(): Promise<Head> {
    const pipeline = this.#plan.graph.name;
    const store: CheckpointStore = {
      pipeline,
      registers: this.#registers,
      blobs: this.#blobs,
      clock: this.#personsClock,
    };
    await wishRunning(store, { functionVersion, fingerprint: this.#plan.fingerprint }, "run");
    this.#lambda.schedule(pipeline);
    return this.#ended.promise;
  }

  #venue(random: Random): Venue {
    const rates = { ...noCallFaults, ...this.#options.faults };
    return {
      timeline: this.scheduler,
      random,
      ratesOf: () => rates,
      crashAt: (process) => (this.#lambda.isSession(process) ? this.kills.crashAt(process) : null),
      skewMillis: 0,
      tell: (line) => void this.#lines.push([this.scheduler.now, line]),
      violated: (why) => this.#ended.reject(new StreamError("bug", why)),
    };
  }

  #deployment(venue: Venue, process: Process): Deployment {
    const world: World = {
      clock: process.clock,
      registers: this.#registers,
      blobs: this.#blobs,
      log: this.#log,
      files: this.files.files,
      objects: this.objects.objects,
      tables: this.tables.tables,
      streams: this.log.streams,
      functions: memoryFunctions(this.#lambda).functions,
    };
    return {
      world: faultyPorts(world, venue, process, () => undefined),
      plan: withOutsideCalls(this.#plan, venue, process, this.#calls),
      bindings: sameNames,
      functionVersion,
      library: "in memory",
      log: (event) => void this.logged.push({ at: process.now, ...event }),
    };
  }

  /** A start that cannot be carried out leaves no head: there is nothing to wait for. */
  #refuse(error: StreamError): void {
    if (this.#head === null) this.#ended.reject(error);
  }

  /** Sees every move of the head. */
  #watched(registers: Registers): Registers {
    return {
      ...registers,
      swap: async (key, expected, body) => {
        const swapped = await registers.swap(key, expected, body);
        if (swapped.kind === "swapped" && key.name === "head") this.#observe(JSON.parse(body) as Head);
        return swapped;
      },
    };
  }

  #observe(head: Head): void {
    const before = this.#head?.completed?.sha256;
    this.#head = head;
    if (head.completed !== null && head.completed.sha256 !== before) {
      this.checkpoints++;
      this.kills.checkpointed();
    }
    if (head.endedAt !== null) this.#ended.resolve(head);
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: StreamError) => void;
}

function promiseWithResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: StreamError) => void = () => undefined;
  const promise = new Promise<T>((...both) => {
    [resolve, reject] = both;
  });
  return { promise, resolve, reject };
}
