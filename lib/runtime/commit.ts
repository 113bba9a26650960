import { loadBody } from "../checkpoint/bodies.js";
import { coveredBy } from "../checkpoint/permit.js";
import { repeat } from "../checkpoint/repeat.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { CommitPermit, Committable, HeldCommittable, LogCommittable } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import { encodeVersion } from "../model/versions.js";
import { segmentToken } from "../pipeline/segment-token.js";
import type { HeldWrite } from "../pipeline/sink.js";
import { decodeHeldRows } from "./held-bodies.js";
import { decodeLogBody } from "./log-bodies.js";
import type { OpenedWriter } from "./outputs.js";

export interface CommitContext {
  readonly store: CheckpointStore;
  readonly incarnation: string;
  readonly writers: ReadonlyMap<string, OpenedWriter>;
}

/**
 * C2: makes visible what the permit covers of a task's list, and returns it. May be repeated by anyone at any time.
 * C1: of several covered writes of a key only the newest is written.
 */
export async function commitCovered(
  context: CommitContext,
  permit: CommitPermit,
  committables: readonly Committable[],
): Promise<readonly Committable[]> {
  const covered = coveredBy(permit, committables);
  await commitHeld(
    context,
    permit,
    covered.filter((item) => item.kind === "held"),
  );
  for (const item of covered) {
    if (item.kind === "two-phase") {
      const writer = writerOf(context, item.sink, "two-phase");
      await named(item.sink, () => writer.commit(item.prepared, permit));
    } else if (item.kind === "log") await commitLog(context, permit, item);
  }
  return covered;
}

async function commitHeld(
  context: CommitContext,
  permit: CommitPermit,
  covered: readonly HeldCommittable[],
): Promise<void> {
  const newest = new Map<
    string,
    { readonly sink: string; readonly target: string; readonly writes: Map<string, HeldWrite> }
  >();
  for (const item of covered) {
    const place = `${item.sink}\u0000${item.target}`;
    const group = newest.get(place) ?? { sink: item.sink, target: item.target, writes: new Map() };
    newest.set(place, group);
    for (const write of await readWrites(context, item)) group.writes.set(write.key, write);
  }
  for (const { sink, target, writes } of newest.values()) {
    const writer = writerOf(context, sink, "held");
    await named(sink, () => writer.apply(target, [...writes.values()], permit));
  }
}

/** W1: the version is that of the preparation; it travels in the committable. */
async function readWrites(context: CommitContext, item: HeldCommittable): Promise<readonly HeldWrite[]> {
  const { store, incarnation } = context;
  const bytes = await repeat(store.clock, () => loadBody(store.blobs, item.body));
  const { generation, epoch, task } = item;
  return decodeHeldRows(bytes).map(({ key, row, change, seq }) => ({
    key,
    row,
    change,
    version: encodeVersion({ incarnation, generation, epoch, task, seq }),
    checkpointId: item.checkpointId,
  }));
}

/** Segment by segment: the next one is applied only when the one before it is (C5). */
async function commitLog(context: CommitContext, permit: CommitPermit, item: LogCommittable): Promise<void> {
  const { store, incarnation } = context;
  const writer = writerOf(context, item.sink, "log");
  for (const [chunk, { body }] of item.segments.entries()) {
    const bytes = await repeat(store.clock, () => loadBody(store.blobs, body));
    const segment = { token: segmentToken({ ...item, incarnation, chunk }), rows: decodeLogBody(bytes) };
    await named(item.sink, () => writer.apply(item.target, segment, permit));
  }
}

/** What a sink failed with says which one it was: it is kept in the head as the pipeline's cause. */
export async function named(sink: string, commit: () => Promise<void>): Promise<void> {
  try {
    await commit();
  } catch (error) {
    const { kind, message } = asStreamError(error);
    throw new StreamError(kind, `sink "${sink}": ${message}`, { cause: error });
  }
}

type WriterOf<D extends OpenedWriter["delivery"]> = Extract<OpenedWriter, { readonly delivery: D }>["writer"];

function writerOf<D extends OpenedWriter["delivery"]>(context: CommitContext, sink: string, prepared: D): WriterOf<D> {
  const opened = context.writers.get(sink);
  if (opened === undefined)
    throw new StreamError(
      "invalid",
      `the checkpoint has output for the sink "${sink}", which the pipeline does not have: keep it until that is written`,
    );
  if (opened.delivery === prepared) return opened.writer as WriterOf<D>;
  throw new StreamError(
    "invalid",
    `the checkpoint has output of ${prepared} delivery for the sink "${sink}", which is ${opened.delivery} now: keep it as it was until that is written, or give the new sink another name`,
  );
}
