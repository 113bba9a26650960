import type { Coordinator } from "../checkpoint/coordinator.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { GenerationRecord } from "../model/head.js";
import type { Millis } from "../model/ids.js";
import type { PlanSettings } from "../pipeline/plan.js";
import type { Calls } from "./calls.js";
import type { Channels } from "./channels.js";
import type { CommitContext } from "./commit.js";
import type { GuardedWorld } from "./guard.js";
import type { Mailbox } from "./mailbox.js";
import type { OpenedWriter, Output } from "./outputs.js";
import type { Place } from "./place.js";
import type { SessionEvent } from "./session.js";
import type { SourceReader } from "./source-reader.js";
import type { Task } from "./task.js";

/** Events with fields, no prose. */
export type SessionLog = (event: Readonly<Record<string, unknown>> & { readonly event: string }) => void;

/** What a session is put together from. */
export interface SessionParts {
  readonly store: CheckpointStore;
  readonly guarded: GuardedWorld;
  readonly coordinator: Coordinator;
  readonly record: GenerationRecord;
  readonly settings: PlanSettings;
  readonly deadline: Millis;
  readonly place: Place;
  readonly task: Task<Output>;
  readonly channels: Channels;
  readonly calls: Calls;
  /** The session's own: what its parts tell it comes here too. */
  readonly mailbox: Mailbox<SessionEvent>;
  readonly readers: ReadonlyMap<string, SourceReader>;
  readonly writers: ReadonlyMap<string, OpenedWriter>;
  readonly commit: CommitContext;
  readonly log: SessionLog;
}

/** What is left of the session's time, and the part of it that is kept for handing over (N1). */
export const timeOf = ({ store, settings, deadline }: SessionParts) => ({
  remaining: deadline - store.clock.now(),
  reserve: settings.reserve,
});
