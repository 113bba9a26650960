import type { Head, Lease } from "../model/head.js";
import {
  type CheckpointId,
  checkpointId,
  type Generation,
  type Millis,
  type Sha256,
  type TaskId,
} from "../model/ids.js";
import { type FrameFacts, frameGoes } from "./frames-garbage.js";
import type { Complete } from "./history.js";
import type { FrameName, ItemName, ObjectName } from "./names.js";

// G1, G2: what may go. Everything is judged before anything is deleted, from one reading of the facts with the head first: what may
// go by an older head may go by every newer one, since checkpoints only leave the restorable ones, and never come back to them.

/** What a collection saw of the head, and when: functions that had read an older head are dead a function's life later. */
export interface Seen {
  readonly generation: Generation;
  readonly floor: CheckpointId;
  readonly at: Millis;
}

/** What the last collection left behind. Advisory: where it is gone, or an older one takes its place, collecting takes longer. */
export interface Collected {
  readonly format: 1;
  readonly incarnation: string;
  /** When it was, and what was complete then. */
  readonly at: Millis;
  readonly completed: CheckpointId;
  /** Oldest first. */
  readonly seen: readonly Seen[];
  /** Of the savepoints that there were: what one alone kept goes when it is deleted. */
  readonly savepoints: readonly Sha256[];
  /** It stopped before it was done. */
  readonly more: boolean;
}

/** The longest life of a function, and a minute. Who read a head that long ago reads nothing by it any more. */
export const staleMillis = 16 * 60_000;
/** G1: a session is dead so long after its deadline. */
export const deadlineMarginMillis = 60_000;
/** Heads seen within this of one another count as one. */
export const seenGapMillis = 60_000;

/** So many new checkpoints are waited for, so that collecting is not done for each: a quarter of what is retained. */
export const strideOf = (retained: number): number => Math.ceil(retained / 4);

/** Asked at each call of the supervisor, so it must cost nothing: whether there may be something to collect. */
export function isDue(head: Head, before: Collected | null, retained: number, now: Millis): boolean {
  if (before === null || before.incarnation !== head.incarnation) return head.completed !== null || head.generation > 1;
  if (before.more || mayRise(head, before, retained) || lostSavepoint(head, before)) return true;
  const last = before.seen.at(-1);
  if (last === undefined || (hasMoved(last, head) && isPast(last.at, seenGapMillis, now))) return true;
  return before.seen.some(({ at }) => isPast(at, staleMillis, now) && !isPast(at, staleMillis, before.at));
}

/** At best every id belongs to a complete checkpoint of the lineage. */
function mayRise(head: Head, before: Collected, retained: number): boolean {
  const completed = head.completed?.checkpointId ?? 0;
  return completed - before.completed >= strideOf(retained) && completed - (retained - 1) > head.floor;
}

function lostSavepoint(head: Head, { savepoints = [] }: Partial<Collected>): boolean {
  const kept = new Set(head.savepoints.map(({ sha256 }) => sha256));
  return savepoints.some((one) => !kept.has(one));
}

const hasMoved = (seen: Seen, head: Head): boolean => seen.generation !== head.generation || seen.floor !== head.floor;

/** A time that is to come was noted by a wrong clock. */
const isPast = (at: Millis, length: number, now: Millis): boolean => at > now || at + length <= now;

/** The newest head that all who act by an older one have outlived. */
export function ripest(seen: readonly Seen[], now: Millis): Seen | null {
  return seen.findLast((one) => one.at + staleMillis <= now) ?? null;
}

/** What is known of earlier heads, with this one. */
export function noted(seen: readonly Seen[], head: Head, now: Millis): readonly Seen[] {
  const ripe = ripest(seen, now);
  const kept = seen.filter((one) => one === ripe || (one.at <= now && one.at + staleMillis > now));
  const last = kept.at(-1);
  if (last !== undefined && (!hasMoved(last, head) || last.at + seenGapMillis > now)) return kept;
  return [...kept, { generation: head.generation, floor: head.floor, at: now }];
}

/**
 * G2: the floor is the N-th newest complete checkpoint on the lineage of `head.completed`, never the N-th by number, and is never
 * lowered.
 *
 * @param lineage newest first
 */
export function floorFor(head: Head, lineage: readonly { readonly checkpointId: CheckpointId }[], retained: number) {
  const nth = lineage[retained - 1];
  return checkpointId(Math.max(head.floor, nth?.checkpointId ?? head.floor));
}

/** One reading. */
export interface Stock {
  readonly now: Millis;
  readonly head: Head;
  readonly ripe: Seen | null;
  readonly restorable: readonly Complete[];
  /** Of all generations. */
  readonly leases: readonly Lease[];
  /** Objects that a restorable checkpoint, or an ack that counts, refers to. */
  readonly referenced: ReadonlySet<string>;
  /** Names of items of acks that stay. */
  readonly acks: ReadonlySet<string>;
  /** What those say of the channels between tasks. */
  readonly frames: FrameFacts;
}

/**
 * The order of deletion: the marker first, so that the bucket never calls complete what has lost something; the manifest last (G2, R7).
 * Of a stage objects go before items: so a frame goes before its note, which has its name. Nobody asks for either any more, and a
 * note that is left leads the next call to both, while the part of the bucket where the frames lie is not listed.
 */
export const stages = ["marker", "ack", "part", "generation", "manifest", "copy"] as const;
export type Stage = (typeof stages)[number];

/** Names by stage, in the order of deletion. */
export type Garbage = Readonly<
  Record<Stage, { readonly objects: readonly string[]; readonly items: readonly string[] }>
>;

/** G1: sessions of it may still act: none of its files goes, and what they refer to stays. */
export function mayLive(generation: Generation, stock: Pick<Stock, "now" | "head" | "ripe" | "leases">): boolean {
  if (generation >= stock.head.generation) return true;
  // A lease that is free, failed or done, or that was never taken, has no deadline: then the generation's end must be long past.
  if (stock.ripe === null || stock.ripe.generation <= generation) return true;
  return stock.leases.some(
    ({ generation: of, holder }) =>
      of === generation && holder.kind === "held" && holder.deadline + deadlineMarginMillis > stock.now,
  );
}

/** G2: of the current generation only what is below both. */
export const boundOf = (head: Head): CheckpointId =>
  checkpointId(Math.min(head.floor, head.completed?.checkpointId ?? 0));

/** Beyond this, in the order of names, nothing of the current generation goes, and no later one is there. */
export const isBeyond = (head: Head, at: { readonly generation: Generation; readonly checkpointId: CheckpointId }) =>
  at.generation > head.generation || (at.generation === head.generation && at.checkpointId >= boundOf(head));

/** When in the order of deletion each thing goes; null: it stays. */
export interface Judge {
  object(key: string, name: ObjectName): Stage | null;
  item(key: string, name: ItemName): Stage | null;
}

export function judge(stock: Stock): Judge {
  const { head, referenced } = stock;
  const hashes = new Set<string>(stock.restorable.map(({ ref }) => ref.sha256));
  const ids = new Set(stock.restorable.map(({ ref }) => ref.checkpointId));
  const records = new Set<string>([
    head.generationRecord,
    ...stock.restorable.map(({ manifest }) => manifest.generationRecord),
  ]);
  const living = new Map<Generation, boolean>();
  const isLiving = (of: Generation): boolean => {
    const known = living.get(of) ?? mayLive(of, stock);
    living.set(of, known);
    return known;
  };
  const bound = boundOf(head);
  const mayGo = (at: { readonly generation: Generation; readonly checkpointId: CheckpointId }): boolean =>
    at.generation === head.generation ? at.checkpointId < bound : !isLiving(at.generation);
  /** Who has read an older head may yet ask for the facts that it named. */
  const isForgotten = (id: CheckpointId): boolean => id >= head.floor || (stock.ripe !== null && id < stock.ripe.floor);
  const manifestGoes = (ref: Complete["ref"]): boolean =>
    mayGo(ref) && !hashes.has(ref.sha256) && isForgotten(ref.checkpointId);
  const frameStage = (name: FrameName): Stage | null =>
    frameGoes(name, stock.frames, { current: head.generation, isLiving }) ? "part" : null;
  return {
    object(key, name) {
      switch (name.kind) {
        case "marker":
        // A mark goes with the name of its savepoint; so what is left is of a checkpoint that was to be one, and was aborted.
        case "savepoint":
          return name.checkpointId < head.floor && !ids.has(name.checkpointId) ? "marker" : null;
        case "part": {
          const goes = mayGo(name) && !referenced.has(key) && (!name.isAck || isForgotten(name.checkpointId));
          return goes ? "part" : null;
        }
        case "record":
          return recordGoes(name, records, isLiving) ? "generation" : null;
        case "manifest":
          return manifestGoes(name.ref) && !referenced.has(key) ? "copy" : null;
        case "frame":
          return frameStage(name);
      }
    },
    item(key, name) {
      switch (name.kind) {
        case "ack":
          return mayGo(name) && !stock.acks.has(key) && isForgotten(name.checkpointId) ? "ack" : null;
        case "lease":
        case "progress":
        case "news":
          return isLiving(name.generation) ? null : "generation";
        case "record":
          return recordGoes(name, records, isLiving) ? "generation" : null;
        case "manifest":
          return manifestGoes(name.ref) ? "manifest" : null;
        case "note":
          return frameStage(name);
      }
    },
  };
}

const recordGoes = (
  name: Extract<ObjectName, { readonly kind: "record" }>,
  records: ReadonlySet<string>,
  isLiving: (generation: Generation) => boolean,
): boolean => !records.has(name.sha256) && !isLiving(name.generation);

/** An item of an ack. */
export interface AckItem {
  readonly name: string;
  readonly generation: Generation;
  readonly checkpointId: CheckpointId;
  readonly task: TaskId;
}

/**
 * C1, N1: the acks that count beside those in manifests: what is not yet confirmed committed stands in the latest one of a task, and
 * a session that takes over starts from the one that the lease names. And all of checkpoints that are newer than the head as it was read:
 * one may be complete by now, and where its tasks have acked the next one too, their latest acks expect less than it names.
 */
export function countingAcks(acks: readonly AckItem[], stock: Pick<Stock, "now" | "head" | "ripe" | "leases">) {
  const living = acks.filter(({ generation }) => mayLive(generation, stock));
  const place = (at: Pick<AckItem, "generation" | "task">) => `${at.generation}/${at.task}`;
  const latest = new Map<string, CheckpointId>();
  for (const ack of living) {
    latest.set(place(ack), checkpointId(Math.max(latest.get(place(ack)) ?? 0, ack.checkpointId)));
  }
  const named = new Map(stock.leases.map((lease) => [place(lease), lease.ack]));
  const isNew = (ack: AckItem) => ack.checkpointId >= boundOfNew(stock.head);
  return living.filter(
    (ack) => isNew(ack) || ack.checkpointId === latest.get(place(ack)) || ack.checkpointId === named.get(place(ack)),
  );
}

/** The keys of all objects that a document refers to, wherever in it they stand. */
export function storedKeysIn(value: unknown, into: Set<string> = new Set()): Set<string> {
  if (typeof value !== "object" || value === null) return into;
  const { kind, key } = value as { readonly kind?: unknown; readonly key?: unknown };
  if (kind === "object" && typeof key === "string") into.add(key);
  for (const member of Object.values(value)) storedKeysIn(member, into);
  return into;
}

/**
 * Whether what was judged by an older head may still be deleted. Always, as long as the head only moved on; not where a person took it
 * away, or put back an old one.
 */
export function stillHolds(stock: Pick<Stock, "head" | "restorable">, current: Head | null): boolean {
  const { head, restorable } = stock;
  if (current === null || current.incarnation !== head.incarnation) return false;
  if (current.generation < head.generation || current.floor < head.floor) return false;
  const kept = new Set<string>(restorable.map(({ ref }) => ref.sha256));
  const named = [...current.savepoints, ...(current.completed === null ? [] : [current.completed])];
  return named.every((ref) => kept.has(ref.sha256) || ref.checkpointId >= boundOfNew(head));
}

/** Ids from here on did not exist, or were under way. */
const boundOfNew = (head: Head): number => head.pending?.checkpointId ?? head.nextCheckpointId;
