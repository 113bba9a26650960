import type { Lease, Progress } from "../model/head.js";
import type { Generation, TaskId } from "../model/ids.js";
import { leaseName, progressName } from "./names.js";
import { repeat } from "./repeat.js";
import * as store from "./store.js";

/** What is known of each task of a generation, in the order of its tasks; of one that has none of it, nothing. */
export interface TaskFacts {
  readonly leases: ReadonlyMap<TaskId, store.Versioned<Lease>>;
  readonly progress: ReadonlyMap<TaskId, Progress>;
}

/** Of more tasks than this leases and progress are listed: one request for all of them instead of one each, every second. */
export const tasksReadMax = 3;

export async function readTaskFacts(
  from: store.CheckpointStore,
  incarnation: string,
  generation: Generation,
  tasks: readonly TaskId[],
): Promise<TaskFacts> {
  const [leases, progress] = await Promise.all([
    tasks.length > tasksReadMax
      ? listLeases(from, incarnation, generation)
      : each(tasks, (task) => store.readLease(from, incarnation, generation, task)),
    readProgressOf(from, incarnation, generation, tasks),
  ]);
  return { leases: inOrder(tasks, leases), progress };
}

/** What these tasks have told. */
export async function readProgressOf(
  from: store.CheckpointStore,
  incarnation: string,
  generation: Generation,
  tasks: readonly TaskId[],
): Promise<ReadonlyMap<TaskId, Progress>> {
  const found =
    tasks.length > tasksReadMax
      ? await listProgress(from, incarnation, generation)
      : await each(tasks, (task) => store.readProgress(from, incarnation, generation, task));
  return inOrder(tasks, found);
}

type Found<T> = ReadonlyMap<string, T | null>;

async function each<T>(tasks: readonly TaskId[], read: (task: TaskId) => Promise<T | null>): Promise<Found<T>> {
  return new Map(await Promise.all(tasks.map(async (task) => [task, await read(task)] as const)));
}

async function listLeases(
  from: store.CheckpointStore,
  incarnation: string,
  generation: Generation,
): Promise<Found<store.Versioned<Lease>>> {
  return list(from, leaseName(incarnation, generation, nameless), ({ version, body }, where) => ({
    version,
    value: store.decodeLease(body, where),
  }));
}

async function listProgress(
  from: store.CheckpointStore,
  incarnation: string,
  generation: Generation,
): Promise<Found<Progress>> {
  return list(from, progressName(incarnation, generation, nameless), ({ body }, where) =>
    store.decodeProgress(body, where),
  );
}

/** What the names of all tasks begin with is the name without one. */
const nameless = "" as TaskId;

async function list<T>(
  from: store.CheckpointStore,
  prefix: string,
  decode: (register: { readonly version: number; readonly body: string }, where: string) => T,
): Promise<Found<T>> {
  const found = await repeat(from.clock, () => from.registers.list(from.pipeline, prefix));
  return new Map(
    found.map(({ name, register }) => [name.slice(prefix.length), decode(register, `${from.pipeline}: ${name}`)]),
  );
}

const inOrder = <T>(tasks: readonly TaskId[], found: Found<T>): ReadonlyMap<TaskId, T> =>
  new Map(
    tasks.flatMap((task) => {
      const value = found.get(task) ?? null;
      return value === null ? [] : [[task, value] as const];
    }),
  );
