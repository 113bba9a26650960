import { coordinateInSession } from "../checkpoint/coordinator.js";
import { cachedManifest } from "../checkpoint/facts.js";
import { observeCompletion } from "../checkpoint/permit.js";
import { putProgress, readHead } from "../checkpoint/store.js";
import type { Ack, Committable, Manifest, Pending } from "../model/checkpoints.js";
import type { Head, Progress } from "../model/head.js";
import { type CheckpointId, checkpointId, coordinatorTask, type Millis } from "../model/ids.js";
import type { SnapshotRef } from "../model/snapshots.js";
import { nextSnapshotKind } from "../state/compaction.js";
import { restoreInto } from "../state/snapshot-reader.js";
import { commitCovered } from "./commit.js";
import { acknowledge, cutTask, type Identity, makeDurable, readRange } from "./cut.js";
import { Mailbox } from "./mailbox.js";
import { afterCut, afterHead, ending, firstPhase, type Phase, type SessionEnding, untilLook } from "./phase.js";
import type { Start } from "./restore.js";
import { type SessionParts, timeOf } from "./session-parts.js";

/** What the activities of a session tell it. */
type Event =
  | { readonly kind: "observed"; readonly head: Head; readonly manifest: Manifest | null }
  | { readonly kind: "gone" }
  | { readonly kind: "batch"; readonly source: string; readonly shard: string }
  | { readonly kind: "acked"; readonly ack: Ack; readonly prepared: readonly Committable[] }
  | { readonly kind: "committed"; readonly committed: readonly Committable[] }
  | { readonly kind: "failed"; readonly error: unknown };

/** Every awake task reads the head once a second (B1). */
export const pollMillis = 1_000;

/**
 * The one async loop of a task: it feeds records to the operators, cuts when a checkpoint is pending, commits what is complete,
 * and ends at an ack (N1). All that is not a synchronous step is an activity that posts an event.
 */
export class Session {
  readonly #parts: SessionParts;
  readonly #me: Identity;
  readonly #mailbox = new Mailbox<Event>();
  readonly #stop = new AbortController();
  /** Cut short to look at the head at once. */
  #nap = new AbortController();
  #phase: Phase = { kind: "running" };
  #head: Head;
  #epoch: CheckpointId;
  #acked: CheckpointId;
  #snapshot: SnapshotRef | null = null;
  #committables: readonly Committable[];
  #committing = false;
  #ackUnderWay = false;
  /** A first record was taken: the time from a crash to here is the time to recover. */
  #flowing = false;
  #recordsBefore: { readonly in: number; readonly out: number };
  #seq = 0;
  #idleSince: Millis | null = null;

  constructor(parts: SessionParts, me: Identity, start: Start, head: Head) {
    this.#parts = parts;
    this.#me = me;
    this.#head = head;
    this.#epoch = start.epoch;
    this.#acked = start.epoch;
    this.#committables = start.committables;
    this.#recordsBefore = { in: start.recordsIn, out: start.recordsOut };
    this.#phase = firstPhase(head, start.fromHandover ? start.epoch : null);
  }

  /** C2: state, and what the completed checkpoint covers, before the first ack. */
  async restore(start: Start): Promise<void> {
    const { store, task, record } = this.#parts;
    if (start.snapshot !== null) {
      this.#snapshot = await restoreInto(
        task.tables,
        start.snapshot,
        this.#me.keyGroups,
        readRange(store),
        record.dropped,
      );
    }
    const permit = observeCompletion(this.#head);
    if (permit !== null) this.#drop(await commitCovered(this.#parts.commit, permit, this.#committables));
  }

  /** @throws StreamError what an activity or an operator failed with */
  async run(): Promise<SessionEnding> {
    this.#spawn(this.#look(0));
    try {
      for (;;) {
        const end = this.#end();
        if (end !== null) return end;
        this.#pump();
        const event = await this.#mailbox.next();
        if (event.kind === "gone") return { kind: "fenced" };
        this.#handle(event);
      }
    } finally {
      this.#stop.abort();
      this.#nap.abort();
    }
  }

  #handle(event: Exclude<Event, { readonly kind: "gone" }>): void {
    switch (event.kind) {
      case "observed":
        this.#observe(event.head, event.manifest);
        break;
      case "batch":
        this.#consume(event.source, event.shard);
        break;
      case "acked":
        this.#onAcked(event.ack, event.prepared);
        break;
      case "committed":
        this.#committing = false;
        this.#drop(event.committed);
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
    if (this.#phase.kind === "running") this.#consumeHeld();
    const pending = head.pending;
    if (
      pending !== null &&
      pending.checkpointId > this.#epoch &&
      this.#phase.kind === "running" &&
      !this.#ackUnderWay
    ) {
      this.#cut(pending);
    }
    this.#spawn(this.#look(pollMillis));
  }

  #consume(source: string, shard: string): void {
    if (this.#phase.kind !== "running") return;
    const { task } = this.#parts;
    this.#parts.readers.get(source)?.consume(shard, (value, position) => task.take(value, position));
    if (!this.#flowing && task.recordsIn > 0) {
      this.#flowing = true;
      this.#parts.log({
        event: "flowing",
        generation: this.#me.generation,
        task: this.#me.task,
        session: this.#me.session,
      });
    }
    this.#idleSince = this.#idle() ? (this.#idleSince ?? this.#parts.store.clock.now()) : null;
  }

  /** What came while the session waited for a checkpoint that was then aborted. */
  #consumeHeld(): void {
    for (const [name, reader] of this.#parts.readers) for (const shard of reader.holding()) this.#consume(name, shard);
  }

  /** B2: at a record boundary, synchronously. What remains to be done for the ack goes on beside the records. */
  #cut(pending: Pending): void {
    const { task, readers, writers, store } = this.#parts;
    const now = store.clock.now();
    const kind = nextSnapshotKind(this.#snapshot, task.tables);
    const positions = Object.fromEntries([...readers].map(([name, reader]) => [name, reader.positions()]));
    const at = {
      checkpointId: pending.checkpointId,
      epoch: this.#epoch,
      positions,
      finished: this.#finished(),
      idle: this.#idle(),
      at: now,
    };
    const records = { recordsIn: this.#recordsIn(), recordsOut: this.#recordsBefore.out + task.recordsOut };
    const cut = cutTask(task, writers, { ...at, ...records }, kind);
    for (const reader of readers.values()) reader.changed = false;
    this.#epoch = pending.checkpointId;
    this.#phase = afterCut(pending, timeOf(this.#parts));
    this.#ackUnderWay = true;
    this.#spawn(this.#acknowledge(cut));
  }

  async #acknowledge(cut: Parameters<typeof makeDurable>[2]): Promise<Event> {
    const { store, guarded } = this.#parts;
    const durable = await makeDurable(store, this.#me, cut, this.#snapshot);
    // C1: all that is not confirmed by now; what is confirmed later is committed twice at worst, which does no harm.
    const committables = [...this.#committables, ...durable.prepared];
    const ack = await acknowledge(store, this.#me, cut, durable, { committables, requests: guarded.requests() });
    return { kind: "acked", ack, prepared: durable.prepared };
  }

  #onAcked(ack: Ack, prepared: readonly Committable[]): void {
    this.#ackUnderWay = false;
    this.#acked = ack.checkpointId;
    this.#snapshot = ack.snapshot;
    this.#committables = [...this.#committables, ...prepared];
    this.#nap.abort();
  }

  #drop(committed: readonly Committable[]): void {
    const done = new Set(committed);
    this.#committables = this.#committables.filter((item) => !done.has(item));
  }

  #pump(): void {
    if (this.#phase.kind === "running") {
      for (const [name, reader] of this.#parts.readers) {
        for (const read of reader.pump(this.#stop.signal)) {
          this.#spawn(read.then((shard) => ({ kind: "batch", source: name, shard })));
        }
      }
    }
    const permit = observeCompletion(this.#head);
    if (
      permit !== null &&
      !this.#committing &&
      this.#committables.some((item) => item.checkpointId <= permit.completed.checkpointId)
    ) {
      this.#committing = true;
      const commit = commitCovered(this.#parts.commit, permit, this.#committables);
      this.#spawn(commit.then((committed) => ({ kind: "committed", committed })));
    }
  }

  /** Once a second: says how far the task is, lets the coordinator act, and reads the head with what it completed. */
  async #look(pause: number): Promise<Event> {
    const { store, coordinator } = this.#parts;
    await store.clock.sleep(untilLook(pause, timeOf(this.#parts)), this.#nap.signal);
    if (this.#stop.signal.aborted) return { kind: "gone" };
    this.#nap = new AbortController();
    const progress = this.#progress();
    await putProgress(store, this.#me.incarnation, progress).catch(() => undefined);
    const head = await (this.#me.task === coordinatorTask
      ? coordinateInSession(coordinator, progress)
      : readHead(store));
    if (
      head === null ||
      head.value.generation !== this.#me.generation ||
      head.value.incarnation !== this.#me.incarnation
    )
      return { kind: "gone" };
    if (head.value.status === "failed") return { kind: "gone" };
    return {
      kind: "observed",
      head: head.value,
      manifest: await cachedManifest(store, coordinator.memory.facts, head.value),
    };
  }

  #progress(): Progress {
    const { store, settings, deadline, readers } = this.#parts;
    const now = store.clock.now();
    const all = [...readers.values()];
    return {
      format: 1,
      generation: this.#me.generation,
      task: this.#me.task,
      session: this.#me.session,
      seq: ++this.#seq,
      at: now,
      epoch: this.#epoch,
      changed: all.some((reader) => reader.changed || reader.stale(now)),
      idleSince: this.#idleSince,
      behindMillis: Math.max(0, ...all.map((reader) => reader.behindMillis)),
      records: this.#recordsIn(),
      taken: {},
      uncommitted: new Set(this.#committables.filter((item) => this.#covered(item)).map((item) => item.checkpointId))
        .size,
      sourcesFinished: this.#finished(),
      handover: deadline - now <= settings.reserve,
    };
  }

  #end(): SessionEnding | null {
    const completed = this.#head.completed?.checkpointId ?? checkpointId(0);
    const uncommitted = this.#committing || this.#committables.some((item) => this.#covered(item));
    const facts = { acked: this.#acked, completed, uncommitted, busy: this.#committing || this.#ackUnderWay };
    return ending(this.#phase, { ...facts, ...timeOf(this.#parts) });
  }

  #covered(item: Committable): boolean {
    return item.checkpointId <= (this.#head.completed?.checkpointId ?? 0);
  }

  #recordsIn = (): number => this.#recordsBefore.in + this.#parts.task.recordsIn;
  #finished = (): boolean => [...this.#parts.readers.values()].every((reader) => reader.finished);
  #idle = (): boolean => [...this.#parts.readers.values()].every((reader) => reader.idle);

  #spawn(activity: Promise<Event>): void {
    activity.then(
      (event) => this.#mailbox.post(event),
      (error) => this.#mailbox.post({ kind: "failed", error }),
    );
  }
}
