import { tasksOf } from "../../checkpoint/fold.js";
import { type Complete, readerOf, readRestorable } from "../../checkpoint/history.js";
import { readGenerationRecord, readManifest } from "../../checkpoint/store.js";
import { describeStream } from "../../checkpoint/streams.js";
import { readTaskFacts } from "../../checkpoint/task-facts.js";
import { awsWorld } from "../../compose.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import { formatMillis } from "../../model/duration.js";
import type { Head } from "../../model/head.js";
import { prices } from "../../model/prices.js";
import { modeOf, type SinkModes } from "../../pipeline/sink-modes.js";
import type { OpenedStore } from "../checkpoints.js";
import { explain } from "../explain-report.js";
import { priceOf } from "../prices.js";

/** What a replay would do, as far as it can be told before. Durations in milliseconds. */
export interface Estimate {
  /** That were processed since the checkpoint; those that nobody has read yet come on top. */
  readonly records: number;
  /** How long the stream keeps the oldest that is read again. Null: it keeps them, or does not say. */
  readonly keptMillis: number | null;
  /** At the highest rate between two checkpoints that are kept; null where there are not two. */
  readonly durationMillis: number | null;
  /** As many as the checkpoints that are kept needed for so many records, at most; null where they say nothing of it. */
  readonly requests: number | null;
  /** At list price: those requests, and functions of 1 GB for that time. Null where one of the two is not known. */
  readonly dollars: number | null;
  /** Calls among them whose price is not known by their number. */
  readonly unpriced: readonly string[];
  /** It runs here, where it costs nothing. */
  readonly isLocal: boolean;
}

export async function estimate(
  opened: OpenedStore,
  head: Head,
  origin: CheckpointRef,
  modes: SinkModes,
): Promise<Estimate> {
  const { store, plan, target } = opened;
  const manifest = await readManifest(store, head.incarnation, origin);
  const all = await readRestorable(readerOf(store, head), head);
  const newest = Math.max(await recordsNow(opened, head), ...all.map((one) => recordsOf(one.manifest)));
  const records = Math.max(0, newest - recordsOf(manifest));
  const rate = highestRate(all.map((one) => ({ at: one.manifest.triggeredAt, records: recordsOf(one.manifest) })));
  const durationMillis = rate === null ? null : Math.ceil(records / rate);
  const isDry = [...plan.sinks.keys()].every((name) => modeOf(modes, name).kind === "dry-run");
  const rest = requestsFor(records, all, { isDry });
  const functions = functionDollars((durationMillis ?? 0) * manifest.tasks.length);
  return {
    records,
    keptMillis: await keptMillis(opened, manifest),
    durationMillis,
    requests: rest?.requests ?? null,
    dollars: rest === null || durationMillis === null ? null : functions + rest.dollars,
    unpriced: rest?.unpriced ?? [],
    isLocal: target.local,
  };
}

const recordsOf = ({ tasks }: Manifest): number => tasks.reduce((sum, { figures }) => sum + figures.recordsIn, 0);

/** By what the tasks tell, which is newer than their last checkpoint. */
async function recordsNow({ store }: OpenedStore, head: Head): Promise<number> {
  const record = await readGenerationRecord(store, head);
  const { progress } = await readTaskFacts(store, head.incarnation, head.generation, tasksOf(record));
  return [...progress.values()].reduce((sum, { records }) => sum + records, 0);
}

/** Records a millisecond. What a pipeline has had to do it can; how much more nobody knows. */
export function highestRate(all: readonly { readonly at: number; readonly records: number }[]): number | null {
  const sorted = all.toSorted((a, b) => a.at - b.at);
  const rates = sorted.flatMap(({ at, records }, index) => {
    const next = sorted[index + 1];
    return next === undefined || next.at <= at || next.records <= records
      ? []
      : [(next.records - records) / (next.at - at)];
  });
  return rates.length === 0 ? null : Math.max(...rates);
}

/**
 * What so many records took between checkpoints that are kept. A replay has them faster, so that it needs fewer: fewer looks while
 * it waits, and fewer rows of keys that come again. Without what sinks send where all run dry.
 */
export function requestsFor(records: number, all: readonly Complete[], { isDry }: { readonly isDry: boolean }) {
  const bySha = new Map(all.map(({ ref, manifest }) => [ref.sha256, manifest]));
  const counts: Record<string, number> = {};
  let known = 0;
  for (const { ref, manifest } of all) {
    const previous = manifest.previous === null ? undefined : bySha.get(manifest.previous.sha256);
    const more = previous === undefined ? 0 : recordsOf(manifest) - recordsOf(previous);
    if (previous === undefined || more <= 0) continue;
    known += more;
    for (const { requests } of explain(ref, manifest, previous).tasks)
      for (const [call, count] of Object.entries(requests)) counts[call] = (counts[call] ?? 0) + count;
  }
  if (known === 0) return null;
  const sent = Object.entries(counts).filter(([call]) => !isDry || !sinkCalls.test(call));
  const { dollars, unpriced } = priceOf(Object.fromEntries(sent));
  const share = records / known;
  const requests = Math.ceil(share * sent.reduce((sum, [, count]) => sum + count, 0));
  return { requests, dollars: share * dollars, unpriced };
}

/** Of ports that only sinks write to. */
const sinkCalls = /^(tables|objects|streams)\./;

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

/** The construct's default. */
const gigabytes = 1;

const functionDollars = (taskMillis: number): number => (taskMillis / 1_000) * gigabytes * prices.lambdaArmSecond;

/** One line for each figure. */
export function estimateLines(figures: Estimate): readonly string[] {
  const { records, keptMillis: kept, durationMillis, requests } = figures;
  return [
    `records        about ${n(records)} that were processed since, and what has come that nobody has read yet`,
    kept === null
      ? "kept           the sources keep them, or do not say how long"
      : `kept           the stream keeps the oldest of them for another ${formatMillis(Math.max(0, kept))}`,
    durationMillis === null
      ? "takes          nobody can tell: there are no two checkpoints with records between them"
      : `takes          at most about ${formatMillis(durationMillis)}, at the highest rate that it has had`,
    requests === null
      ? "requests       nobody can tell: no two checkpoints in a row are kept, with records between them"
      : `requests       at most about ${n(requests)}: what so many records took before`,
    `costs          ${costs(figures)}`,
  ];
}

const n = (count: number) => count.toLocaleString("en-US");

function costs({ dollars, unpriced, isLocal }: Estimate): string {
  const here = isLocal ? "nothing on this machine; on AWS " : "";
  if (dollars === null) return `${here}what functions and requests cost for that time`;
  const without = unpriced.length === 0 ? "" : `, without ${unpriced.join(", ")}`;
  return `${here}at most about $${dollars < 0.01 ? dollars.toPrecision(1) : dollars.toFixed(2)} (those requests${without}, and functions of 1 GB; us-east-1)`;
}
