import { canonicalJson } from "../../model/canonical-json.js";
import type { Log, LogCursor, LogRead } from "../../ports/log.js";
import type { RegisterKey, Registers } from "../../ports/registers.js";
import type { TablePut, Tables } from "../../ports/tables.js";
import type { World } from "../../ports/world.js";
import { type MemoryBlobs, memoryBlobs } from "../memory/blobs.js";
import { type Deliveries, memoryFunctions } from "../memory/functions.js";
import { type MemoryLog, memoryLog } from "../memory/log.js";
import { type MemoryRegisters, memoryRegisters } from "../memory/registers.js";
import { type MemoryTables, memoryTables } from "../memory/tables.js";
import { type Call, callThrough, type Process, type Stage } from "./process.js";

/** The services that all processes of a run share. */
export interface Cloud {
  readonly registers: MemoryRegisters;
  readonly blobs: MemoryBlobs;
  readonly log: MemoryLog;
  readonly tables: MemoryTables;
}

/** Told of what is sent and of what happens, at the moment when it does: the invariants are checked here. */
export interface Watch {
  sent(process: Process, name: string, args: readonly unknown[]): void;
  swapped(process: Process, key: RegisterKey, expected: number | null, body: string): Promise<void>;
  stored(process: Process, key: string, bytes: Uint8Array): void;
  written(process: Process, put: TablePut): void;
}

export function newCloud(stage: Stage): Cloud {
  return {
    registers: memoryRegisters(),
    blobs: memoryBlobs(),
    log: memoryLog({ now: () => stage.scheduler.now }),
    tables: memoryTables(),
  };
}

/** The world as one process has it: the shared services behind everything that can go wrong between. */
export function worldOf(stage: Stage, cloud: Cloud, watch: Watch, deliveries: Deliveries, process: Process): World {
  const call = <T>(call: Call<T>) => callThrough(stage, process, call);
  return {
    clock: process.clock,
    registers: registersOf(stage, cloud, watch, process, call),
    blobs: blobsOf(cloud, watch, process, call),
    log: logOf(stage, cloud, watch, process, call),
    tables: tablesOf(cloud, watch, process, call),
    functions: functionsOf(deliveries, watch, process, call),
  };
}

type Through = <T>(call: Call<T>) => Promise<T>;

const short = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 28)}…${text.slice(-28)}`);

function registersOf(stage: Stage, cloud: Cloud, watch: Watch, process: Process, call: Through): Registers {
  const { registers } = cloud.registers;
  const found = (register: { readonly version: number } | null) =>
    register === null ? "absent" : `v${register.version}`;
  return {
    read(key) {
      watch.sent(process, "registers.read", [key]);
      const effect = () => registers.read(key);
      return call({ name: "registers.read", kind: "read", about: short(key.name), effect, tellResult: found });
    },
    swap(key, expected, body) {
      watch.sent(process, "registers.swap", [key, body]);
      const effect = async () => {
        const swapped = await registers.swap(key, expected, body);
        if (swapped.kind === "swapped") await watch.swapped(process, key, expected, body);
        // A retry underneath comes upon its own write, and calls that a conflict.
        if (swapped.kind === "conflict" || !stage.random.chance(stage.faults().lost / 2)) return swapped;
        return { kind: "conflict", current: await registers.read(key) } as const;
      };
      const about = `${short(key.name)} from v${expected ?? 0}: ${aboutBody(key.name, body)}`;
      return call({ name: "registers.swap", kind: "write", about, effect, tellResult: (result) => result.kind });
    },
    put(key, body) {
      watch.sent(process, "registers.put", [key, body]);
      const effect = () => registers.put(key, body);
      return call({ name: "registers.put", kind: "write", about: short(key.name), effect, tellResult: () => "put" });
    },
    list(group, prefix) {
      watch.sent(process, "registers.list", [group, prefix]);
      const effect = () => registers.list(group, prefix);
      const tellResult = (entries: readonly unknown[]) => `${entries.length} entries`;
      return call({ name: "registers.list", kind: "read", about: short(prefix), effect, tellResult });
    },
    remove(key) {
      watch.sent(process, "registers.remove", [key]);
      const effect = () => registers.remove(key);
      return call({
        name: "registers.remove",
        kind: "write",
        about: short(key.name),
        effect,
        tellResult: () => "gone",
      });
    },
  };
}

function aboutBody(name: string, body: string): string {
  const value = JSON.parse(body) as Record<string, unknown>;
  if (name === "head") {
    const ref = value.completed as { readonly checkpointId: number } | null;
    const pending = value.pending as { readonly checkpointId: number; readonly andThen: string } | null;
    return `generation ${value.generation}, ${value.status}, completed ${ref?.checkpointId ?? "none"}, pending ${pending === null ? "none" : `${pending.checkpointId} (${pending.andThen})`}`;
  }
  if (name.startsWith("lease/")) return `${canonicalJson(value.holder)}, ack ${value.ack}`;
  return name === "desired" ? `${value.state}, ${canonicalJson(value.request)}` : `${body.length} bytes`;
}

function blobsOf(cloud: Cloud, watch: Watch, process: Process, call: Through): World["blobs"] {
  const { blobs } = cloud.blobs;
  return {
    put(key, bytes) {
      watch.sent(process, "blobs.put", [key]);
      const effect = async () => {
        watch.stored(process, key, bytes);
        await blobs.put(key, bytes);
      };
      const tellResult = () => `${bytes.length} bytes`;
      return call({ name: "blobs.put", kind: "write", about: short(key), effect, tellResult });
    },
    get(key, range) {
      watch.sent(process, "blobs.get", [key]);
      const effect = () => blobs.get(key, range);
      const tellResult = (bytes: Uint8Array | null) => (bytes === null ? "absent" : `${bytes.length} bytes`);
      return call({ name: "blobs.get", kind: "read", about: short(key), effect, tellResult });
    },
    async *list(prefix) {
      const effect = async () => {
        const all: { readonly key: string; readonly size: number }[] = [];
        for await (const entry of blobs.list(prefix)) all.push(entry);
        return all;
      };
      const tellResult = (entries: readonly unknown[]) => `${entries.length} keys`;
      yield* await call({ name: "blobs.list", kind: "read", about: short(prefix), effect, tellResult });
    },
    remove(keys) {
      watch.sent(process, "blobs.remove", [keys]);
      const effect = () => blobs.remove(keys);
      return call({
        name: "blobs.remove",
        kind: "write",
        about: keys.map(short).join(),
        effect,
        tellResult: () => "gone",
      });
    },
  };
}

function logOf(stage: Stage, cloud: Cloud, watch: Watch, process: Process, call: Through): Log {
  const { log, control } = cloud.log;
  const trouble = () => stage.random.chance(stage.faults().log);
  const tellKind = (result: { readonly kind: string }) => result.kind;
  return {
    describe(stream) {
      watch.sent(process, "log.describe", [stream]);
      const effect = () => log.describe(stream);
      return call({ name: "log.describe", kind: "read", about: stream, effect, tellResult: tellKind });
    },
    shards(stream) {
      watch.sent(process, "log.shards", [stream]);
      const effect = () => {
        if (trouble()) control.answerOldShards(stream, 1);
        return log.shards(stream);
      };
      const tellResult = (shards: readonly { readonly shardId: string }[]) =>
        shards.map((s) => s.shardId.slice(-2)).join();
      return call({ name: "log.shards", kind: "read", about: stream, effect, tellResult });
    },
    cursor(stream, shardId, start) {
      watch.sent(process, "log.cursor", [shardId, start]);
      const effect = async (): Promise<LogCursor> =>
        trouble() ? { kind: "throttled" } : await log.cursor(stream, shardId, start);
      const about = `${shardId.slice(-2)} ${canonicalJson(start)}`;
      return call({ name: "log.cursor", kind: "read", about, effect, tellResult: tellKind });
    },
    read(stream, cursor, limit) {
      watch.sent(process, "log.read", [cursor]);
      const effect = (): Promise<LogRead> => readWithTrouble(stage, cloud, { stream, cursor, limit });
      const { shardId, from } = JSON.parse(cursor) as { readonly shardId: string; readonly from: string };
      const about = `${shardId.slice(-2)} from ${from}`;
      return call({ name: "log.read", kind: "read", about, effect, tellResult: tellRead });
    },
  };
}

async function readWithTrouble(
  stage: Stage,
  cloud: Cloud,
  read: { readonly stream: string; readonly cursor: string; readonly limit: number },
): Promise<LogRead> {
  const { random } = stage;
  const { log, control } = cloud.log;
  if (random.chance(stage.faults().log)) {
    const trouble = random.pick(["throttled", "expired", "empty"] as const);
    if (trouble !== "empty") return { kind: trouble };
    control.answerEmpty(1);
  }
  // A read gives as much as the service likes.
  const limit = random.chance(0.3) ? random.between(1, 5) : read.limit;
  return log.read(read.stream, read.cursor, limit);
}

const tellRead = (read: LogRead): string =>
  read.kind === "records"
    ? `${read.records.map((record) => record.sequenceNumber).join()}${read.next === null ? " end" : ""}`
    : read.kind;

function tablesOf(cloud: Cloud, watch: Watch, process: Process, call: Through): Tables {
  const { tables } = cloud.tables;
  const tellKind = (result: { readonly kind: string }) => result.kind;
  return {
    describe(table) {
      watch.sent(process, "tables.describe", [table]);
      const effect = () => tables.describe(table);
      return call({ name: "tables.describe", kind: "read", about: table, effect, tellResult: tellKind });
    },
    put(put) {
      watch.sent(process, "tables.put", [put]);
      const effect = async () => {
        const result = await tables.put(put);
        if (result.kind === "written") watch.written(process, put);
        return result;
      };
      const about = `${put.table} ${canonicalJson(put.item).replace(/\.{9,}/, "…")} ${Buffer.from(put.version.subarray(6)).toString("hex")}`;
      return call({ name: "tables.put", kind: "write", about, effect, tellResult: tellKind });
    },
    read(table, key) {
      watch.sent(process, "tables.read", [table, key]);
      const effect = () => tables.read(table, key);
      const tellResult = (item: unknown) => (item === null ? "absent" : "found");
      return call({ name: "tables.read", kind: "read", about: `${table} ${canonicalJson(key)}`, effect, tellResult });
    },
    measure: (item) => tables.measure(item),
  };
}

function functionsOf(deliveries: Deliveries, watch: Watch, process: Process, call: Through): World["functions"] {
  const { functions } = memoryFunctions(deliveries);
  const tellResult = () => "accepted";
  return {
    invokeTask(functionVersion, invocation) {
      watch.sent(process, "functions.invokeTask", [invocation]);
      const effect = () => functions.invokeTask(functionVersion, invocation);
      const { generation, task, leaseVersion } = invocation;
      const about = `${functionVersion}: generation ${generation}, task ${task}, lease v${leaseVersion}`;
      return call({ name: "functions.invokeTask", kind: "write", about, effect, tellResult });
    },
    callSupervisor(sent) {
      watch.sent(process, "functions.callSupervisor", [sent]);
      const effect = () => functions.callSupervisor(sent);
      const about = sent.report === null ? "without a report" : `with a report: ${sent.report.kind}`;
      return call({ name: "functions.callSupervisor", kind: "write", about, effect, tellResult });
    },
  };
}
