import type { Millis } from "../model/ids.js";
import type { Sink, SinkResources } from "../pipeline/sink.js";
import { modeOf, resourcesIn, type SinkModes } from "../pipeline/sink-modes.js";
import type { Clock } from "../ports/clock.js";
import type { World } from "../ports/world.js";
import type { Identity } from "./cut.js";
import type { Deployment } from "./deployment.js";
import type { OpenedWriter } from "./outputs.js";
import type { Place } from "./place.js";
import type { SessionLog } from "./session-parts.js";

/** Of the sinks that the task's stage runs, and of dead letters, which any task may have. */
export function openWriters(
  deployment: Deployment,
  world: World,
  { sinkTasks }: Place,
  me: Identity,
  modes: SinkModes,
): ReadonlyMap<string, OpenedWriter> {
  const { tables, streams, files, objects, clock } = world;
  const bind: SinkResources["bind"] = (kind, logical) => deployment.bindings[kind](logical);
  return new Map(
    [...deployment.plan.sinks].flatMap(([name, sink]) => {
      const tasks = sinkTasks.get(name);
      if (tasks === undefined) return [];
      const prefix = `${name}-${me.incarnation}-`;
      const task = `${prefix}${me.task}-`;
      const others = tasks.filter((one) => one !== me.task).map((one) => `${prefix}${one}-`);
      const gone = tasks[0] === me.task ? { prefix, spared: others } : null;
      const stage = { task, session: `${task}${me.generation}-${me.session}`, gone };
      const resources = { tables, streams, files, objects, clock, bind, stage };
      return [[name, openWriter(sink, resourcesIn(modeOf(modes, name), resources))] as const];
    }),
  );
}

export function openWriter(sink: Sink<never>, resources: SinkResources): OpenedWriter {
  switch (sink.delivery) {
    case "held":
      return { delivery: "held", writer: sink.open(resources) };
    case "eager":
      return { delivery: "eager", writer: sink.open(resources) };
    case "two-phase":
      return { delivery: "two-phase", writer: sink.open(resources) };
    case "log":
      return { delivery: "log", writer: sink.open(resources) };
  }
}

/** So long sinks may take to close, or half of what is left of the session. */
const closeMillisMax = 5_000;

/** N4: what sinks began ends with the session, however that ended. One that does not close in time is left to the end of its process. */
export async function closeWriters(
  writers: ReadonlyMap<string, OpenedWriter>,
  clock: Clock,
  deadline: Millis,
  log: SessionLog,
): Promise<void> {
  const over = new AbortController();
  const open = new Set(writers.keys());
  const closings = [...writers].map(async ([sink, { writer }]) => {
    try {
      await writer.close();
    } catch (error) {
      log({ event: "close failed", sink, message: error instanceof Error ? error.message : String(error) });
    }
    open.delete(sink);
  });
  const left = Math.max(0, (deadline - clock.now()) / 2);
  const late = clock.sleep(Math.min(closeMillisMax, left), over.signal);
  await Promise.race([Promise.all(closings), late]);
  over.abort();
  for (const sink of open) log({ event: "not closed", sink });
}
