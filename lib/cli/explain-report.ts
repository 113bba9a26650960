import type { Ack, CheckpointRef, Manifest } from "../model/checkpoints.js";
import { filesOf } from "../state/known-state.js";
import { priceOf } from "./prices.js";

/** What the acks of a checkpoint say of it, and nothing that they do not. Durations in milliseconds, times as ISO 8601. */
export interface Explained {
  readonly pipeline: string;
  readonly checkpoint: number;
  readonly generation: number;
  readonly alignment: string;
  readonly andThen: string;
  readonly written: boolean;
  readonly triggeredAt: string;
  /** From the trigger to the last ack: null of a savepoint that a person wrote. */
  readonly durationMillis: number | null;
  /** The task that acked last; null where there is one, or no task. */
  readonly slowest: string | null;
  readonly bytes: number;
  readonly tasks: readonly ExplainedTask[];
  /** List price of the requests of all tasks together. */
  readonly dollars: number;
  /** Calls whose price is not known by their number. */
  readonly unpriced: readonly string[];
}

export interface ExplainedTask {
  readonly task: string;
  readonly session: string;
  /** From the trigger to the cut: until it looked, and, aligned, took what was on its way. */
  readonly waitedMillis: number;
  /** From the cut to the ack: state encoded, state and output stored. */
  readonly storedMillis: number;
  readonly ackedAt: string;
  readonly snapshot: "base" | "delta" | "unchanged";
  readonly stateBytes: number;
  readonly outputBytes: number;
  /** Keys that were written, removals among them. */
  readonly keys: number;
  readonly deltas: number;
  /** Since the ack before, of the same session; null where that is not known. */
  readonly records: number | null;
  /** By port and method, since the ack before of the same session, else since the session began. */
  readonly requests: Readonly<Record<string, number>>;
  readonly requestsSince: "the checkpoint before" | "the session began";
  readonly dollars: number;
  readonly shards: readonly ExplainedShard[];
}

export interface ExplainedShard {
  readonly source: string;
  readonly shard: string;
  /** How far behind the stream its position was at the cut, at most; null where that is not known. */
  readonly behindMillis: number | null;
}

export function explain(ref: CheckpointRef, manifest: Manifest, previous: Manifest | null): Explained {
  const tasks = manifest.tasks.map((ack) => explainTask(manifest, ack, ackBefore(previous, manifest, ack)));
  const last = manifest.tasks.toSorted((a, b) => b.figures.ackedAt - a.figures.ackedAt)[0];
  const prices = tasks.map(({ requests }) => priceOf(requests));
  const isWritten = manifest.written !== undefined;
  return {
    pipeline: manifest.pipeline,
    checkpoint: ref.checkpointId,
    generation: ref.generation,
    alignment: manifest.alignment,
    andThen: manifest.andThen,
    written: isWritten,
    triggeredAt: new Date(manifest.triggeredAt).toISOString(),
    durationMillis: isWritten || last === undefined ? null : Math.max(0, last.figures.ackedAt - manifest.triggeredAt),
    slowest: isWritten || manifest.tasks.length === 1 ? null : (last?.task ?? null),
    bytes: tasks.reduce((sum, { stateBytes, outputBytes }) => sum + stateBytes + outputBytes, 0),
    tasks,
    dollars: prices.reduce((sum, { dollars }) => sum + dollars, 0),
    unpriced: [...new Set(prices.flatMap(({ unpriced }) => unpriced))].sort(),
  };
}

const ackBefore = (previous: Manifest | null, { generation }: Manifest, { task, session }: Ack): Ack | null =>
  (previous?.generation === generation ? previous.tasks : []).find(
    (ack) => ack.task === task && ack.session === session,
  ) ?? null;

function explainTask({ triggeredAt, checkpointId, shards }: Manifest, ack: Ack, before: Ack | null): ExplainedTask {
  const { figures, snapshot } = ack;
  const file = filesOf(snapshot).find(({ epoch }) => epoch === checkpointId);
  const stateBytes = file?.body.size ?? 0;
  const requests = requestsSince(figures.requests, before?.figures.requests ?? {});
  return {
    task: ack.task,
    session: ack.session,
    waitedMillis: Math.max(0, figures.cutAt - triggeredAt),
    storedMillis: Math.max(0, figures.ackedAt - figures.cutAt),
    ackedAt: new Date(figures.ackedAt).toISOString(),
    snapshot: file === undefined ? "unchanged" : file === snapshot.base ? "base" : "delta",
    stateBytes,
    outputBytes: Math.max(0, figures.bytes - stateBytes),
    keys: file?.slices.reduce((sum, { keys }) => sum + keys, 0) ?? 0,
    deltas: snapshot.deltas.length,
    records: before === null ? null : figures.recordsIn - before.figures.recordsIn,
    requests,
    requestsSince: before === null ? "the session began" : "the checkpoint before",
    dollars: priceOf(requests).dollars,
    shards: Object.entries(ack.positions).flatMap(([source, entries]) =>
      entries.map(({ shardId, at }) => ({
        source,
        shard: shardId,
        behindMillis: behindOf(shards[source]?.shards.find((one) => one.shardId === shardId)?.at ?? at, figures.cutAt),
      })),
    ),
  };
}

function requestsSince(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const counts = Object.entries(now).map(([call, count]) => [call, count - (before[call] ?? 0)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** A file has no times, and what was never read none of its own. */
function behindOf(at: Ack["positions"][string][number]["at"], cutAt: number): number | null {
  if (at.kind === "finished" || at.position.readTo === null || at.position.readTo === 0) return null;
  return Math.max(0, cutAt - at.position.readTo);
}
