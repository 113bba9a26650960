import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import { forkOf } from "./fork-removal.js";
import { pipelinePrefix } from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readHead } from "./store.js";

// Which forks a pipeline has: a note for each, in a group of their own, so that nothing of the pipeline itself is changed. Advisory:
// what a fork is says its own record.

const notesOf = (pipeline: string): string => `${pipeline}/forks`;

/** Before the fork is made: what is left of one that is cut short is found by it. */
export const noteFork = (origin: CheckpointStore, fork: string): Promise<void> =>
  repeat(origin.clock, () => origin.registers.put({ group: notesOf(origin.pipeline), name: fork }, "{}"));

/** After it was removed. */
export const forgetFork = (origin: CheckpointStore, fork: string): Promise<void> =>
  repeat(origin.clock, () => origin.registers.remove({ group: notesOf(origin.pipeline), name: fork }));

export interface ForkSummary {
  readonly name: string;
  /** Of the pipeline. */
  readonly checkpoint: number;
  readonly status: Head["status"] | "cut short";
}

/** The name of a fork that was given none. */
export const defaultForkName = (pipeline: string): string => `${pipeline}-fork`;

/** The forks of a pipeline that are there, by name, and what is left of such. */
export async function listForks(origin: CheckpointStore): Promise<readonly ForkSummary[]> {
  const { pipeline } = origin;
  const noted = await repeat(origin.clock, () => origin.registers.list(notesOf(pipeline), ""));
  // One of that name may be older than notes.
  const names = [...new Set([...noted.map(({ name }) => name), defaultForkName(pipeline)])].sort();
  const found: ForkSummary[] = [];
  for (const name of names) {
    const store = { ...origin, pipeline: name };
    const of = await forkOf(store).catch(unlessNone);
    if (of === null || of.pipeline !== pipeline) continue;
    found.push({ name, checkpoint: of.checkpointId, status: (await readHead(store))?.value.status ?? "cut short" });
  }
  return found;
}

/** A pipeline of that name that is no fork. */
function unlessNone(error: unknown): null {
  if (error instanceof StreamError && error.kind === "invalid") return null;
  throw error;
}

/**
 * @param store of the fork
 * @throws StreamError `invalid`: it is none of that pipeline, or only what is left of one
 */
export async function checkForkOf(store: CheckpointStore, pipeline: string): Promise<void> {
  const of = await forkOf(store).catch(unlessNone);
  if (of?.pipeline !== pipeline) {
    const forks = (await listForks({ ...store, pipeline })).map(({ name }) => name).join(", ");
    throw new StreamError(
      "invalid",
      `pipeline "${pipeline}" has no fork "${store.pipeline}"; it has: ${forks === "" ? "none" : forks}`,
    );
  }
  if ((await readHead(store)) !== null) return;
  throw new StreamError(
    "invalid",
    `the fork "${store.pipeline}" was cut short while it was made or removed: make it again, or remove what is left with "tidemark fork … --delete --name ${store.pipeline}"`,
  );
}

/** How much a removal would remove. */
export async function measureFork(
  store: CheckpointStore,
): Promise<{ readonly objects: number; readonly items: number }> {
  const count = async () => {
    let objects = 0;
    for await (const _ of store.blobs.list(pipelinePrefix(store.pipeline))) objects += 1;
    return objects;
  };
  const items = await repeat(store.clock, () => store.registers.list(store.pipeline, ""));
  return { objects: await repeat(store.clock, count), items: items.length };
}
