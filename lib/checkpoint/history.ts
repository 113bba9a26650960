import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import type { ShardEntry } from "../model/shards.js";
import { type CheckpointStore, readManifest } from "./store.js";
import { sameRef } from "./transitions.js";

/** A complete checkpoint, for people and machines. Durations in milliseconds, times as ISO 8601. */
export interface CheckpointSummary {
  readonly id: number;
  readonly generation: number;
  /** "savepoint" is kept until deleted; "final" and "stop" end a run. */
  readonly kind: "checkpoint" | "savepoint" | "suspend" | "stop" | "final";
  /** Of savepoints that it is, oldest first. */
  readonly names: readonly string[];
  readonly triggeredAt: string;
  readonly completedAt: string;
  /** From the trigger to the last ack. */
  readonly durationMillis: number;
  /** Written for this checkpoint: state that changed, and held output. */
  readonly bytes: number;
  /** Records that its state reflects, since the pipeline began. */
  readonly records: number;
  readonly positions: readonly { readonly source: string; readonly shard: string; readonly at: string }[];
}

/** More than this are not listed: the oldest are left out. */
export const historyMax = 1_000;
/** More complete checkpoints than this above the floor are more than any option allows: who collects must not overlook one. */
export const restorableMax = 50_000;

/** A checkpoint that is complete (R7). */
export interface Complete {
  readonly ref: CheckpointRef;
  readonly manifest: Manifest;
}

/** Where manifests are read from: the store, or what was read of it at once. */
export type ManifestReader = (ref: CheckpointRef) => Promise<Manifest>;

export const readerOf =
  (store: CheckpointStore, head: Head): ManifestReader =>
  (ref) =>
    readManifest(store, head.incarnation, ref);

/**
 * The complete checkpoints of a head that may be restored (G1), newest first, and no more than {@link historyMax}.
 *
 * @throws StreamError `corrupt`: a manifest of the chain is gone or changed (P3)
 */
export async function listCheckpoints(store: CheckpointStore, head: Head): Promise<readonly CheckpointSummary[]> {
  const found = await readComplete(readerOf(store, head), head, historyMax);
  return found.map(({ ref, manifest }) => summarize(manifest, namesOf(head, ref)));
}

/**
 * G1: restorable is a complete checkpoint that is at or above the floor, or a savepoint, or `head.completed`. All of them, newest first.
 *
 * @throws StreamError `corrupt` as {@link listCheckpoints}; `bug` where there are more than {@link restorableMax}
 */
export async function readRestorable(read: ManifestReader, head: Head): Promise<readonly Complete[]> {
  const found = await readComplete(read, head, restorableMax);
  if (found.length < restorableMax) return found;
  throw new StreamError("bug", `${restorableMax} checkpoints at or above the floor ${head.floor}: too many to judge`);
}

/** R7: complete are those reachable from `head.completed` and from every tip that an opening left; below the floor only what the head names. */
async function readComplete(read: ManifestReader, head: Head, most: number): Promise<readonly Complete[]> {
  const seen = new Map<string, Complete>();
  const tips = [head.completed, ...head.left].filter((tip) => tip !== null);
  for (const tip of tips) await walk(read, tip, head.floor, { seen, most });
  for (const ref of [...head.savepoints, ...(head.completed === null ? [] : [head.completed])]) {
    if (!seen.has(ref.sha256)) seen.set(ref.sha256, { ref: plainRef(ref), manifest: await read(ref) });
  }
  return [...seen.values()].sort((a, b) => b.ref.checkpointId - a.ref.checkpointId);
}

async function walk(
  read: ManifestReader,
  tip: CheckpointRef,
  floor: number,
  into: { readonly seen: Map<string, Complete>; readonly most: number },
): Promise<void> {
  const { seen, most } = into;
  let ref: CheckpointRef | null = tip;
  while (ref !== null && !seen.has(ref.sha256) && ref.checkpointId >= floor && seen.size < most) {
    const manifest: Manifest = await read(ref);
    seen.set(ref.sha256, { ref, manifest });
    ref = manifest.previous;
  }
}

/** The checkpoint of that id among those that may be restored; null where there is none. Reads no more manifests than the way there has. */
export async function findCheckpoint(store: CheckpointStore, head: Head, id: number): Promise<CheckpointRef | null> {
  const read = readerOf(store, head);
  for (const ref of head.savepoints) if (ref.checkpointId === id) return plainRef(ref);
  for (const tip of [head.completed, ...head.left]) {
    let ref = tip;
    if (ref !== null && ref === head.completed && ref.checkpointId === id) return ref;
    while (ref !== null && ref.checkpointId >= Math.max(head.floor, id)) {
      if (ref.checkpointId === id) return ref;
      ref = (await read(ref)).previous;
    }
  }
  return null;
}

const plainRef = ({ generation, checkpointId, sha256 }: CheckpointRef): CheckpointRef => ({
  generation,
  checkpointId,
  sha256,
});

/**
 * G3: whether a generation may be opened from this checkpoint.
 *
 * @throws StreamError `invalid`, naming the oldest one that can be restored: it is not complete, or below the floor and no savepoint
 */
export async function checkRestorable(store: CheckpointStore, head: Head, ref: CheckpointRef): Promise<void> {
  if (sameRef(head.completed, ref)) return;
  const all = await readRestorable(readerOf(store, head), head);
  if (all.some((one) => sameRef(one.ref, ref))) return;
  const oldest = all.at(-1);
  const there =
    oldest === undefined
      ? "no checkpoint is complete"
      : `the oldest that can be is ${oldest.ref.checkpointId}, and "tidemark checkpoints" lists all`;
  const why = ref.checkpointId < head.floor ? "it is no longer kept, and is no savepoint" : "it is not complete";
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}": checkpoint ${ref.checkpointId} cannot be restored: ${why}; ${there} (G3)`,
  );
}

/** The lineage of `head.completed`, newest first: at most so many, and none below the floor. */
export async function readLineage(read: ManifestReader, head: Head, most: number): Promise<readonly CheckpointRef[]> {
  const found: CheckpointRef[] = [];
  let ref = head.completed;
  while (ref !== null && ref.checkpointId >= head.floor && found.length < most) {
    found.push(ref);
    // The last one is named by the one before: its own manifest need not be read.
    ref = found.length === most ? null : (await read(ref)).previous;
  }
  return found;
}

const kinds = { continue: "checkpoint", suspend: "suspend", stop: "stop", finish: "final" } as const;

/** The head says it, not the manifest: a savepoint that was deleted is one no more, and a pipeline that rests names its last checkpoint. */
const namesOf = (head: Head, ref: CheckpointRef): readonly string[] =>
  head.savepoints.filter((one) => sameRef(one, ref)).map(({ name }) => name);

function summarize(manifest: Manifest, names: readonly string[]): CheckpointSummary {
  const completedAt = Math.max(...manifest.tasks.map((ack) => ack.figures.ackedAt));
  const sum = (of: (figures: Manifest["tasks"][number]["figures"]) => number) =>
    manifest.tasks.reduce((total, ack) => total + of(ack.figures), 0);
  return {
    id: manifest.checkpointId,
    generation: manifest.generation,
    kind: names.length === 0 ? kinds[manifest.andThen] : "savepoint",
    names,
    triggeredAt: new Date(manifest.triggeredAt).toISOString(),
    completedAt: new Date(completedAt).toISOString(),
    durationMillis: Math.max(0, completedAt - manifest.triggeredAt),
    bytes: sum((figures) => figures.bytes),
    records: sum((figures) => figures.recordsIn),
    positions: Object.entries(manifest.shards).flatMap(([source, table]) =>
      table.shards.map((entry) => ({ source, shard: entry.shardId, at: describe(entry.at) })),
    ),
  };
}

function describe(at: ShardEntry["at"]): string {
  if (at.kind === "finished") return "end";
  return at.position.kind === "after" ? at.position.sequenceNumber : at.position.kind;
}
