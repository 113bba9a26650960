import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";
import type { ShardEntry } from "../model/shards.js";
import { type CheckpointStore, readManifest } from "./store.js";

/** A complete checkpoint, for people and machines. Durations in milliseconds, times as ISO 8601. */
export interface CheckpointSummary {
  readonly id: number;
  readonly generation: number;
  /** "savepoint" is kept until deleted; "final" and "stop" end a run. */
  readonly kind: "checkpoint" | "savepoint" | "suspend" | "stop" | "final";
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

/** More than this are not walked through: the oldest are left out. */
export const historyMax = 1_000;

/**
 * R7: complete are those reachable from `head.completed` and from every tip that an opening left, newest first.
 *
 * @throws StreamError `corrupt`: a manifest of the chain is gone or changed (P3)
 */
export async function listCheckpoints(store: CheckpointStore, head: Head): Promise<readonly CheckpointSummary[]> {
  const seen = new Map<string, CheckpointSummary>();
  const tips = [head.completed, ...head.left].filter((tip) => tip !== null);
  for (const tip of tips) await walk(store, head, tip, seen);
  return [...seen.values()].sort((a, b) => b.id - a.id);
}

async function walk(
  store: CheckpointStore,
  head: Head,
  tip: CheckpointRef,
  seen: Map<string, CheckpointSummary>,
): Promise<void> {
  let ref: CheckpointRef | null = tip;
  while (ref !== null && !seen.has(ref.sha256) && ref.checkpointId >= head.floor && seen.size < historyMax) {
    const manifest: Manifest = await readManifest(store, head.incarnation, ref);
    seen.set(ref.sha256, summarize(manifest));
    ref = manifest.previous;
  }
}

const kinds = { continue: "checkpoint", suspend: "suspend", stop: "stop", finish: "final" } as const;

function summarize(manifest: Manifest): CheckpointSummary {
  const completedAt = Math.max(...manifest.tasks.map((ack) => ack.figures.ackedAt));
  const sum = (of: (figures: Manifest["tasks"][number]["figures"]) => number) =>
    manifest.tasks.reduce((total, ack) => total + of(ack.figures), 0);
  return {
    id: manifest.checkpointId,
    generation: manifest.generation,
    kind: manifest.savepoint === null ? kinds[manifest.andThen] : "savepoint",
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
