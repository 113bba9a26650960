import { type ErrorKind, StreamError } from "../../model/errors.js";
import type { Failure, Head } from "../../model/head.js";
import { pause } from "../interrupt.js";
import { startChaos } from "./chaos.js";
import type { Engine, EngineView } from "./engine.js";
import type { DevEvent, DevListener } from "./events.js";

export interface WatchOptions {
  readonly pipeline: string;
  readonly endpoint: string;
  readonly untilDrained: boolean;
  readonly chaosMillis: number | null;
  readonly listener: DevListener;
  readonly interrupt: AbortSignal;
}

const lookMillis = 250;
/** A look that takes longer is worth a word. */
const slowMillis = 5_000;

/**
 * One look after the other, until the pipeline rests.
 *
 * @throws StreamError the pipeline failed, with its last cause; another start has taken over; the start cannot be
 */
export async function watch(engine: Engine, options: WatchOptions): Promise<void> {
  const chaos = startChaos(engine.kill, options.chaosMillis);
  const failures = failuresOnce(options.listener);
  const status = statusOf();
  let stopping = false;
  try {
    for (;;) {
      const refused = engine.startFailure();
      if (refused !== null) throw refused;
      const view = await patiently(engine.look(), options);
      failures(view);
      options.listener(status(view));
      if (isOver(view, options, stopping)) return;
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

/** Says so where a look takes long: the SDK tries again for a while before it gives up. */
async function patiently<T>(look: Promise<T>, { endpoint, listener }: WatchOptions): Promise<T> {
  const timer = setTimeout(() => listener({ event: "waiting", endpoint, millis: slowMillis }), slowMillis);
  try {
    return await look;
  } finally {
    clearTimeout(timer);
  }
}

/** All input is read and processed; what the stop's checkpoint covers is then committed by it (C3). One that sleeps is so too. */
export function isDrained({ head, progress, run }: EngineView): boolean {
  if (run === "ours" && head?.status === "suspended") return true;
  return (
    run === "ours" &&
    head?.status === "running" &&
    progress?.generation === head.generation &&
    progress.idleSince !== null
  );
}

function isOver({ head, run }: EngineView, options: WatchOptions, stopping: boolean): boolean {
  if (run === "taken-over") throw takenOver(options.pipeline, head);
  // A stop that came before the first generation: nothing has run, and nothing will.
  if (head === null) return stopping;
  if (run !== "ours") return false;
  switch (head.status) {
    case "stopped":
    case "finished":
      options.listener({ event: "end", status: head.status, failures: [] });
      return true;
    case "failed":
      options.listener({ event: "end", status: head.status, failures: head.failures });
      throw pipelineFailure(options.pipeline, head);
    // One that sleeps goes on: the supervisor's schedule wakes it when records come (N3).
    default:
      return false;
  }
}

function takenOver(pipeline: string, head: Head | null): StreamError {
  return new StreamError(
    "fenced",
    `"${pipeline}" was started again elsewhere (generation ${head?.generation ?? "?"}), and goes on there; this dev has ended. One start at a time runs a pipeline: give a second one another name, table or endpoint`,
  );
}

const errorKinds: ReadonlySet<string> = new Set<ErrorKind>(["transient", "ambiguous", "corrupt", "bug"]);

/** The last cause, once. What a person must mend is `invalid`; so is what ends processes again and again. */
export function pipelineFailure(pipeline: string, head: Pick<Head, "failures" | "completed">): StreamError {
  const last = head.failures.at(-1);
  const kind = last !== undefined && errorKinds.has(last.kind) ? (last.kind as ErrorKind) : "invalid";
  const stands =
    head.completed === null ? "No checkpoint was complete yet" : `Checkpoint ${head.completed.checkpointId} stands`;
  const again = kind === "corrupt" ? "restore what is named" : "mend the cause";
  return new StreamError(
    kind,
    `pipeline "${pipeline}" failed: ${last?.message ?? "no cause was noted"}\n${stands}: ${again} and run dev again, and it goes on from there`,
  );
}

/** Tells each failure of the head once; those of before this start not at all. */
function failuresOnce(listener: DevListener): (view: EngineView) => void {
  let told: ReadonlySet<string> | null = null;
  const keyOf = (failure: Failure) => `${failure.generation}/${failure.at}`;
  return ({ head, run }) => {
    if (head === null || run !== "ours") {
      told ??= new Set(head?.failures.map(keyOf));
      return;
    }
    for (const failure of head.failures) if (!told?.has(keyOf(failure))) listener({ event: "failure", ...failure });
    told = new Set([...(told ?? []), ...head.failures.map(keyOf)]);
  };
}

/** The status of a view. Restarts are counted from the generation that this start has opened; waking is none. */
export function statusOf(): (view: EngineView) => Extract<DevEvent, { readonly event: "status" }> {
  let opened: number | null = null;
  let sleeping: number | null = null;
  let records = 0;
  return ({ head, progress, tasks, run }) => {
    const generation = head?.generation ?? 0;
    if (run === "ours") opened ??= generation;
    const isAsleep = run === "ours" && head?.status === "suspended";
    if (opened !== null && sleeping !== null && generation > sleeping) opened++;
    sleeping = isAsleep ? generation : null;
    // A generation that is restored has told nothing yet.
    records = progress?.records ?? records;
    return {
      event: "status",
      status: run !== "starting" && head !== null ? head.status : "starting",
      generation,
      checkpoint: head?.completed?.checkpointId ?? null,
      checkpoints: head === null ? 0 : head.nextCheckpointId - 1,
      tasks,
      records,
      behindMillis: progress?.behindMillis ?? 0,
      idle: isAsleep || (run === "ours" && progress !== null && progress.idleSince !== null),
      restarts: opened === null ? 0 : generation - opened,
    };
  };
}
