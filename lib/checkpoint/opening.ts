import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Desired, GenerationRecord, Head } from "../model/head.js";
import { generation, type Millis, millis } from "../model/ids.js";
import type { ShardTable, SourceTable } from "../model/shards.js";
import { hasState, type Plan } from "../pipeline/plan.js";
import type { Source } from "../pipeline/source.js";
import type { Log } from "../ports/log.js";
import { checkOperators } from "../state/snapshot-reader.js";
import { repeat } from "./repeat.js";
import { childless, firstTable } from "./shard-table.js";
import { type CheckpointStore, readManifest } from "./store.js";
import { sameRef } from "./transitions.js";

export interface OpeningContext {
  readonly store: CheckpointStore;
  readonly log: Log;
  readonly plan: Plan;
  readonly library: string;
  /** The physical name of a logical stream. */
  readonly bindStream: (logical: string) => string;
}

/** The names of what a stage runs: operators that have state, and its sinks. */
export function operatorsOf(plan: Plan): readonly string[] {
  return plan.graph.nodes.filter(hasState).map((node) => node.name);
}

/**
 * The record of the next generation. What is wrong with the restore is found here, before the opening, so that it fences nothing.
 *
 * @throws StreamError `invalid`: state of an unknown operator (P2), a stream that is absent or was made anew; `corrupt`: P3
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
  const manifest = origin === null ? null : await readManifest(store, incarnation, origin);
  const dropped = droppedState(previous, desired, origin);
  if (manifest !== null) checkState(plan, manifest, dropped);
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
    library: context.library,
    stages: [{ name: "main", tasks: plan.settings.parallelism, operators: operatorsOf(plan) }],
    shards: await resolveStarts(context, previous, manifest),
    dropped,
    sinks: desired.request?.sinks ?? previous?.sinks ?? {},
  };
}

/** P2: by the index of the snapshots, before anything is fenced. */
function checkState(plan: Plan, manifest: Manifest, dropped: readonly string[]): void {
  const operators = plan.graph.nodes
    .filter(hasState)
    .map((node) => ({ operator: node.name, stateVersion: node.version }));
  try {
    for (const ack of manifest.tasks) checkOperators(operators, ack.snapshot, dropped);
  } catch (cause) {
    const { kind, message } = asStreamError(cause);
    throw new StreamError(kind, `pipeline "${plan.graph.name}", checkpoint ${manifest.checkpointId}: ${message}`, {
      cause,
    });
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

/** P0: a source that no checkpoint knows starts where it says; once resolved, later generations copy it. */
async function resolveStarts(
  context: OpeningContext,
  previous: GenerationRecord | null,
  manifest: Manifest | null,
): Promise<ShardTable | null> {
  const tables: Record<string, SourceTable> = {};
  for (const [name, source] of context.plan.sources) {
    const stream = await describeStream(context, name, source);
    const known = manifest?.shards[name] ?? previous?.shards?.[name];
    if (known !== undefined) {
      checkSameStream(name, known, stream);
      checkFinished(name, known, stream);
    }
    if (manifest?.shards[name] !== undefined) continue;
    tables[name] = isStart(known, source, stream) ? known : await resolveStart(context, source, stream);
  }
  return Object.keys(tables).length === 0 ? null : tables;
}

type FoundStream = Extract<Awaited<ReturnType<Log["describe"]>>, { readonly kind: "found" }>;

async function describeStream(context: OpeningContext, name: string, source: Source<unknown>): Promise<FoundStream> {
  const stream = context.bindStream(source.config.stream);
  const found = await repeat(context.store.clock, () => context.log.describe(stream));
  if (found.kind === "found") return found;
  throw new StreamError(
    "invalid",
    `source "${name}": there is no stream "${stream}"; create it, or bind "${source.config.stream}" to another name`,
  );
}

function checkSameStream(name: string, known: SourceTable, stream: FoundStream): void {
  if (known.streamArn === stream.arn && known.createdAt === stream.createdAt) return;
  throw new StreamError(
    "invalid",
    `source "${name}": the stream ${stream.arn} is not the one that the checkpoint has positions in (made ${new Date(known.createdAt).toISOString()}, this one ${new Date(stream.createdAt).toISOString()}): its sequence numbers mean nothing here; bind the old stream, or start under another pipeline name`,
  );
}

/** P1: what follows the end of a shard is in its children; where none is in yet, the end's readTo says whether it is all there. */
function checkFinished(name: string, known: SourceTable, stream: FoundStream): void {
  for (const { shardId, at } of childless(known)) {
    if (at.kind !== "finished" || at.readTo + stream.retentionMillis >= stream.serverNow) continue;
    throw new StreamError(
      "invalid",
      `source "${name}", shard ${shardId}: it was read to its end, and what followed it is past the retention of ${stream.retentionMillis / 3_600_000} h of ${stream.arn} (read up to ${new Date(at.readTo).toISOString()}, it is ${new Date(stream.serverNow).toISOString()}): records may be gone (P1)`,
    );
  }
}

/** Before a stream was made it had no records: an earlier start is its beginning, and nothing before it can be missing (P1). */
const startIn = (stream: FoundStream, start: "horizon" | Millis): "horizon" | Millis =>
  start === "horizon" ? start : millis(Math.max(start, stream.createdAt));

/** Resolved once, and copied (P0), unless the pipeline now says another start, and there is no checkpoint. */
function isStart(known: SourceTable | undefined, source: Source<unknown>, stream: FoundStream): known is SourceTable {
  const { start } = source.config;
  if (known === undefined) return false;
  return start === "latest" ? known.start !== "horizon" : known.start === startIn(stream, start);
}

/** LATEST becomes the server's time before the shards are listed, so that a split between the two loses nothing. */
async function resolveStart(
  context: OpeningContext,
  source: Source<unknown>,
  stream: FoundStream,
): Promise<SourceTable> {
  const { start } = source.config;
  const resolved = start === "latest" ? stream.serverNow : startIn(stream, start);
  const name = context.bindStream(source.config.stream);
  const listed = await repeat(context.store.clock, () => context.log.shards(name));
  return firstTable({ streamArn: stream.arn, createdAt: stream.createdAt, start: resolved }, listed);
}
