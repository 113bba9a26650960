import type { Ack, Range } from "../model/checkpoints.js";
import type { GenerationRecord, Head } from "../model/head.js";
import type { Generation } from "../model/ids.js";
import { tasksOf } from "./fold.js";
import type { Complete } from "./history.js";
import type { FrameName } from "./names.js";

// G1, G2 for frames and their notes. Two kinds of readers ask for frames, and both say in ranges what they will ask for (E2):
// - a restore from a checkpoint: its ranges, the open ones up to what their producers had sent at their cut (E3). What a producer sent
//   afterwards is never looked at.
// - a session that runs: it has taken no more than its next ack will say, and no less than its latest one says, so all from there on.
// So of a generation that is over goes what nobody names. Of the current one goes what, besides, lies below all that its own tasks
// expect: a lane is read by several tasks, each at its own pace, and one that has not acked yet has taken nothing for good.

/** Frames from `from` to `to`, both of them too; `to` may be infinite. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

type LaneAt = Pick<Range, "generation" | "edge" | "producer">;

/** Frames by lane. */
export type LaneSpans = ReadonlyMap<string, readonly Span[]>;

export const laneId = ({ generation, edge, producer }: LaneAt): string => `${generation}/${edge}/${producer}`;

/**
 * E3: every frame that a restorable checkpoint, or an ack that counts, names. An ack's open ranges have no end. Nor has an open range
 * that its manifest does not close: no checkpoint has one, and what is not understood is kept.
 */
export function namedFrames(restorable: readonly Complete[], counting: readonly Ack[]): LaneSpans {
  const all = new Map<string, Span[]>();
  const add = (range: Range, to: number) => {
    const lane = laneId(range);
    const spans = all.get(lane);
    if (spans === undefined) all.set(lane, [{ from: range.from, to }]);
    else spans.push({ from: range.from, to });
  };
  for (const { manifest } of restorable) {
    for (const range of manifest.tasks.flatMap(({ expected }) => expected)) {
      const producer = range.generation === manifest.generation ? manifest.tasks[range.producer] : undefined;
      const end = producer === undefined ? Number.POSITIVE_INFINITY : (producer.sent[range.edge] ?? 0);
      add(range, range.to ?? end);
    }
  }
  for (const range of counting.flatMap(({ expected }) => expected)) add(range, range.to ?? Number.POSITIVE_INFINITY);
  return new Map([...all].map(([lane, spans]) => [lane, joinSpans(spans)]));
}

/** A lane of the current generation: the first frame that some task of it may still ask for. */
export interface Frontier {
  readonly edge: string;
  readonly producer: number;
  readonly first: number;
}

/**
 * G2: how far the lanes of the current generation were taken for good. Empty where not every task has acked in it, or none of its
 * checkpoints is complete: the next one that fails is restored from where it began.
 *
 * @param record of the head; null where it was not found
 */
export function frontiersOf(
  head: Pick<Head, "generation" | "completed">,
  record: Pick<GenerationRecord, "stages"> | null,
  counting: readonly Ack[],
): ReadonlyMap<string, Frontier> {
  const own = counting.filter(({ generation }) => generation === head.generation);
  const acked = new Set(own.map(({ task }) => task));
  const isReady = record !== null && tasksOf(record).every((task) => acked.has(task));
  if (!isReady || head.completed?.generation !== head.generation) return new Map();
  const frontiers = new Map<string, Frontier>();
  for (const range of own.flatMap(({ expected }) => expected)) {
    if (range.generation !== head.generation) continue;
    const { edge, producer, from } = range;
    const lane = laneId(range);
    frontiers.set(lane, { edge, producer, first: Math.min(frontiers.get(lane)?.first ?? from, from) });
  }
  return frontiers;
}

/** What decides about frames. */
export interface FrameFacts {
  readonly named: LaneSpans;
  readonly frontiers: ReadonlyMap<string, Frontier>;
}

/** Whether nobody will ask for it any more. */
export function frameGoes(
  frame: FrameName,
  { named, frontiers }: FrameFacts,
  of: { readonly current: Generation; readonly isLiving: (generation: Generation) => boolean },
): boolean {
  const lane = laneId(frame);
  if (isWithin(frame.n, named.get(lane) ?? [])) return false;
  if (frame.generation === of.current) return frame.n < (frontiers.get(lane)?.first ?? 0);
  return !of.isLiving(frame.generation);
}

/** Ascending and disjoint: what several spans hold together. Empty ones are left out. */
export function joinSpans(spans: readonly Span[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of spans.filter(({ from, to }) => from <= to).sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last === undefined || last.to + 1 < span.from) joined.push(span);
    else if (last.to < span.to) joined[joined.length - 1] = { from: last.from, to: span.to };
  }
  return joined;
}

const isWithin = (n: number, spans: readonly Span[]): boolean => spans.some(({ from, to }) => from <= n && n <= to);
