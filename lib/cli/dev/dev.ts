import { join } from "node:path";
import { spawnCloud } from "../../local/cloud/child.js";
import { readConfig } from "../config.js";
import { openTarget, type Target } from "../environment.js";
import { exitCodes } from "../exit-codes.js";
import { loadPipeline } from "../load-pipeline.js";
import { type Engine, type EngineView, startEngine } from "./engine.js";
import type { DevListener } from "./events.js";
import { checkPresent, makeMissing } from "./resources.js";

export interface DevOptions {
  readonly file: string;
  readonly untilDrained: boolean;
  /** Kill an operator process about this often; null: never. */
  readonly chaosMillis: number | null;
  readonly sessionMillis: number;
  /** Where the embedded cloud keeps its data; null: `.tidemark/cloud` of the project. */
  readonly data: string | null;
  readonly port: number;
  /** Use the account that the SDK finds, where AWS_ENDPOINT_URL names no endpoint. */
  readonly aws: boolean;
  /** Make streams, tables and bucket that a local endpoint lacks. */
  readonly create: boolean;
  readonly listener: DevListener;
  /** Aborted by Ctrl-C. */
  readonly interrupt: AbortSignal;
}

const lookMillis = 250;

/**
 * Runs a pipeline here until it is interrupted, drained, finished or failed, and returns the exit code.
 *
 * @throws StreamError for what keeps it from starting
 */
export async function runDev(options: DevOptions): Promise<number> {
  const pipeline = await loadPipeline(options.file);
  const config = await readConfig(pipeline.root);
  const given = process.env.AWS_ENDPOINT_URL ?? null;
  const data = options.data ?? join(pipeline.root, ".tidemark", "cloud");
  const cloud = given === null && !options.aws ? await spawnCloud({ port: options.port, data }) : null;
  try {
    const target = openTarget(pipeline.plan.graph.name, given ?? cloud?.endpoint ?? null, config);
    const made = target.local
      ? await makeMissing(target, pipeline.plan)
      : await checkPresent(target, pipeline.plan).then(() => []);
    const engine = await startEngine({
      pipeline,
      target,
      sessionMillis: options.sessionMillis,
      listener: options.listener,
    });
    try {
      options.listener({
        event: "ready",
        pipeline: pipeline.plan.graph.name,
        endpoint: describeEndpoint(target),
        functionsEndpoint: engine.functionsEndpoint,
        made,
      });
      return await watch(engine, options);
    } finally {
      await engine.close();
      target.clients.destroy();
    }
  } finally {
    await cloud?.stop();
  }
}

const describeEndpoint = (target: Target): string =>
  target.endpoint ?? `AWS, ${process.env.AWS_REGION ?? "the SDK's region"}`;

/** One look after the other, until the pipeline rests. */
async function watch(engine: Engine, options: DevOptions): Promise<number> {
  const chaos = startChaos(engine, options.chaosMillis);
  let stopping = false;
  try {
    for (;;) {
      const refused = engine.startFailure();
      if (refused !== null) throw refused;
      const view = await engine.look();
      report(view, options.listener);
      const code = resting(view, options.listener);
      if (code !== null) return code;
      if (!stopping && (options.interrupt.aborted || (options.untilDrained && isDrained(view)))) {
        stopping = true;
        chaos();
        await engine.stop();
      }
      await pause(lookMillis, stopping ? null : options.interrupt);
    }
  } finally {
    chaos();
  }
}

/** All input is read and processed; what the stop's checkpoint covers is then committed by it (C3). */
function isDrained({ head, progress, started }: EngineView): boolean {
  return (
    started && head?.status === "running" && progress?.generation === head.generation && progress.idleSince !== null
  );
}

function resting(view: EngineView, listener: DevListener): number | null {
  const { head, started } = view;
  if (head === null || !started) return null;
  if (
    head.status !== "stopped" &&
    head.status !== "finished" &&
    head.status !== "failed" &&
    head.status !== "suspended"
  )
    return null;
  listener({ event: "end", status: head.status, failures: head.status === "failed" ? head.failures : [] });
  if (head.status !== "failed") return 0;
  const kind = head.failures.at(-1)?.kind;
  return kind === "corrupt" ? exitCodes.corrupt : exitCodes.invalid;
}

function report({ head, progress, started }: EngineView, listener: DevListener): void {
  listener({
    event: "status",
    status: started && head !== null ? head.status : "starting",
    generation: head?.generation ?? 0,
    checkpoint: head?.completed?.checkpointId ?? null,
    checkpoints: head === null ? 0 : head.nextCheckpointId - 1,
    records: progress?.records ?? 0,
    behindMillis: progress?.behindMillis ?? 0,
    idle: progress !== null && progress.idleSince !== null,
    restarts: head?.failures.length ?? 0,
  });
}

/** Kills about that often: between half and one and a half times the interval. Returns what stops it. */
function startChaos(engine: Engine, everyMillis: number | null): () => void {
  if (everyMillis === null) return () => undefined;
  let timer: NodeJS.Timeout;
  const next = () => {
    timer = setTimeout(
      () => {
        engine.kill();
        next();
      },
      everyMillis * (0.5 + Math.random()),
    );
  };
  next();
  return () => clearTimeout(timer);
}

function pause(length: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, length);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    if (signal?.aborted) done();
    else signal?.addEventListener("abort", done, { once: true });
  });
}
