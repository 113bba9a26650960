import { loadBodyRange, storeBody } from "../checkpoint/bodies.js";
import { taskObjectKey, taskObjectName } from "../checkpoint/names.js";
import { repeat } from "../checkpoint/repeat.js";
import { type CheckpointStore, writeAck } from "../checkpoint/store.js";
import type { Ack, Committable, HeldCommittable, KeyGroups, LogCommittable } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { CheckpointId, Generation, Millis, SessionId, TaskId } from "../model/ids.js";
import type { SnapshotFile, SnapshotRef } from "../model/snapshots.js";
import type { Stored } from "../model/stored.js";
import type { HeldWriter, SealedEpoch } from "../pipeline/sink.js";
import { continued, noState } from "../state/compaction.js";
import { beginSnapshot, encodeInSteps, finishSnapshot, type Snapshot } from "../state/snapshot-writer.js";
import type { ChannelCut } from "./channels.js";
import { dryRowsOf } from "./dry-run-output.js";
import { encodeHeldRows } from "./held-bodies.js";
import type { HeldRow } from "./held-output.js";
import type { LogSegment } from "./log-output.js";
import type { OpenedWriter, Output } from "./outputs.js";
import type { Task } from "./task.js";

/** Whose part of the snapshot it is. */
export interface Identity {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly generation: Generation;
  readonly task: TaskId;
  readonly session: SessionId;
  readonly keyGroups: KeyGroups;
}

/** What a task was at a cut, of its own: records may flow on at once (B2). */
export interface Cut {
  readonly checkpointId: CheckpointId;
  /** The epoch that it ends. */
  readonly epoch: CheckpointId;
  readonly state: Snapshot | null;
  readonly held: readonly HeldPart[];
  readonly sealed: readonly { readonly sink: string; readonly target: string; readonly epoch: SealedEpoch }[];
  readonly logs: readonly LogPart[];
  /** Resolves when all that eager sinks took in the epoch is written. */
  readonly written: Promise<unknown>;
  readonly positions: Ack["positions"];
  readonly channels: ChannelCut;
  readonly finished: boolean;
  readonly idle: boolean;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly dryRows: Readonly<Record<string, number>>;
  readonly at: Millis;
}

interface HeldPart {
  readonly sink: string;
  readonly target: string;
  readonly bytes: Uint8Array;
  readonly records: number;
}

interface LogPart {
  readonly sink: string;
  readonly target: string;
  readonly segments: readonly LogSegment[];
}

export type CutPoint = Pick<
  Cut,
  "checkpointId" | "epoch" | "positions" | "channels" | "finished" | "idle" | "recordsIn" | "recordsOut" | "at"
>;

/**
 * B2: takes state and output of the task at a record boundary. Synchronous.
 *
 * @throws StreamError `invalid` where a row cannot be stored: before any ack speaks of it
 */
export function cutTask(
  task: Task<Output>,
  writers: ReadonlyMap<string, OpenedWriter>,
  me: Identity,
  at: CutPoint,
  kind: "base" | "delta" | "none",
): Cut {
  const held: HeldPart[] = [];
  const sealed: Cut["sealed"][number][] = [];
  const logs: LogPart[] = [];
  const written: Promise<void>[] = [];
  for (const [sink, output] of task.outputs) {
    const opened = writers.get(sink);
    if (output.kind === "held" && opened?.delivery === "held") {
      const part = heldPart(sink, opened.writer, output.take());
      if (part !== null) held.push(part);
    } else if (output.kind === "two-phase" && opened !== undefined) {
      const epoch = output.seal(`${sink}-${taskObjectName({ ...me, checkpointId: at.checkpointId })}`);
      if (epoch !== null) sealed.push({ sink, target: opened.writer.target, epoch });
    } else if (output.kind === "log" && opened !== undefined) {
      const segments = output.take();
      if (segments.length > 0) logs.push({ sink, target: opened.writer.target, segments });
    } else if (output.kind === "eager") written.push(output.cut(at.checkpointId));
  }
  const state = kind === "none" ? null : beginSnapshot(task.tables, { kind });
  const all = Promise.all(written);
  // It is awaited before the ack; until then a failure must not end the process.
  all.catch(() => undefined);
  return { ...at, state, held, sealed, logs, written: all, dryRows: dryRowsOf(task.outputs) };
}

function heldPart(sink: string, writer: HeldWriter, rows: readonly HeldRow[]): HeldPart | null {
  if (rows.length === 0) return null;
  for (const { row } of rows) validate(sink, writer, row);
  return { sink, target: writer.target, bytes: encodeRows(sink, rows), records: rows.length };
}

function validate(sink: string, writer: HeldWriter, row: unknown): void {
  try {
    writer.validate(row);
  } catch (cause) {
    if (!(cause instanceof StreamError)) throw cause;
    throw new StreamError(cause.kind, `sink "${sink}": ${cause.message}`, { cause });
  }
}

function encodeRows(sink: string, rows: readonly HeldRow[]): Uint8Array {
  try {
    return encodeHeldRows(rows);
  } catch (cause) {
    throw new StreamError(
      "invalid",
      `sink "${sink}": a row cannot be kept: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** What B3 demands before the ack: snapshot, eager rows, frames and committables are durable. */
export interface Durable {
  readonly snapshot: SnapshotRef;
  readonly prepared: readonly Committable[];
  readonly bytes: number;
}

export async function makeDurable(
  store: CheckpointStore,
  me: Identity,
  cut: Cut,
  before: SnapshotRef | null,
  signal: AbortSignal,
): Promise<Durable> {
  const snapshot = await storeSnapshot(store, me, cut, before, signal);
  await cut.written;
  await cut.channels.durable;
  const prepared: Committable[] = [];
  let bytes = snapshot.bytes;
  for (const held of cut.held) {
    const index = prepared.length;
    const key = taskObjectKey({ ...me, checkpointId: cut.checkpointId }, `held-${index}`, me.session);
    const body = await repeat(store.clock, () => storeBody(store.blobs, key, held.bytes));
    bytes += body.size;
    prepared.push({ ...preparedAt(me, cut, held, index), kind: "held", body });
  }
  for (const { sink, target, epoch } of cut.sealed) {
    const staged = await repeat(store.clock, () => epoch.prepare());
    bytes += staged.bytes;
    const what = { sink, target, records: epoch.records };
    prepared.push({ ...preparedAt(me, cut, what, prepared.length), kind: "two-phase", prepared: staged.prepared });
  }
  for (const log of cut.logs) {
    const index = prepared.length;
    const segments = await storeSegments(store, me, cut, log.segments, index);
    const records = segments.reduce((sum, segment) => sum + segment.records, 0);
    bytes += segments.reduce((sum, { body }) => sum + body.size, 0);
    prepared.push({ ...preparedAt(me, cut, { ...log, records }, index), kind: "log", segments });
  }
  return { snapshot: snapshot.ref, prepared, bytes };
}

/** Segments under way at a time. */
const segmentsAtOnce = 8;

async function storeSegments(
  store: CheckpointStore,
  me: Identity,
  { checkpointId }: Cut,
  segments: readonly LogSegment[],
  index: number,
): Promise<LogCommittable["segments"]> {
  const stored: LogCommittable["segments"][number][] = [];
  for (let from = 0; from < segments.length; from += segmentsAtOnce) {
    const some = segments.slice(from, from + segmentsAtOnce).map(async ({ bytes, records }, at) => {
      const key = taskObjectKey({ ...me, checkpointId }, `log-${index}-${from + at}`, me.session);
      return { body: await repeat(store.clock, () => storeBody(store.blobs, key, bytes)), records };
    });
    stored.push(...(await Promise.all(some)));
  }
  return stored;
}

function preparedAt(
  { generation, task }: Identity,
  { epoch, checkpointId }: Cut,
  { sink, target, records }: { readonly sink: string; readonly target: string; readonly records: number },
  index: number,
): Omit<HeldCommittable, "kind" | "body"> {
  return { sink, target, generation, epoch, checkpointId, task, index, records };
}

async function storeSnapshot(
  store: CheckpointStore,
  me: Identity,
  cut: Cut,
  before: SnapshotRef | null,
  signal: AbortSignal,
): Promise<{ readonly ref: SnapshotRef; readonly bytes: number }> {
  if (cut.state === null) return { ref: before ?? noState, bytes: 0 };
  const { state } = cut;
  // N4: a session that has ended encodes no further.
  const pause = async () => {
    await store.clock.sleep(0);
    if (signal.aborted) throw new StreamError("fenced", "the session has ended (N4)");
  };
  const { bytes, ...index } = await finishSnapshot(await encodeInSteps(state, pause), { pause });
  const key = taskObjectKey({ ...me, checkpointId: cut.checkpointId }, `state-${cut.state.kind}`, me.session);
  const body = await repeat(store.clock, () => storeBody(store.blobs, key, bytes));
  const file: SnapshotFile = { format: 1, body, session: me.session, epoch: cut.checkpointId, ...index };
  return { ref: continued(before, cut.state.kind, file), bytes: bytes.length };
}

/** B3, C1: the fact that the task's part is durable, with every committable that is not yet confirmed committed. */
export async function acknowledge(
  store: CheckpointStore,
  me: Identity,
  cut: Cut,
  durable: Durable,
  rest: { readonly committables: readonly Committable[]; readonly requests: Readonly<Record<string, number>> },
): Promise<Ack> {
  const committables = await storeList(store, me, cut.checkpointId, rest.committables);
  const ack: Ack = {
    format: 1,
    generation: me.generation,
    checkpointId: cut.checkpointId,
    task: me.task,
    session: me.session,
    keyGroups: me.keyGroups,
    snapshot: durable.snapshot,
    positions: cut.positions,
    sent: cut.channels.sent,
    expected: cut.channels.expected,
    committables,
    wakeAt: null,
    finished: cut.finished,
    idle: cut.idle,
    figures: {
      cutAt: cut.at,
      ackedAt: store.clock.now(),
      recordsIn: cut.recordsIn,
      recordsOut: cut.recordsOut,
      ...(Object.keys(cut.dryRows).length === 0 ? {} : { dryRows: cut.dryRows }),
      bytes: durable.bytes,
      requests: rest.requests,
    },
  };
  await writeAck(store, me.incarnation, ack);
  return ack;
}

const committablesInlineMax = 64 * 1024;

/** A long list lies in the bucket, as JSON. */
async function storeList(
  store: CheckpointStore,
  me: Identity,
  checkpointId: CheckpointId,
  committables: readonly Committable[],
): Promise<readonly Committable[] | Stored> {
  const text = JSON.stringify(committables);
  if (text.length <= committablesInlineMax) return committables;
  const key = taskObjectKey({ ...me, checkpointId }, "committables", me.session);
  return repeat(store.clock, () => storeBody(store.blobs, key, Buffer.from(text, "utf8")));
}

export const readRange =
  (store: CheckpointStore) =>
  (stored: Stored, range: readonly [number, number]): Promise<Uint8Array> =>
    repeat(store.clock, () => loadBodyRange(store.blobs, stored, range));
