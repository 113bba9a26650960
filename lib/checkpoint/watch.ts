import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { ReadTimes } from "../model/head.js";
import type { Millis } from "../model/ids.js";
import type { ShardEntry, SourceTable } from "../model/shards.js";
import type { Plan } from "../pipeline/plan.js";
import type { Peek } from "./peek.js";
import { repeat } from "./repeat.js";
import { readFurther } from "./retention.js";
import { foldShards, needsListing } from "./shard-table.js";
import { type CheckpointStore, readWatch, swapWatch } from "./store.js";
import {
  checkSameStream,
  describeStream,
  lossAfterEnd,
  peekAt,
  type SourceStream,
  type StreamContext,
} from "./streams.js";
import { sameRef } from "./transitions.js";

// N3. A look at a sleeping pipeline reads behind each of its positions once, and takes nothing. What it learns of quiet shards it
// leaves in the `watch` register: else a sleep longer than the retention could not be told from records that were lost.

/** What a look found, and of which checkpoint's positions. */
export interface Look {
  readonly checkpoint: CheckpointRef;
  readonly found: Finding;
}

export type Finding =
  | { readonly kind: "quiet" }
  | { readonly kind: "news" }
  /** P1: the pipeline fails with this message. */
  | { readonly kind: "lost"; readonly message: string };

export interface WatchContext extends StreamContext {
  readonly store: CheckpointStore;
  readonly plan: Plan;
}

/** Shards that are read at a time. */
const readsAtOnce = 20;
/** The register is written again when a time in it is behind by this part of the retention. */
const staleParts = 100;

/** One look at the positions of a complete checkpoint. What passes tells nothing: the next look tries again. */
export async function lookAtShards(
  context: WatchContext,
  checkpoint: CheckpointRef,
  manifest: Manifest,
): Promise<Look> {
  const before = await readWatch(context.store);
  const known = before !== null && sameRef(before.value.checkpoint, checkpoint) ? before.value.readTo : {};
  const table = readFurther(manifest.shards, known);
  const looks: SourceLook[] = [];
  for (const [name, source] of context.plan.sources) {
    const entries = table[name];
    if (entries === undefined) continue;
    looks.push(
      await lookAtSource(context, entries, () => describeStream(context, name, source)).catch((error) =>
        orLost(name, error),
      ),
    );
  }
  const readTo = Object.fromEntries(looks.map((look) => [look.name, { ...known[look.name], ...look.readTo }]));
  if (looks.some((look) => isWorthIt(look, known[look.name] ?? {})))
    await swapWatch(context.store, before?.version ?? null, { format: 1, checkpoint, readTo }).catch(orNothing);
  // Bounded input that is over: nothing comes any more, and only an awake pipeline finishes.
  const isOver = looks.length > 0 && looks.every((look) => look.isOver);
  return { checkpoint, found: worst([...looks, ...(isOver ? [{ found: news }] : [])]) };
}

interface SourceLook {
  readonly name: string;
  readonly retentionMillis: number;
  readonly readTo: Readonly<Record<string, Millis>>;
  readonly found: Finding;
  /** All its input lies in the past. */
  readonly isOver: boolean;
}

const quiet: Finding = { kind: "quiet" };
const news: Finding = { kind: "news" };

async function lookAtSource(
  context: WatchContext,
  table: SourceTable,
  describe: () => Promise<SourceStream>,
): Promise<SourceLook> {
  const stream = await describe();
  checkSameStream(table, stream);
  const isOver = stream.isFile || (stream.end !== null && stream.serverNow >= stream.end);
  const look = { name: stream.name, retentionMillis: stream.retentionMillis, readTo: {}, isOver };
  const gone = lossAfterEnd(table, stream);
  if (gone !== null) return { ...look, found: lost(gone) };
  const readTo: Record<string, Millis> = {};
  const found: Finding[] = [];
  // What wakes the pipeline once need not be found twice.
  for (let from = 0; from < table.shards.length && !found.includes(news); from += readsAtOnce) {
    const part = table.shards.slice(from, from + readsAtOnce);
    const peeks = await Promise.all(part.map((entry) => peekAt(context, stream, entry)));
    peeks.forEach((one, index) => {
      const entry = part[index];
      if (one.kind === "quiet" && entry !== undefined && mayKeep(entry)) readTo[entry.shardId] = one.serverNow;
      found.push(findingOf(one));
    });
  }
  if (await mayEnter(context, table, stream)) found.push(news);
  return { ...look, readTo, found: worst(found.map((one) => ({ found: one }))) };
}

/** P0: the horizon promises nothing, so that there is nothing to keep. */
const mayKeep = (entry: ShardEntry): boolean => entry.at.kind === "open" && entry.at.position.readTo !== null;

function findingOf(one: Peek): Finding {
  if (one.kind === "lost") return lost(one.error);
  return one.kind === "news" ? news : quiet;
}

const lost = (error: StreamError): Finding => ({ kind: "lost", message: error.message });

/** K3: only an awake pipeline lets a child in, so a child that may enter wakes it. */
async function mayEnter(context: WatchContext, table: SourceTable, stream: SourceStream): Promise<boolean> {
  const { name } = stream;
  if (stream.isFile || !needsListing(table, [], name)) return false;
  const listed = await repeat(context.store.clock, () => context.log.shards(stream.stream));
  const before = new Set(table.shards.map((entry) => entry.shardId));
  const after = foldShards({ [name]: table }, [], { [name]: listed })[name]?.shards ?? [];
  return after.some((entry) => !before.has(entry.shardId));
}

/** What a person must mend is the pipeline's failure; what passes is the next look's. */
function orLost(name: string, error: unknown): SourceLook {
  const { kind, message } = asStreamError(error);
  if (kind !== "invalid" && kind !== "transient" && kind !== "ambiguous") throw error;
  const found: Finding = kind === "invalid" ? { kind: "lost", message } : quiet;
  return { name, retentionMillis: 0, readTo: {}, found, isOver: false };
}

const isWorthIt = (look: SourceLook, known: Readonly<Record<string, Millis>>): boolean =>
  Object.entries(look.readTo).some(
    ([shardId, time]) => time - (known[shardId] ?? 0) >= look.retentionMillis / staleParts,
  );

function worst(all: readonly { readonly found: Finding }[]): Finding {
  const found = all.map((one) => one.found);
  return found.find((one) => one.kind === "lost") ?? found.find((one) => one.kind === "news") ?? quiet;
}

/** Advisory: another look writes it again. */
function orNothing(error: unknown): null {
  if (error instanceof StreamError && (error.kind === "transient" || error.kind === "ambiguous")) return null;
  throw error;
}

/** What the opening of a generation from this checkpoint knows of its positions beyond the manifest. */
export async function watchedFrom(store: CheckpointStore, checkpoint: CheckpointRef | null): Promise<ReadTimes | null> {
  if (checkpoint === null) return null;
  const watch = await readWatch(store);
  return watch !== null && sameRef(watch.value.checkpoint, checkpoint) ? watch.value.readTo : null;
}
