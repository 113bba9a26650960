import type { Progress } from "../model/head.js";
import type { Millis } from "../model/ids.js";
import type { Identity } from "./cut.js";
import { dryRowsOf } from "./dry-run-output.js";
import type { Feed } from "./feed.js";
import type { SessionParts } from "./session-parts.js";

/** What of a session changes from look to look. */
export type ProgressFacts = Pick<Progress, "epoch" | "seq" | "idleSince" | "records" | "uncommitted">;

/** How far a task is, for the coordinator and for people. */
export function progressOf(me: Identity, parts: SessionParts, feed: Feed, facts: ProgressFacts, now: Millis): Progress {
  const readers = [...parts.readers.values()];
  const dryRows = dryRowsOf(parts.task.outputs);
  return {
    format: 1,
    generation: me.generation,
    task: me.task,
    session: me.session,
    at: now,
    ...facts,
    changed: parts.channels.changed || readers.some((reader) => reader.changed || reader.stale(now)),
    behindMillis: Math.max(0, ...readers.map((reader) => reader.behindMillis)),
    pressed: feed.needsCut,
    ...(Object.keys(dryRows).length === 0 ? {} : { dryRows }),
    taken: parts.channels.taken(),
    sourcesFinished: feed.isFinished,
    handover: parts.deadline - now <= parts.settings.reserve,
  };
}
