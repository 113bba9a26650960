import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Desired, GenerationRecord, Head, ReadTimes } from "../model/head.js";
import { generation, type Millis, millis } from "../model/ids.js";
import type { ShardTable, SourceTable } from "../model/shards.js";
import { openShards, sparedBy } from "../pipeline/partitioned.js";
import type { Plan } from "../pipeline/plan.js";
import type { Source } from "../pipeline/source.js";
import { cutStages } from "../pipeline/stages.js";
import type { Log } from "../ports/log.js";
import { checkOperators, knownStates } from "../state/known-state.js";
import { deploymentOf, fallbackOf } from "./deploys.js";
import { storedExchange } from "./exchange.js";
import { checkRestorable } from "./history.js";
import { checkNeverRan } from "./incarnations.js";
import { closedRanges } from "./inherit.js";
import { checkFrames } from "./named-frames.js";
import { checkPrepared } from "./prepared.js";
import { repeat } from "./repeat.js";
import { readFurther } from "./retention.js";
import { firstTable } from "./shard-table.js";
import { modesAfter } from "./sink-modes.js";
import { type CheckpointStore, readManifest } from "./store.js";
import { checkSameStream, describeStream, lossAfterEnd, lossAtPositions, type SourceStream } from "./streams.js";
import { sameRef } from "./transitions.js";
import { watchedFrom } from "./watch.js";

export interface OpeningContext {
  readonly store: CheckpointStore;
  readonly log: Log;
  readonly plan: Plan;
  readonly library: string;
  /** The physical name of a logical stream. */
  readonly bindStream: (logical: string) => string;
}

/**
 * K2: the stages of the plan. Its sources are read by no more tasks than there are shards to read. Where the shards allow it,
 * operators that are keyed as the source is partitioned run in the tasks that read it.
 */
function stagesOf(plan: Plan, shards: ShardTable): GenerationRecord["stages"] {
  const readers = Math.min(plan.settings.parallelism, openShardsOf(plan, shards));
  const spared = sparedBy(plan, shards, Math.max(1, readers));
  return cutStages(plan, spared).stages.map(({ name, tasks, operators, sources }) => ({
    name,
    tasks: sources.length === 0 ? tasks : Math.max(1, Math.min(tasks, openShardsOf(plan, shards))),
    operators,
  }));
}

/** Of all sources: one stage reads them. */
const openShardsOf = ({ sources }: Plan, shards: ShardTable): number =>
  [...sources.keys()].reduce((sum, source) => sum + openShards(shards, source).length, 0);

/**
 * The record of the next generation. What is wrong with the restore is found here, before the opening, so that it fences nothing.
 *
 * @throws StreamError `invalid`: state of an unknown operator (P2), frames on the way to one (E4), output for an unknown sink (C2), a stream that is absent or was made anew, a position
 *   past its retention (P1), a checkpoint that is no longer kept (G3), a head that was lost (R7), a sink that does not allow its mode (W2); `corrupt`: P3, frames that are gone (P1)
 */
export async function prepareRecord(
  context: OpeningContext,
  head: Head | null,
  previous: GenerationRecord | null,
  desired: Desired,
  opening: {
    readonly reason: GenerationRecord["reason"];
    readonly origin: CheckpointRef | null;
    readonly incarnation: string;
  },
): Promise<GenerationRecord> {
  const { plan, store } = context;
  const { origin, incarnation } = opening;
  const sinks = modesAfter(plan, previous, desired);
  if (head === null) await checkNeverRan(store);
  if (head !== null && origin !== null) await checkRestorable(store, head, origin);
  const manifest = origin === null ? null : await readManifest(store, incarnation, origin);
  const dropped = droppedState(previous, desired, origin);
  if (manifest !== null) {
    checkState(plan, manifest, dropped);
    await checkPrepared(store, plan, manifest);
    await checkFrames(storedExchange(store), manifest, dropped);
  }
  const readTo = (await watchedFrom(store, origin)) ?? readToBefore(previous, origin);
  const restored = readFurther(manifest?.shards ?? {}, readTo);
  const shards = await resolveStarts(context, previous, restored);
  return {
    format: 1,
    pipeline: store.pipeline,
    incarnation,
    generation: generation((head?.generation ?? 0) + 1),
    reason: opening.reason,
    requestId: desired.request?.id ?? null,
    origin,
    fingerprint: plan.fingerprint,
    functionVersion: desired.code.functionVersion,
    deployment: deploymentOf(desired),
    fallback: fallbackOf(head, previous, desired, opening.reason),
    library: context.library,
    stages: stagesOf(plan, { ...shards, ...restored }),
    shards,
    readTo,
    dropped,
    sinks,
    ...(previous?.forkOf === undefined ? {} : { forkOf: previous.forkOf }),
  };
}

/** P2: by the index of the snapshots, and by the names of edges, which are those of operators (E4), before anything is fenced. */
export function checkState(plan: Plan, manifest: Manifest, dropped: readonly string[]): void {
  const operators = knownStates(plan);
  try {
    for (const ack of manifest.tasks) checkOperators(operators, ack.snapshot, dropped);
    checkEdges(
      operators.map(({ operator }) => operator),
      manifest,
      dropped,
    );
  } catch (cause) {
    const { kind, message } = asStreamError(cause);
    throw new StreamError(kind, `pipeline "${plan.graph.name}", checkpoint ${manifest.checkpointId}: ${message}`, {
      cause,
    });
  }
}

function checkEdges(operators: readonly string[], manifest: Manifest, dropped: readonly string[]): void {
  for (const { edge } of closedRanges(manifest)) {
    if (operators.includes(edge) || dropped.includes(edge)) continue;
    throw new StreamError(
      "invalid",
      `the checkpoint holds records on their way to operator "${edge}", which the plan has not; put the operator back under that name, or start under another pipeline name`,
    );
  }
}

/** What the user dropped stays out of later restores of the same checkpoint; what is made since is in later ones (P2). */
function droppedState(
  previous: GenerationRecord | null,
  desired: Desired,
  origin: CheckpointRef | null,
): readonly string[] {
  const asked = desired.request !== null && desired.request.id !== previous?.requestId ? desired.request.dropped : [];
  return sameRef(previous?.origin ?? null, origin) ? [...new Set([...asked, ...(previous?.dropped ?? [])])] : asked;
}

/** N3: the generation before may have been opened from the same checkpoint, and have failed before its own first one. */
export const readToBefore = (previous: GenerationRecord | null, origin: CheckpointRef | null): ReadTimes | null =>
  previous !== null && sameRef(previous.origin, origin) ? (previous.readTo ?? null) : null;

/** P0: a source that no checkpoint knows starts where it says; once resolved, later generations copy it. */
export async function resolveStarts(
  context: OpeningContext,
  previous: GenerationRecord | null,
  restored: ShardTable,
): Promise<ShardTable | null> {
  const tables: Record<string, SourceTable> = {};
  for (const [name, source] of context.plan.sources) {
    const stream = await describeStream(context, name, source);
    const known = restored[name] ?? previous?.shards?.[name];
    if (known !== undefined) checkSameStream(known, stream);
    const isResolved = restored[name] !== undefined || isStart(known, source, stream);
    if (known !== undefined && isResolved) await checkPositions(context, known, stream);
    if (restored[name] !== undefined) continue;
    tables[name] = known !== undefined && isResolved ? known : await resolveStart(context, source, stream);
  }
  return Object.keys(tables).length === 0 ? null : tables;
}

/** P1: what may be gone is found before anything is fenced. */
async function checkPositions(context: OpeningContext, known: SourceTable, stream: SourceStream): Promise<void> {
  const loss = lossAfterEnd(known, stream) ?? (await lossAtPositions(context, known, stream));
  if (loss !== null) throw loss;
}

/** Before a stream was made it had no records: an earlier start is its beginning, and nothing before it can be missing (P1). */
const startIn = (stream: SourceStream, start: "horizon" | Millis): "horizon" | Millis =>
  start === "horizon" ? start : millis(Math.max(start, stream.createdAt));

/** Resolved once, and copied (P0), unless the pipeline now says another start, and there is no checkpoint. */
function isStart(known: SourceTable | undefined, source: Source<unknown>, stream: SourceStream): boolean {
  const { start } = source.config;
  if (known === undefined) return false;
  return start === "latest" ? known.start !== "horizon" : known.start === startIn(stream, start);
}

/** LATEST becomes the server's time before the shards are listed, so that a split between the two loses nothing. */
async function resolveStart(
  context: OpeningContext,
  source: Source<unknown>,
  stream: SourceStream,
): Promise<SourceTable> {
  const { start } = source.config;
  const resolved = start === "latest" ? stream.serverNow : startIn(stream, start);
  const name = context.bindStream(source.config.stream);
  const listed = await repeat(context.store.clock, () => context.log.shards(name));
  // A stream that is there has shards: a table without any would never have one.
  if (listed.length === 0)
    throw new StreamError("transient", `stream "${name}" lists no shards yet: is it still being made? Try again`);
  return firstTable({ streamArn: stream.arn, createdAt: stream.createdAt, start: resolved }, listed);
}
