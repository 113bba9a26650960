import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { type CheckpointId, checkpointId, type Generation, generation, type Sha256, taskParts } from "../model/ids.js";
import { encodeDocument } from "./documents.js";
import { markedIncarnations } from "./incarnations.js";
import { repeat } from "./repeat.js";
import { chain, type Found, readBucket } from "./salvage.js";
import {
  type CheckpointStore,
  readDesired,
  readGenerationRecord,
  readHead,
  swapHead,
  writeGenerationRecord,
  writeManifest,
  writeMarker,
} from "./store.js";
import { createHead, sameRef } from "./transitions.js";

// R7: rebuilds a head that was lost from what the bucket alone says. The incarnation stays, so that sinks go on accepting writes
// (W1); generation and checkpoint ids move past everything that was ever seen under the prefix, so that no name comes twice (R6).

export interface RecoverOptions {
  /** Where several have checkpoints. */
  readonly incarnation: string | null;
  /** The checkpoint to go on from; null: the newest one that is marked. */
  readonly checkpoint: number | null;
  /** Of the code at hand: the record of the new head says so where no older one is left. */
  readonly fingerprint: Sha256;
  readonly library: string;
}

/** What a recovery would do. */
export interface Recovery {
  readonly head: Head;
  readonly record: GenerationRecord;
  readonly completed: CheckpointRef;
  /** All that can be restored then, newest first. */
  readonly restorable: readonly Found[];
  /** What was found, and is not used, and why. */
  readonly notes: readonly string[];
}

/**
 * @throws StreamError `invalid`: there is a head, there are no checkpoints, or several incarnations; `corrupt`: the newest checkpoint is
 *   not whole
 */
export async function planRecovery(store: CheckpointStore, options: RecoverOptions): Promise<Recovery> {
  await checkNoHead(store);
  const incarnation = await chooseIncarnation(store, options.incarnation);
  const bucket = await readBucket(store, incarnation);
  const last = chooseCheckpoint(store, bucket, options.checkpoint);
  const tips = [last.ref, ...tipsBeside(inLine(bucket.trusted), last.ref)];
  const floor = unbrokenFrom(bucket.trusted, tips);
  const left = tips.slice(1).filter((tip) => tip.checkpointId >= floor);
  const record = await recordFor(store, incarnation, bucket.records, { options, last, newest: bucket.generation });
  const head: Head = {
    ...createHead(incarnation, {
      generationRecord: "" as Sha256,
      reason: record.reason,
      origin: null,
      now: store.clock.now(),
      failure: null,
    }),
    generation: record.generation,
    origin: last.ref,
    completed: last.ref,
    endedAt: store.clock.now(),
    nextCheckpointId: checkpointId(bucket.checkpointId + 1),
    status: "stopped",
    left,
    floor,
    savepoints: savepointsOf(bucket),
    asked: await answered(store),
  };
  const kept = new Set(head.savepoints.map((ref) => ref.sha256));
  const reachable = [last.ref, ...left].flatMap((tip) => chain(bucket.trusted, tip, floor));
  for (const { ref } of reachable) kept.add(ref.sha256);
  const restorable = bucket.trusted.filter(({ ref }) => kept.has(ref.sha256));
  return { head, record, completed: last.ref, restorable, notes: notesOf(bucket, restorable, last) };
}

/** Carries it out: the head last, and only where there is still none. May be repeated. */
export async function recover(
  store: CheckpointStore,
  { head, record, restorable, completed }: Recovery,
): Promise<Head> {
  for (const { manifest } of restorable) await writeManifest(store, manifest);
  await writeMarker(store, head.incarnation, completed);
  const generationRecord = await writeGenerationRecord(store, record);
  const next: Head = { ...head, generationRecord };
  const text = encodeDocument(next);
  await repeat(store.clock, async () => {
    const swapped = await swapHead(store, null, next);
    if (swapped.kind === "swapped" || swapped.current?.body === text) return;
    throw new StreamError(
      "fenced",
      `pipeline "${store.pipeline}": meanwhile there is a head; nothing was changed in it`,
    );
  });
  return next;
}

async function checkNoHead(store: CheckpointStore): Promise<void> {
  const where = `pk "${store.pipeline}", sk "head"`;
  const head = await readHead(store).catch((error: unknown) => {
    if (!(error instanceof StreamError) || error.kind !== "corrupt") throw error;
    throw new StreamError(
      "invalid",
      `${error.message}. Keep a copy of the item ${where}, delete it, and run recover again`,
      { cause: error },
    );
  });
  if (head === null) return;
  const { status, generation: of, completed } = head.value;
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}" has its head (${status}, generation ${of}, checkpoint ${completed?.checkpointId ?? "none"}): there is nothing to recover. To go back to an older checkpoint no head need be rebuilt. Where the head is wrong all the same, stop what runs, keep a copy of the item ${where}, delete it, and run recover again`,
  );
}

async function chooseIncarnation(store: CheckpointStore, wanted: string | null): Promise<string> {
  const found = await repeat(store.clock, async () => {
    const all: string[] = [];
    for await (const one of markedIncarnations(store)) all.push(one);
    return all;
  });
  const where = `under ${store.pipeline}/ in the bucket`;
  if (found.length === 0)
    throw new StreamError(
      "invalid",
      `pipeline "${store.pipeline}" has no complete checkpoint ${where}: nothing to recover`,
    );
  if (wanted !== null && !found.includes(wanted))
    throw new StreamError("invalid", `there is no incarnation ${wanted} ${where}; there are: ${found.join(", ")}`);
  const [only, ...others] = found;
  if (wanted === null && others.length > 0)
    throw new StreamError(
      "invalid",
      `pipeline "${store.pipeline}" has checkpoints of several incarnations ${where}: ${found.join(", ")}; say with --incarnation which one to go on with`,
    );
  return wanted ?? only ?? "";
}

type Bucket = Awaited<ReturnType<typeof readBucket>>;

/** An older one than the newest that was complete is a replay: what was written after it may be written again, so it must be asked for. */
function chooseCheckpoint(store: CheckpointStore, bucket: Bucket, wanted: number | null): Found {
  const ids = bucket.trusted.map(({ ref }) => ref.checkpointId).join(", ") || "none";
  if (wanted !== null) {
    const found = bucket.trusted.find(({ ref }) => ref.checkpointId === wanted);
    if (found !== undefined) return found;
    throw new StreamError(
      "invalid",
      `checkpoint ${wanted} of pipeline "${store.pipeline}" cannot be gone on from; these can: ${ids}`,
    );
  }
  const [newest] = inLine(bucket.trusted);
  const [damaged] = bucket.distrusted;
  if (newest !== undefined && (damaged === undefined || damaged.checkpointId < newest.ref.checkpointId)) return newest;
  const name = `the newest complete checkpoint of pipeline "${store.pipeline}"`;
  if (damaged !== undefined && damaged.framesWithoutNotes > 0)
    throw new StreamError(
      "corrupt",
      `${name}, ${damaged.checkpointId}, cannot be restored from the bucket alone: ${damaged.why}. Nothing was changed, and these records are not lost yet: bring those items back from the table's point-in-time backup (not its item "head": that one is too old), and run recover again; or go on from an older checkpoint that had nothing on the way, as that of a stop has, with --checkpoint (whole are: ${ids}): results written after it are then made again`,
    );
  throw new StreamError(
    "corrupt",
    `${name} is not whole: ${damaged?.why}. Bring back what is missing from a backup; or go on from an older one with --checkpoint (whole are: ${ids}): results written after it are then made again`,
  );
}

/** A savepoint that a person wrote is of no line before somebody has started from it; where there is nothing else it is the beginning. */
function inLine(trusted: readonly Found[]): readonly Found[] {
  const followed = new Set(trusted.map(({ manifest }) => manifest.previous?.sha256 ?? ""));
  const found = trusted.filter(({ ref, manifest }) => manifest.written === undefined || followed.has(ref.sha256));
  return found.length === 0 ? trusted : found;
}

/** R7: tips of other branches. */
function tipsBeside(trusted: readonly Found[], tip: CheckpointRef): readonly CheckpointRef[] {
  const followed = new Set(trusted.map(({ manifest }) => manifest.previous?.sha256 ?? ""));
  const own = new Set(chain(trusted, tip, 0).map(({ ref }) => ref.sha256));
  return trusted.map(({ ref }) => ref).filter(({ sha256 }) => !followed.has(sha256) && !own.has(sha256));
}

/** The floor: from here on every chain is whole. What was collected lay below the lost head's floor, so that this is no higher (G2). */
function unbrokenFrom(trusted: readonly Found[], tips: readonly CheckpointRef[]): CheckpointId {
  const missing = tips.map((tip) => chain(trusted, tip, 0).at(-1)?.manifest.previous?.checkpointId ?? null);
  const known = missing.filter((id) => id !== null);
  return checkpointId(known.reduce((floor, id) => Math.max(floor, id + 1), 0));
}

/** R7: a name is of one checkpoint: of several marks, all but the newest are of requests that came to nothing. */
function savepointsOf({ trusted, savepoints }: Bucket): Head["savepoints"] {
  const found = new Map<string, Head["savepoints"][number]>();
  for (const { sha256, name } of savepoints) {
    const of = trusted.find(({ ref }) => ref.sha256 === sha256);
    if (of !== undefined && !found.has(name)) found.set(name, { ...of.ref, name, requestId: null });
  }
  return [...found.values()].sort((a, b) => a.checkpointId - b.checkpointId);
}

/** As with the request: a savepoint is made once somebody asks anew. */
async function answered(store: CheckpointStore): Promise<Head["asked"]> {
  const open = (await readDesired(store))?.value.savepoint ?? null;
  return open === null ? null : { requestId: open.id, aborts: 0, ended: { kind: "made" } };
}

/** As the last generation that is known of had it: where its output goes, and what it dropped. */
async function recordFor(
  store: CheckpointStore,
  incarnation: string,
  records: readonly { readonly generation: Generation; readonly sha256: Sha256 }[],
  from: { readonly options: RecoverOptions; readonly last: Found; readonly newest: Generation },
): Promise<GenerationRecord> {
  const { options, last, newest } = from;
  let before: GenerationRecord | null = null;
  for (const { generation: of, sha256 } of records) {
    const found = await readGenerationRecord(store, { incarnation, generation: of, generationRecord: sha256 }).catch(
      unlessCorrupt,
    );
    if (found === null || (!sameRef(found.origin, last.ref) && of !== last.ref.generation)) continue;
    before = found;
    break;
  }
  const sameOrigin = before !== null && sameRef(before.origin, last.ref);
  return {
    format: 1,
    pipeline: store.pipeline,
    incarnation,
    generation: generation(newest + 1),
    reason: "start",
    // Fulfilled, so that nothing is opened before somebody asks for it anew.
    requestId: (await readDesired(store))?.value.request?.id ?? null,
    origin: last.ref,
    fingerprint: before?.fingerprint ?? options.fingerprint,
    functionVersion: before?.functionVersion ?? "none",
    deployment: before?.deployment ?? 0,
    fallback: null,
    library: options.library,
    stages: before?.stages ?? stagesOf(last.manifest),
    shards: sameOrigin ? (before?.shards ?? null) : null,
    readTo: sameOrigin ? (before?.readTo ?? null) : null,
    dropped: sameOrigin ? (before?.dropped ?? []) : [],
    sinks: before?.sinks ?? {},
    ...(before?.forkOf === undefined ? {} : { forkOf: before.forkOf }),
  };
}

/** It says less than a checkpoint does: what it said is made up for. */
function unlessCorrupt(error: unknown): null {
  if (error instanceof StreamError && error.kind === "corrupt") return null;
  throw error;
}

/** How many tasks each stage had, which is all that a checkpoint says of them. */
function stagesOf(manifest: Manifest): GenerationRecord["stages"] {
  const tasks: number[] = [];
  for (const { task } of manifest.tasks) {
    const { stage } = taskParts(task);
    tasks[stage] = (tasks[stage] ?? 0) + 1;
  }
  const name = (stage: number) => (tasks.length === 1 ? "main" : `stage ${stage}`);
  return Array.from(tasks, (count = 0, stage) => ({ name: name(stage), tasks: count, operators: [] }));
}

const nameOf = ({ savepoints }: Bucket, id: CheckpointId): string => {
  const names = savepoints.filter((one) => one.checkpointId === id).map(({ name }) => `"${name}"`);
  return names.length === 0 ? `checkpoint ${id}` : `checkpoint ${id}, the savepoint ${names.join(", ")},`;
};

function notesOf(bucket: Bucket, restorable: readonly Found[], last: Found): readonly string[] {
  const kept = new Set(restorable.map(({ ref }) => ref.sha256));
  const lost = bucket.trusted.filter(({ ref }) => !kept.has(ref.sha256)).map(({ ref }) => ref.checkpointId);
  return [
    ...bucket.distrusted.map(({ checkpointId: id, why }) => `${nameOf(bucket, id)} is not whole: ${why}`),
    ...bucket.unmarked
      .filter((id) => id > last.ref.checkpointId)
      .map((id) => `checkpoint ${id} has a manifest, but no marker: it is not counted as complete`),
    ...(lost.length === 0
      ? []
      : [`checkpoints ${lost.join(", ")} are whole, but cannot be reached any more: the next collection removes them`]),
  ];
}
