import { loadBody } from "../checkpoint/bodies.js";
import { coveredBy } from "../checkpoint/permit.js";
import { repeat } from "../checkpoint/repeat.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { CommitPermit, Committable, HeldCommittable } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import { encodeVersion } from "../model/versions.js";
import type { HeldWrite, HeldWriter, TwoPhaseWriter } from "../pipeline/sink.js";
import { decodeHeldRows } from "./held-bodies.js";
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
    if (item.kind === "two-phase") await twoPhaseWriter(context, item.sink).commit(item.prepared, permit);
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
    await heldWriter(context, sink).apply(target, [...writes.values()], permit);
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

function heldWriter(context: CommitContext, sink: string): HeldWriter {
  const opened = writerOf(context, sink);
  if (opened.delivery === "held") return opened.writer;
  throw otherDelivery(sink, opened.delivery, "held");
}

function twoPhaseWriter(context: CommitContext, sink: string): TwoPhaseWriter {
  const opened = writerOf(context, sink);
  if (opened.delivery === "two-phase") return opened.writer;
  throw otherDelivery(sink, opened.delivery, "two-phase");
}

function writerOf(context: CommitContext, sink: string): OpenedWriter {
  const writer = context.writers.get(sink);
  if (writer !== undefined) return writer;
  throw new StreamError(
    "invalid",
    `the checkpoint has output for the sink "${sink}", which the pipeline does not have: keep it until that is written`,
  );
}

function otherDelivery(sink: string, now: string, prepared: string): StreamError {
  return new StreamError(
    "invalid",
    `the checkpoint has output of ${prepared} delivery for the sink "${sink}", which is ${now} now: keep it as it was until that is written, or give the new sink another name`,
  );
}
