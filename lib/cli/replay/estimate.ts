import { tasksOf } from "../../checkpoint/fold.js";
import { type CheckpointSummary, listCheckpoints } from "../../checkpoint/history.js";
import { readGenerationRecord, readManifest } from "../../checkpoint/store.js";
import { describeStream } from "../../checkpoint/streams.js";
import { readTaskFacts } from "../../checkpoint/task-facts.js";
import { awsWorld } from "../../compose.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import { formatMillis } from "../../model/duration.js";
import type { Head } from "../../model/head.js";
import type { Plan } from "../../pipeline/plan.js";
import { modeOf, type SinkModes } from "../../pipeline/sink-modes.js";
import type { OpenedStore } from "../checkpoints.js";

/** What a replay would do, as far as it can be told before. Durations in milliseconds. */
export interface Estimate {
  /** That were processed since the checkpoint; those that nobody has read yet come on top. */
  readonly records: number;
  /** How long the stream keeps the oldest that is read again. Null: it keeps them, or does not say. */
  readonly keptMillis: number | null;
  /** At the highest rate between two checkpoints that are kept; null where there are not two. */
  readonly durationMillis: number | null;
  /** Dollars: what functions and writes to DynamoDB cost more. Null where it runs on this machine, or cannot be told. */
  readonly dollars: number | null;
}

export async function estimate(
  opened: OpenedStore,
  head: Head,
  origin: CheckpointRef,
  modes: SinkModes,
): Promise<Estimate> {
  const { store, plan, target } = opened;
  const manifest = await readManifest(store, head.incarnation, origin);
  const all = await listCheckpoints(store, head);
  const before = recordsOf(manifest, "recordsIn");
  const newest = Math.max(await recordsNow(opened, head), ...all.map(({ records }) => records));
  const records = Math.max(0, newest - before);
  const rate = highestRate(all);
  const durationMillis = rate === null ? null : Math.ceil(records / rate);
  const tasks = manifest.tasks.length;
  const rows = before === 0 ? records : (records * recordsOf(manifest, "recordsOut")) / before;
  const dollars =
    target.local || durationMillis === null
      ? null
      : functionDollars(durationMillis * tasks) + writeDollars(plan, modes, rows);
  return { records, keptMillis: await keptMillis(opened, manifest), durationMillis, dollars };
}

const recordsOf = ({ tasks }: Manifest, what: "recordsIn" | "recordsOut"): number =>
  tasks.reduce((sum, { figures }) => sum + figures[what], 0);

/** By what the tasks tell, which is newer than their last checkpoint. */
async function recordsNow({ store }: OpenedStore, head: Head): Promise<number> {
  const record = await readGenerationRecord(store, head);
  const { progress } = await readTaskFacts(store, head.incarnation, head.generation, tasksOf(record));
  return [...progress.values()].reduce((sum, { records }) => sum + records, 0);
}

/** Records a millisecond. What a pipeline has had to do it can; how much more nobody knows. */
export function highestRate(all: readonly Pick<CheckpointSummary, "triggeredAt" | "records">[]): number | null {
  const sorted = all
    .map(({ triggeredAt, records }) => ({ at: Date.parse(triggeredAt), records }))
    .sort((a, b) => a.at - b.at);
  const rates = sorted.flatMap(({ at, records }, index) => {
    const next = sorted[index + 1];
    return next === undefined || next.at <= at || next.records <= records
      ? []
      : [(next.records - records) / (next.at - at)];
  });
  return rates.length === 0 ? null : Math.max(...rates);
}

/** P1: of all sources, by the times up to which they had been read. */
async function keptMillis(opened: OpenedStore, { shards }: Manifest): Promise<number | null> {
  const { store, plan, target } = opened;
  const { log } = awsWorld(target.environment, target.clients);
  const kept: number[] = [];
  for (const [name, source] of plan.sources) {
    const table = shards[name];
    if (table === undefined) continue;
    const stream = await describeStream({ log, store, bindStream: target.bindings.stream }, name, source);
    if (stream.isFile) continue;
    for (const { at } of table.shards) {
      const readTo = at.kind === "open" ? at.position.readTo : null;
      if (readTo !== null) kept.push(readTo + stream.retentionMillis - stream.serverNow);
    }
  }
  return kept.length === 0 ? null : Math.min(...kept);
}

/** List prices in us-east-1: a GB-second on arm64, and a write to a table on demand. */
const gigabyteSecondDollars = 0.0000133334;
const tableWriteDollars = 0.625e-6;
/** The construct's default. */
const gigabytes = 1;

const functionDollars = (taskMillis: number): number => (taskMillis / 1_000) * gigabytes * gigabyteSecondDollars;

/** Each row as one write: of a key that comes again within a checkpoint only the last is. */
function writeDollars(plan: Plan, modes: SinkModes, rows: number): number {
  const sinks = [...plan.sinks].filter(
    ([name, { kind }]) => kind.startsWith("dynamo-") && modeOf(modes, name).kind !== "dry-run",
  );
  return sinks.length === 0 ? 0 : rows * tableWriteDollars;
}

/** One line for each figure. */
export function estimateLines({ records, keptMillis: kept, durationMillis, dollars }: Estimate): readonly string[] {
  const count = records.toLocaleString("en-US");
  return [
    `records        about ${count} that were processed since, and what has come that nobody has read yet`,
    kept === null
      ? "kept           the sources keep them, or do not say how long"
      : `kept           the stream keeps the oldest of them for another ${formatMillis(Math.max(0, kept))}`,
    durationMillis === null
      ? "takes          nobody can tell: there are no two checkpoints with records between them"
      : `takes          at most about ${formatMillis(durationMillis)}, at the highest rate that it has had`,
    dollars === null
      ? "costs          nothing on this machine; on AWS what functions and writes cost for that time"
      : `costs          at most about $${dollars.toFixed(2)} (functions of 1 GB, a write for each row; us-east-1)`,
  ];
}
