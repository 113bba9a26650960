import { dynamoTable, json, kinesisSource, pipeline, value } from "tidemark";
import { expect, it } from "vitest";
import { claimLease } from "../../lib/checkpoint/lease.js";
import { readHead, swapDesired } from "../../lib/checkpoint/store.js";
import { keptMessageMax } from "../../lib/model/errors.js";
import type { Invocation } from "../../lib/model/head.js";
import { millis, sessionId } from "../../lib/model/ids.js";
import type { Deployment } from "../../lib/runtime/deployment.js";
import { runSupervisor } from "../../lib/runtime/supervisor.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryFunctions } from "../../lib/testing/memory/functions.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { desired, version } from "./checkpoint-samples.js";
import { virtualClock } from "./runtime-world.js";

const counting = pipeline("p", {}, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json<{ airport: string }>(), start: "trim-horizon" }))
    .keyBy((flight) => flight.airport)
    .process("count", { state: { n: value(0) }, onRecord: (_, { key }) => ({ airport: key }) })
    .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
);

/** A cloud on which every session is killed half a second after it took its lease; only one call of the supervisor hears of it. */
function dying(message: string) {
  const clock = virtualClock();
  const stream = memoryLog(clock);
  stream.control.createStream("flights", 1);
  const registers = memoryRegisters().registers;
  const blobs = memoryBlobs().blobs;
  const store = { pipeline: "p", registers, blobs, clock };
  const supervise = (
    report: { readonly invocation: Invocation; readonly kind: string; readonly message: string } | null,
  ) =>
    void runSupervisor(deployment, { pipeline: "p", report }, { deadline: millis(clock.now() + 60_000) }).catch(
      () => undefined,
    );
  const die = async (invocation: Invocation) => {
    const me = { session: sessionId(`s${clock.now()}`), requestId: "q", functionVersion: version };
    const claimed = await claimLease(store, invocation, { ...me, deadline: millis(clock.now() + 900_000) });
    if (claimed.kind !== "held") return;
    await clock.sleep(500);
    supervise({ invocation, kind: "died", message });
  };
  const functions = memoryFunctions({
    task: (_, invocation) => void die(invocation),
    supervisor: (call) => supervise(call.report),
  });
  const world = {
    clock,
    registers,
    blobs,
    log: stream.log,
    files: memoryFiles().files,
    objects: memoryObjects().objects,
    tables: memoryTables().tables,
    streams: stream.streams,
    functions: functions.functions,
  };
  const names = {
    stream: (name: string) => name,
    table: (name: string) => name,
    file: (name: string) => name,
    bucket: (name: string) => name,
    database: (name: string) => name,
  };
  const deployment: Deployment = {
    world,
    plan: counting.plan,
    bindings: names,
    functionVersion: version,
    library: "0.1.0",
    log: () => undefined,
  };
  return { clock, store, schedule: () => supervise(null) };
}

it("R4 a pipeline whose sessions die again and again is failed, with its causes, long before a deadline would tell", async () => {
  const { clock, store, schedule } = dying(`out of memory ${"x".repeat(600_000)}`);
  await swapDesired(store, null, desired());
  const began = clock.now();
  for (let minute = 0; minute < 10 && (await readHead(store))?.value.status !== "failed"; minute++) {
    schedule();
    await clock.sleep(60_000);
  }
  const head = (await readHead(store))?.value;
  expect(head?.status).toBe("failed");
  expect(clock.now() - began).toBeLessThan(600_000);
  expect(head?.failures.map(({ kind }) => kind)).toEqual(Array(10).fill("died"));
  expect(Math.max(...(head?.failures ?? []).map(({ message }) => message.length))).toBeLessThanOrEqual(keptMessageMax);
});
