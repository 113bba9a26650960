// A pipeline whose functions are called in this process: the real sessions, supervisor and checkpoints, on whatever world is given.
import { wishRunning, wishStopped } from "../dist/checkpoint/wishes.js";
import { runSession } from "../dist/runtime/run-session.js";
import { runSupervisor } from "../dist/runtime/supervisor.js";

const functionVersion = "1";
const lifetimeMs = 15 * 60_000;

/**
 * Starts a pipeline.
 *
 * @param {object} plan
 * @param {(functions: object) => object} worldOf gives the world with these functions
 * @param {object} bindings
 * @param {(event: object) => void} log gets what sessions log
 */
export async function startPipeline(plan, worldOf, bindings, log = () => undefined) {
  const functions = inProcess(log);
  const raw = worldOf(functions.port);
  const seen = watched(raw.registers);
  const world = { ...raw, registers: seen.registers };
  functions.deploy({ world, plan, bindings, functionVersion, library: "benchmark", log });
  const store = { pipeline: plan.graph.name, registers: world.registers, blobs: world.blobs, clock: world.clock };
  await wishRunning(store, { functionVersion, fingerprint: plan.fingerprint }, "benchmark");
  await functions.port.callSupervisor({ pipeline: store.pipeline, report: null });
  return {
    store,
    /** Checkpoints so far, and records in at the last one. */
    progress: seen.progress,
    invocations: functions.invocations,
    /** Stops at a checkpoint. */
    async stop() {
      await wishStopped(store);
      await functions.port.callSupervisor({ pipeline: store.pipeline, report: null });
    },
    /** The head that it ended with, when all its functions have ended. @throws what a function threw */
    async ended() {
      const head = await Promise.race([seen.ended, functions.failed]);
      await functions.idle();
      return head;
    },
  };
}

/** Registers, of which it is seen what they say of the pipeline. */
function watched(registers) {
  const progress = { records: 0, checkpoints: 0, acks: [] };
  let last = null;
  let resolve;
  const ended = new Promise((done) => {
    resolve = done;
  });
  const swap = async (key, expected, body) => {
    const swapped = await registers.swap(key, expected, body);
    if (swapped.kind !== "swapped") return swapped;
    if (key.name.startsWith("ack/")) onAck(progress, JSON.parse(body));
    if (key.name !== "head") return swapped;
    const head = JSON.parse(body);
    if (head.completed !== null && head.completed.sha256 !== last) progress.checkpoints++;
    last = head.completed?.sha256 ?? null;
    if (head.endedAt !== null) resolve(head);
    return swapped;
  };
  return { registers: { ...registers, swap }, ended, progress };
}

function onAck(progress, { snapshot, figures }) {
  progress.records = figures.recordsIn;
  progress.acks.push({ snapshot, figures });
}

/** Functions that are called here, as soon as they are invoked. */
function inProcess(log) {
  const underWay = new Set();
  const invocations = { task: 0, supervisor: 0 };
  let deployment = null;
  let fail;
  const failed = new Promise((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const start = (kind, run) => {
    invocations[kind]++;
    const running = run({ requestId: `${kind} ${invocations[kind]}`, deadline: Date.now() + lifetimeMs })
      .then((outcome) => log({ event: "ended", kind, outcome }), fail)
      .finally(() => underWay.delete(running));
    underWay.add(running);
  };
  return {
    failed,
    invocations,
    deploy(made) {
      deployment = made;
    },
    port: {
      invokeTask: async (_, invocation) => start("task", (how) => runSession(deployment, invocation, how)),
      callSupervisor: async (call) => start("supervisor", (how) => runSupervisor(deployment, call, how)),
    },
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
