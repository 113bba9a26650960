import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { decodeDocument } from "./documents.js";
import { pipelinePrefix } from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, readHead } from "./store.js";

/** What a fork is a fork of; null where no such fork is there. @throws StreamError `invalid`: a pipeline that is none */
export async function forkOf(store: CheckpointStore): Promise<NonNullable<GenerationRecord["forkOf"]> | null> {
  const records = await recordsOf(store);
  const [first] = records;
  if (first === undefined) {
    if ((await readHead(store)) === null) return null;
    throw notFork(store);
  }
  // What is left of one that was cut short has records, too.
  if (first.forkOf === undefined || records.some((record) => record.forkOf === undefined)) throw notFork(store);
  return first.forkOf;
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
  if ((await forkOf(store)) === null) return false;
  const head = (await readHead(store))?.value ?? null;
  if (head !== null && !resting.has(head.status))
    throw new StreamError("invalid", `the fork "${store.pipeline}" is ${head.status}: stop it first`);
  await repeat(store.clock, () => removeObjects(store));
  const listed = await repeat(store.clock, () => store.registers.list(store.pipeline, ""));
  // By its records it is known for a fork: they go last.
  const names = listed.map(({ name }) => name).toSorted((a, b) => orderOf(a) - orderOf(b));
  for (const name of names) await repeat(store.clock, () => store.registers.remove({ group: store.pipeline, name }));
  return true;
}

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
