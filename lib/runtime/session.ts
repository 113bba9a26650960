import { setMaxListeners } from "node:events";
import type { Ack, Committable, Manifest, Pending } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";
import { type CheckpointId, checkpointId, type Millis } from "../model/ids.js";
import type { SnapshotRef } from "../model/snapshots.js";
import { nextSnapshotKind } from "../state/compaction.js";
import { Committer } from "./committer.js";
import { acknowledge, type Cut, cutTask, type Identity, makeDurable } from "./cut.js";
import { Feed } from "./feed.js";
import { lookAround, type Seen } from "./look.js";
import type { Mailbox } from "./mailbox.js";
import { afterCut, afterHead, ending, firstPhase, type Phase, type SessionEnding, untilLook } from "./phase.js";
import { progressOf } from "./progress.js";
import type { Start } from "./restore.js";
import { restoreState, sweepStaged } from "./restore-state.js";
import { type SessionParts, timeOf } from "./session-parts.js";

/** What the activities of a session tell it. */
export type SessionEvent =
  | Seen
  /** A batch is there, or a call has its answer, or a sink has taken what waited, or the next slice may begin. */
  | { readonly kind: "ready" }
  | { readonly kind: "relieved" }
  | { readonly kind: "again" }
  | { readonly kind: "acked"; readonly ack: Ack; readonly prepared: readonly Committable[] }
  | { readonly kind: "committed" }
  | { readonly kind: "failed"; readonly error: unknown };

/** Nobody reads why a sleep was cut short; without a reason an error with its stack would be made each time. */
const over = "over";

/** E5: a producer reads no more while its slowest consumer is so many frames behind. */
const windowFrames = 64;

/** Every awake task reads the head once a second (B1). */
export const pollMillis = 1_000;

/**
 * The one async loop of a task: it feeds records to the operators, cuts when a checkpoint is pending, commits what is complete,
 * and ends at an ack (N1). All that is not a synchronous step is an activity that posts an event.
 */
export class Session {
  readonly #parts: SessionParts;
  readonly #me: Identity;
  readonly #mailbox: Mailbox<SessionEvent>;
  readonly #feed: Feed;
  readonly #stop = new AbortController();
  /** Cut short to look at the head at once. */
  #nap = new AbortController();
  #phase: Phase = { kind: "running" };
  #head: Head;
  #epoch: CheckpointId;
  #acked: CheckpointId;
  #snapshot: SnapshotRef | null = null;
  readonly #committer: Committer;
  #ackUnderWay = false;
  #relieving = false;
  /** The next slice is asked for. */
  #comingBack = false;
  /** A first record was taken: the time from a crash to here is the time to recover. */
  #flowing = false;
  /** Told to the log, once a checkpoint. */
  #quarantined = 0;
  #recordsBefore: { readonly in: number; readonly out: number };
  #seq = 0;
  #idleSince: Millis | null = null;
  /** E5: consumers are too far behind. */
  #isStalled = false;

  constructor(parts: SessionParts, me: Identity, start: Start, head: Head) {
    this.#parts = parts;
    // Every lane and every shard that waits listens to it: more than ten are no leak.
    setMaxListeners(0, this.#stop.signal);
    this.#me = me;
    this.#mailbox = parts.mailbox;
    this.#feed = new Feed(parts.task, parts.readers, parts.channels, parts.store.clock);
    this.#head = head;
    this.#epoch = start.epoch;
    this.#acked = start.epoch;
    this.#committer = new Committer(parts.commit, start.committables, parts.settings.reserve);
    this.#recordsBefore = { in: start.recordsIn, out: start.recordsOut };
    this.#phase = firstPhase(head, start.fromHandover ? start.epoch : null);
  }

  /** C2: state, and what the completed checkpoint covers, before the first ack. */
  async restore(start: Start): Promise<void> {
    this.#snapshot = await restoreState(this.#parts, start);
    for (let piece = this.#committer.next(this.#head); piece !== null; piece = this.#committer.next(this.#head)) {
      await piece;
    }
    await sweepStaged(this.#parts, this.#head, start);
  }

  /** @throws StreamError what an activity or an operator failed with */
  async run(): Promise<SessionEnding> {
    this.#spawn(this.#look(0));
    try {
      for (;;) {
        const end = this.#end();
        if (end !== null) return end;
        this.#flow();
        const event = await this.#mailbox.next();
        if (event.kind === "gone") return { kind: "fenced" };
        this.#handle(event);
      }
    } finally {
      this.#stop.abort(over);
      this.#nap.abort(over);
    }
  }

  #handle(event: Exclude<SessionEvent, { readonly kind: "gone" }>): void {
    switch (event.kind) {
      case "observed":
        this.#isStalled = event.framesBehind > (this.#parts.settings.windowFrames ?? windowFrames);
        this.#observe(event.head, event.manifest);
        break;
      case "ready":
        break;
      case "relieved":
        this.#relieving = false;
        break;
      case "again":
        this.#comingBack = false;
        break;
      case "acked":
        this.#onAcked(event.ack, event.prepared);
        break;
      case "committed":
        break;
      case "failed":
        throw event.error;
    }
  }

  /** First what is complete, then what is pending: children start before the next cut (K3), permits come before acks. */
  #observe(head: Head, manifest: Manifest | null): void {
    const before = this.#head;
    this.#head = head;
    if (manifest !== null && head.completed?.sha256 !== before.completed?.sha256) {
      for (const [name, reader] of this.#parts.readers) {
        const table = manifest.shards[name];
        if (table !== undefined) reader.enter(table);
      }
    }
    this.#phase = afterHead(this.#phase, head);
    this.#spawn(this.#look(pollMillis));
  }

  /** After every event: what can go on goes on. */
  #flow(): void {
    if (this.#phase.kind === "running") {
      this.#parts.task.advance();
      const due = this.#due();
      if (due === null || !this.#mayCut(due)) this.#take(due);
      if (due !== null && this.#mayCut(due)) this.#cut(due);
    }
    if (this.#phase.kind === "running") this.#read();
    for (const sent of this.#parts.channels.send(this.#stop.signal)) this.#spawn(sent.then(() => ({ kind: "ready" })));
    this.#relieve();
    this.#commit();
  }

  /** The checkpoint that this task must cut for. */
  #due(): Pending | null {
    const { pending } = this.#head;
    return pending !== null && pending.checkpointId > this.#epoch && !this.#ackUnderWay ? pending : null;
  }

  /** B2: calls in flight are awaited, frames are taken whole, and an aligned cut waits for what was sent before it. */
  #mayCut(due: Pending): boolean {
    const { task, channels } = this.#parts;
    return task.inFlight === 0 && !this.#feed.isMidFrame && channels.mayCut(due);
  }

  /** @param due while it waits for what was sent before it, nothing else is taken; while it waits for calls alone, nothing at all */
  #take(due: Pending | null): void {
    const { task, log, store, channels, settings } = this.#parts;
    const epochMax = channels.epochMax(this.#head, this.#epoch, due?.alignment ?? settings.alignment);
    const waits = due !== null && channels.mayCut(due);
    const from = this.#isStalled || waits ? "none" : due === null ? "all" : "frames";
    const fed = this.#feed.slice({ heldRowsMax: this.#committer.rowsMax, epochMax, from });
    task.advance();
    if (!this.#flowing && (task.recordsIn > 0 || channels.changed)) {
      this.#flowing = true;
      log({ event: "flowing", generation: this.#me.generation, task: this.#me.task, session: this.#me.session });
    }
    this.#idleSince = this.#feed.isIdle ? (this.#idleSince ?? store.clock.now()) : null;
    if (fed !== "more" || this.#comingBack) return;
    this.#comingBack = true;
    this.#spawn(store.clock.sleep(0).then(() => ({ kind: "again" })));
  }

  #read(): void {
    for (const reader of this.#parts.readers.values()) {
      for (const read of reader.pump(this.#stop.signal)) this.#spawn(read.then(() => ({ kind: "ready" })));
    }
    const { channels } = this.#parts;
    for (const look of channels.pump(this.#stop.signal)) this.#spawn(look.then(() => ({ kind: "ready" })));
    // B2: a frame of a checkpoint that this task has not heard of.
    if (channels.hasNews(this.#head)) this.#nap.abort(over);
  }

  #relieve(): void {
    if (this.#relieving || this.#phase.kind !== "running") return;
    const flushes = this.#feed.relieve();
    if (flushes.length === 0) return;
    this.#relieving = true;
    this.#spawn(Promise.all(flushes).then(() => ({ kind: "relieved" })));
  }

  /** N1: a session that leaves begins none; its ack lists the rest. */
  #commit(): void {
    const commit = this.#phase.kind === "leaving" ? null : this.#committer.next(this.#head);
    if (commit !== null) this.#spawn(commit.then(() => ({ kind: "committed" })));
  }

  /** B2: at a record boundary, synchronously. What remains to be done for the ack goes on beside the records. */
  #cut(pending: Pending): void {
    const { task, readers, writers, store, log } = this.#parts;
    const kind = nextSnapshotKind(this.#snapshot, task.tables);
    const channels = this.#parts.channels.cut(pending);
    const { sent } = channels;
    const at = {
      checkpointId: pending.checkpointId,
      epoch: this.#epoch,
      channels,
      positions: Object.fromEntries([...readers].map(([name, reader]) => [name, reader.positions(sent)])),
      finished: this.#feed.isFinished,
      idle: this.#feed.isIdle,
      at: store.clock.now(),
      recordsIn: this.#recordsIn(),
      recordsOut: this.#recordsBefore.out + task.recordsOut,
    };
    const cut = cutTask(task, writers, this.#me, at, kind);
    if (task.quarantined > this.#quarantined)
      log({ event: "quarantined", records: task.quarantined - this.#quarantined });
    this.#quarantined = task.quarantined;
    for (const reader of readers.values()) reader.changed = false;
    this.#epoch = pending.checkpointId;
    this.#phase = afterCut(pending, timeOf(this.#parts));
    this.#ackUnderWay = true;
    this.#spawn(this.#acknowledge(cut));
  }

  async #acknowledge(cut: Cut): Promise<SessionEvent> {
    const { store, guarded } = this.#parts;
    const durable = await makeDurable(store, this.#me, cut, this.#snapshot, this.#stop.signal);
    // C1: all that is not confirmed by now; what is confirmed later is committed twice at worst, which does no harm.
    const committables = [...this.#committer.list, ...durable.prepared];
    const ack = await acknowledge(store, this.#me, cut, durable, { committables, requests: guarded.requests() });
    return { kind: "acked", ack, prepared: durable.prepared };
  }

  #onAcked(ack: Ack, prepared: readonly Committable[]): void {
    this.#ackUnderWay = false;
    this.#acked = ack.checkpointId;
    this.#parts.log({ event: "acked", task: ack.task, checkpoint: ack.checkpointId });
    this.#snapshot = ack.snapshot;
    this.#committer.add(prepared);
    this.#nap.abort(over);
  }

  /** Once a second, or when a checkpoint is heard of. */
  async #look(pause: number): Promise<SessionEvent> {
    const { store } = this.#parts;
    await store.clock.sleep(untilLook(pause, timeOf(this.#parts)), this.#nap.signal);
    if (this.#stop.signal.aborted) return { kind: "gone" };
    this.#nap = new AbortController();
    return lookAround(this.#parts, this.#me, this.#progress());
  }

  #progress() {
    const facts = {
      epoch: this.#epoch,
      seq: ++this.#seq,
      idleSince: this.#idleSince,
      records: this.#recordsIn(),
      uncommitted: this.#committer.checkpoints(this.#head),
    };
    return progressOf(this.#me, this.#parts, this.#feed, facts, this.#parts.store.clock.now());
  }

  #end(): SessionEnding | null {
    const completed = this.#head.completed?.checkpointId ?? checkpointId(0);
    const uncommitted = this.#committer.isBusy || this.#committer.isCovered(this.#head);
    const facts = { acked: this.#acked, completed, uncommitted, busy: this.#committer.isBusy || this.#ackUnderWay };
    return ending(this.#phase, { ...facts, ...timeOf(this.#parts) });
  }

  #recordsIn = (): number => this.#recordsBefore.in + this.#parts.task.recordsIn;

  #spawn(activity: Promise<SessionEvent>): void {
    activity.then(
      (event) => this.#mailbox.post(event),
      (error) => this.#mailbox.post({ kind: "failed", error }),
    );
  }
}
