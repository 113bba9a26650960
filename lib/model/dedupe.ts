import { disclose, type Envelope } from "./envelope.js";
import { StreamError } from "./errors.js";

/** What was taken of a task's output, in one shard. */
interface TaskTaken {
  readonly checkpoint: number;
  readonly chunk: number;
  /** Places of the chunk, as bits, four in each hexadecimal digit, the least first. */
  readonly places: string;
}

/** By generation, by task. */
type OutputTaken = Readonly<Record<string, Readonly<Record<string, TaskTaken>>>>;

/**
 * What a reader has taken of a shard: plain JSON, to be kept beside what the reader made of the records. By output, which is a sink of
 * one pipeline. It has some hundred bytes for each task that writes, and does not grow with time.
 */
export type DedupeState = Readonly<Record<string, OutputTaken>>;

/**
 * Of each output. Before the first checkpoint of a generation all that older ones had to write was written (C2), so that one would do;
 * a failure that is seen late does no harm.
 */
const generationsKept = 3;

/** Of a shard of which nothing was read, and that has no parents. */
export const emptyDedupe: DedupeState = Object.freeze({});

export interface Deduped {
  /** To be kept, together with what comes of the record. */
  readonly state: DedupeState;
  /** Whether the record counts. */
  readonly fresh: boolean;
  /** Without the envelope. */
  readonly payload: Uint8Array;
}

/**
 * C6: one record of a stream that `kinesisStream` writes to. Each counts once, and those of a partition key in their order. To be
 * called for every record of a shard in its order; each shard has a state of its own, and a new one begins with that of its parents:
 * {@link inheritDedupe}. A record without an envelope, of another producer, is fresh.
 *
 * A record is fresh if it was not taken before, and the one before it of its key was: what was put before one that failed is put
 * again behind it. What is of an older checkpoint or chunk than one of its lane that was seen is a repeat: a chunk is begun when all of
 * the one before it was answered. So is what is of a generation older than the three newest that were seen.
 *
 * @throws StreamError `invalid` for an envelope of a later version, or one that is cut off
 * @example const { state, fresh, payload } = dedupe(before, record.data);
 */
export function dedupe(state: DedupeState, data: Uint8Array): Deduped {
  const found = disclose(data);
  if (found === null) return { state, fresh: true, payload: data };
  const { envelope, payload } = found;
  const next = taken(state, envelope);
  return { state: next ?? state, fresh: next !== null, payload };
}

/**
 * What a shard that came out of others begins with: of a split that of its parent, of a merge that of both, read to their ends. A repeat
 * of a record lies in the same shard, or in what came out of it, since its partition key is the same.
 *
 * @example const state = inheritDedupe([stateOfParent]);
 */
export function inheritDedupe(parents: readonly DedupeState[]): DedupeState {
  return united(parents, (outputs) => newest(united(outputs, (generations) => united(generations, furthest))));
}

/** null: it is a repeat, or comes again behind one that is still missing. */
function taken(state: DedupeState, { lane, checkpoint, chunk, place, after }: Envelope): DedupeState | null {
  const { output, generation, task } = partsOf(lane);
  const of = Object.hasOwn(state, output) ? (state[output] ?? {}) : {};
  const before = of[generation]?.[task];
  const order = before === undefined ? 1 : checkpoint - before.checkpoint || chunk - before.chunk;
  if (order < 0) return null;
  const places = order === 0 ? (before?.places ?? "") : "";
  if (has(places, place) || (after !== null && !has(places, after))) return null;
  const now: TaskTaken = { checkpoint, chunk, places: withPlace(places, place) };
  const kept = newest({ ...of, [generation]: { ...of[generation], [task]: now } });
  return Object.hasOwn(kept, generation) ? { ...state, [output]: kept } : null;
}

/** The generations that are kept. */
function newest(of: OutputTaken): OutputTaken {
  const generations = Object.keys(of);
  if (generations.length <= generationsKept) return of;
  const kept = generations.toSorted((a, b) => Number(b) - Number(a)).slice(0, generationsKept);
  return Object.fromEntries(kept.map((generation) => [generation, of[generation] ?? {}]));
}

/** As tokens of segments have it: sink, incarnation, generation, task. */
const laneForm = /^(.+-[0-9a-f]{12})-(\d{8,})-(\d+\.\d+)$/;

function partsOf(lane: string): { readonly output: string; readonly generation: string; readonly task: string } {
  const [, output, generation, task] = laneForm.exec(lane) ?? [];
  if (output === undefined || generation === undefined || task === undefined)
    throw new StreamError("invalid", `a record says that "${lane.slice(0, 80)}" wrote it, which is no task's lane`);
  return { output, generation: String(Number(generation)), task };
}

type ByName<T> = Readonly<Record<string, T>>;

/** By name: those of all, by name. */
function united<T>(all: readonly ByName<T>[], unite: (values: readonly T[]) => T): ByName<T> {
  const values = new Map<string, T[]>();
  for (const [name, value] of all.flatMap((one) => Object.entries(one)))
    values.set(name, [...(values.get(name) ?? []), value]);
  return Object.fromEntries([...values].map(([name, found]) => [name, unite(found)]));
}

/** The chunk that is furthest, and all that was taken of it. */
function furthest(all: readonly TaskTaken[]): TaskTaken {
  const order = (a: TaskTaken, b: TaskTaken) => a.checkpoint - b.checkpoint || a.chunk - b.chunk;
  const last = all.reduce((a, b) => (order(a, b) < 0 ? b : a));
  const same = all.filter((one) => order(one, last) === 0).map(({ places }) => places);
  const length = Math.max(...same.map((places) => places.length));
  const digits = Array.from({ length }, (_, index) => same.reduce((bits, places) => bits | digitAt(places, index), 0));
  return { ...last, places: digits.map((bits) => bits.toString(16)).join("") };
}

const digitAt = (places: string, index: number): number => Number.parseInt(places[index] ?? "0", 16);

const has = (places: string, place: number): boolean => (digitAt(places, place >> 2) & (1 << (place & 3))) !== 0;

function withPlace(places: string, place: number): string {
  const index = place >> 2;
  const digit = (digitAt(places, index) | (1 << (place & 3))).toString(16);
  return `${places.slice(0, index).padEnd(index, "0")}${digit}${places.slice(index + 1)}`;
}
