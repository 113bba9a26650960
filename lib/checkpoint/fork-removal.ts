import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { decodeDocument } from "./documents.js";
import { tasksOf } from "./fold.js";
import { headName, pipelinePrefix } from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readGenerationRecord, readHead } from "./store.js";
import { readTaskFacts } from "./task-facts.js";

/** What a fork is a fork of; null where no such fork is there. @throws StreamError `invalid`: a pipeline that is none */
export async function forkOf(store: CheckpointStore): Promise<NonNullable<GenerationRecord["forkOf"]> | null> {
  const records = await recordsOf(store);
  const head = (await readHead(store))?.value ?? null;
  // Beside a fork may lie what is left of one that was cut short, which has records, too.
  const record = records.find(({ incarnation }) => incarnation === head?.incarnation) ?? records[0];
  if (record === undefined) {
    if (head === null) return null;
    throw notFork(store);
  }
  if (record.forkOf === undefined || records.some((one) => one.forkOf === undefined)) throw notFork(store);
  return record.forkOf;
}

/**
 * What lies where a fork is to be made: nothing, or what is left of one that was cut short, which is in nobody's way (R6: it has another
 * incarnation).
 *
 * @throws StreamError `invalid`: a pipeline that is no fork, or a fork that has run
 */
export async function leftOfFork(store: CheckpointStore): Promise<"nothing" | "of one that was cut short"> {
  if ((await forkOf(store)) === null) return "nothing";
  const records = await recordsOf(store);
  const hasRun = records.some((one) =>
    // Of the checkpoint's generation, and of the one that the head is made with.
    records.some((first) => first.incarnation === one.incarnation && one.generation > first.generation + 1),
  );
  if (!hasRun) return "of one that was cut short";
  throw new StreamError(
    "invalid",
    `something is left of a fork "${store.pipeline}" that has run, and has no head: "tidemark fork --delete --name ${store.pipeline}" removes it; or give the fork another name with --name`,
  );
}

const notFork = ({ pipeline }: CheckpointStore): StreamError =>
  new StreamError("invalid", `pipeline "${pipeline}" is no fork; give the fork another name with --name`);

async function recordsOf(store: CheckpointStore): Promise<readonly GenerationRecord[]> {
  const listed = await repeat(store.clock, () => store.registers.list(store.pipeline, "generation/"));
  const found = listed.map(({ name, register }) => decode(register.body, name));
  return found.length > 0 ? found : repeat(store.clock, () => copiesOf(store));
}

const decode = (text: string, name: string) => decodeDocument<GenerationRecord>(text, name, ["pipeline"]);

/** Of one that was cut short before its first item, or whose items are removed already, the bucket says it (R7). */
async function copiesOf({ blobs, pipeline }: CheckpointStore): Promise<readonly GenerationRecord[]> {
  const found: GenerationRecord[] = [];
  for await (const { key } of blobs.list(pipelinePrefix(pipeline))) {
    const bytes = /\/generation-[0-9a-f]{64}\.json$/.test(key) ? await blobs.get(key) : null;
    if (bytes !== null) found.push(decode(Buffer.from(bytes).toString("utf8"), key));
  }
  return found;
}

const resting: ReadonlySet<Head["status"]> = new Set(["stopped", "finished", "failed"]);
const removedAtOnce = 500;

/**
 * Removes all that a fork has in the bucket and in the table; what its sinks have written stays. May be repeated where it was cut short.
 *
 * @returns false: there is no such fork
 * @throws StreamError `invalid`: it is no fork, or it runs
 */
export async function removeFork(store: CheckpointStore): Promise<boolean> {
  if (!(await isRemovable(store))) return false;
  // First, so that one that is cut short leaves no fork that misses what it is made of.
  await repeat(store.clock, () => store.registers.remove({ group: store.pipeline, name: headName }));
  await repeat(store.clock, () => removeObjects(store));
  const listed = await repeat(store.clock, () => store.registers.list(store.pipeline, ""));
  // By its records it is known for a fork: they go last.
  const names = listed.map(({ name }) => name).toSorted((a, b) => orderOf(a) - orderOf(b));
  for (const name of names) await repeat(store.clock, () => store.registers.remove({ group: store.pipeline, name }));
  return true;
}

/**
 * Whether there is a fork that can be removed.
 *
 * @returns false: there is none
 * @throws StreamError `invalid`: it is no fork, or it runs as far as anybody can know
 */
export async function isRemovable(store: CheckpointStore): Promise<boolean> {
  if ((await forkOf(store)) === null) return false;
  const head = (await readHead(store))?.value ?? null;
  if (head === null || resting.has(head.status)) return true;
  const record = await readGenerationRecord(store, head);
  const { leases } = await readTaskFacts(store, head.incarnation, head.generation, tasksOf(record));
  const holders = [...leases.values()].map(({ value }) => value.holder);
  const ends = holders.flatMap((holder) => (holder.kind === "held" ? [holder.deadline] : []));
  const goneAt = ends.length === 0 ? null : Math.max(...ends) + goneMillis;
  // A process that runs a fork would have found such sessions long ago, and opened a generation.
  if (goneAt !== null && goneAt < store.clock.now()) return true;
  const until = goneAt === null ? "" : `, or remove it after ${new Date(goneAt).toISOString()}`;
  throw new StreamError(
    "invalid",
    `the fork "${store.pipeline}" is ${head.status}: stop it first, with Ctrl-C where it runs. If that process is gone, run it again with the command that made it, and stop it then${until}`,
  );
}

/** After the deadline of its last session nobody runs a fork, if nobody has gone on with it for so long. */
const goneMillis = 5 * 60_000;

const orderOf = (name: string): number => (name.startsWith("generation/") ? 1 : 0);

async function removeObjects(store: CheckpointStore): Promise<void> {
  let keys: string[] = [];
  const remove = async () => {
    if (keys.length > 0) await store.blobs.remove(keys);
    keys = [];
  };
  for await (const { key } of store.blobs.list(pipelinePrefix(store.pipeline)))
    if (keys.push(key) >= removedAtOnce) await remove();
  await remove();
}
