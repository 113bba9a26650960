import type { RegisterKey, Registers } from "../../ports/registers.js";
import type { TablePut } from "../../ports/tables.js";
import type { World } from "../../ports/world.js";
import { faultyPorts } from "../faults/faulty-ports.js";
import type { Process } from "../faults/process.js";
import { type MemoryBlobs, memoryBlobs } from "../memory/blobs.js";
import { type MemoryFiles, memoryFiles } from "../memory/files.js";
import { type Deliveries, memoryFunctions } from "../memory/functions.js";
import { type MemoryLog, memoryLog } from "../memory/log.js";
import { type MemoryObjects, memoryObjects } from "../memory/objects.js";
import { type MemoryRegisters, memoryRegisters } from "../memory/registers.js";
import { type MemoryTables, memoryTables } from "../memory/tables.js";
import type { Stage } from "./stage.js";
import { pipelineName } from "./tally-pipeline.js";

/** The services that all processes of a run share. */
export interface Cloud {
  readonly registers: MemoryRegisters;
  readonly blobs: MemoryBlobs;
  readonly log: MemoryLog;
  readonly files: MemoryFiles;
  readonly objects: MemoryObjects;
  readonly tables: MemoryTables;
}

/** Told of what is sent and of what happens, at the moment when it does: the invariants are checked here. */
export interface Watch {
  /** It runs the code of that version. */
  started(process: Process, functionVersion: string): void;
  sent(process: Process, name: string, args: readonly unknown[]): void;
  swapped(process: Process, key: RegisterKey, expected: number | null, body: string): Promise<void>;
  stored(process: Process, key: string, bytes: Uint8Array): void;
  removedObjects(process: Process, keys: readonly string[]): void;
  removedItem(process: Process, key: RegisterKey): void;
  written(process: Process, put: TablePut): void;
  /** R6: not a fact, such as progress. */
  replaced(process: Process, key: RegisterKey, body: string): void;
}

/** Tells only of what is the pipeline's: a fork beside it is a pipeline of its own. */
const ofPipeline = (pipeline: string, watch: Watch): Watch => ({
  started: (...args) => watch.started(...args),
  sent: (...args) => watch.sent(...args),
  async swapped(process, key, expected, body) {
    if (key.group === pipeline) await watch.swapped(process, key, expected, body);
  },
  stored(process, key, bytes) {
    if (isBelow(pipeline, key)) watch.stored(process, key, bytes);
  },
  removedObjects(process, keys) {
    watch.removedObjects(
      process,
      keys.filter((key) => isBelow(pipeline, key)),
    );
  },
  removedItem(process, key) {
    if (key.group === pipeline) watch.removedItem(process, key);
  },
  written: (...args) => watch.written(...args),
  replaced(process, key, body) {
    if (key.group === pipeline) watch.replaced(process, key, body);
  },
});

const isBelow = (pipeline: string, key: string): boolean => key.startsWith(`${pipeline}/`);

/** How long a look at a lane takes, by the task that looks and the name of the first note it asks for. */
export type LaneDelay = (task: string, name: string) => number;

export function newCloud(stage: Stage): Cloud {
  return {
    registers: memoryRegisters(),
    blobs: memoryBlobs(),
    log: memoryLog({ now: () => stage.scheduler.now }),
    files: memoryFiles(),
    objects: memoryObjects(),
    tables: memoryTables(),
  };
}

/** The world as one process has it: the shared services behind everything that can go wrong between. */
export function worldOf(
  stage: Stage,
  cloud: Cloud,
  ofAll: Watch,
  deliveries: Deliveries,
  process: Process,
  laneDelay: LaneDelay,
): World {
  const watch = ofPipeline(pipelineName, ofAll);
  const { blobs } = cloud.blobs;
  const { tables } = cloud.tables;
  const watched: World = {
    clock: process.clock,
    registers: watchedRegisters(cloud.registers.registers, watch, process, laneDelay),
    blobs: {
      ...blobs,
      put(key, bytes) {
        watch.stored(process, key, bytes);
        return blobs.put(key, bytes);
      },
      async remove(keys) {
        await blobs.remove(keys);
        watch.removedObjects(process, keys);
      },
    },
    log: cloud.log.log,
    files: cloud.files.files,
    objects: cloud.objects.objects,
    tables: {
      ...tables,
      async put(put) {
        const result = await tables.put(put);
        if (result.kind === "written") watch.written(process, put);
        return result;
      },
    },
    streams: cloud.log.streams,
    functions: memoryFunctions(deliveries).functions,
  };
  return faultyPorts(watched, stage, process, (sender, name, args) => watch.sent(sender, name, args));
}

const watchedRegisters = (registers: Registers, watch: Watch, process: Process, laneDelay: LaneDelay): Registers => ({
  ...registers,
  async list(...args) {
    const [, prefix] = args;
    const delay = prefix.startsWith("note/") ? laneDelay(process.name, prefix) : 0;
    if (delay > 0) await process.clock.sleep(delay);
    return registers.list(...args);
  },
  async put(key, body) {
    await registers.put(key, body);
    watch.replaced(process, key, body);
  },
  async swap(key, expected, body) {
    const swapped = await registers.swap(key, expected, body);
    if (swapped.kind === "swapped") await watch.swapped(process, key, expected, body);
    return swapped;
  },
  async remove(key) {
    await registers.remove(key);
    watch.removedItem(process, key);
  },
});
