import type { Ack, CheckpointRef, Manifest, WrittenBy } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { type CheckpointId, checkpointId, type Millis, type Sha256 } from "../model/ids.js";
import { encodeDocument } from "./documents.js";
import { checkNeverRan } from "./incarnations.js";
import { closedRanges } from "./inherit.js";
import { repeat } from "./repeat.js";
import { writeSavepointMark } from "./savepoint-marks.js";
import { isAnswered } from "./savepoints.js";
import {
  type CheckpointStore,
  readDesired,
  readHead,
  swapHead,
  type Versioned,
  writeGenerationRecord,
  writeManifest,
  writeMarker,
} from "./store.js";
import { createHead, sameRef } from "./transitions.js";
import { tryHead } from "./try-head.js";
import { checkSavepointName } from "./wishes.js";

// G1: a savepoint whose state a person wrote. It is made of another checkpoint, or of nothing, under an id of its own; none of its names
// was ever used before (R6), and the head gets it as it gets every savepoint's name: by compare-and-set, once all that it refers to is
// there. No checkpoint of the line is changed, and none follows it, until somebody starts from it.

/** Where a savepoint goes that is being written: nobody else gets this id. */
export interface Reserved {
  readonly head: Head;
  readonly checkpointId: CheckpointId;
  readonly at: Millis;
}

/** What is to be in it. */
export interface Written {
  readonly name: string;
  readonly how: WrittenBy["how"];
  /** Whose positions, frames and output it has. */
  readonly from: { readonly ref: CheckpointRef; readonly manifest: Manifest } | null;
  /** Of the code at hand, where there is no such checkpoint. */
  readonly fingerprint: Sha256;
  /** As those of `from` where there is one, but for their state: see {@link carriedOver}. */
  readonly tasks: readonly Ack[];
}

const attemptsMax = 20;

/** @throws StreamError `invalid`: that name cannot be, is taken, or is asked for; the pipeline has no head */
export async function reserveSavepoint(store: CheckpointStore, name: string): Promise<Reserved> {
  checkSavepointName(name);
  return changeHead(store, async ({ value: head }) => {
    await checkFree(store, head, name);
    const id = head.nextCheckpointId;
    const next = { ...head, nextCheckpointId: checkpointId(id + 1) };
    return { next, done: { head, checkpointId: id, at: store.clock.now() } };
  });
}

async function checkFree(store: CheckpointStore, head: Head, name: string): Promise<void> {
  const taken = head.savepoints.find((one) => one.name === name);
  if (taken !== undefined)
    throw refused(
      store,
      `there is a savepoint "${name}" already, checkpoint ${taken.checkpointId}; give this one another name, or delete that one`,
    );
  const open = (await readDesired(store))?.value.savepoint ?? null;
  if (open?.name === name && !isAnswered(head, open.id))
    throw refused(store, `a savepoint "${name}" is asked for and not there yet; give this one another name`);
}

const refused = (store: CheckpointStore, why: string): StreamError =>
  new StreamError("invalid", `pipeline "${store.pipeline}": ${why}`);

/** Longer than this after its end a generation's files may be collected. */
const writingMillisMax = 10 * 60_000;

/**
 * @throws StreamError `invalid`: the name was taken meanwhile, or the checkpoint that it is made of is kept no longer; `transient`: it
 *   took so long that what was written may be collected
 */
export async function addSavepoint(
  store: CheckpointStore,
  reserved: Reserved,
  written: Written,
): Promise<CheckpointRef> {
  const { name } = written;
  const { incarnation } = reserved.head;
  const ref = await writeManifest(store, manifestOf(store, reserved, written));
  await writeMarker(store, incarnation, ref);
  await writeSavepointMark(store, incarnation, ref, name);
  return changeHead(store, async ({ value: head }) => {
    if (head.savepoints.some((one) => one.name === name && sameRef(one, ref))) return { next: head, done: ref };
    await checkFree(store, head, name);
    checkKept(store, reserved, written, head);
    return { next: { ...head, savepoints: [...head.savepoints, { ...ref, name, requestId: null }] }, done: ref };
  });
}

/** Under the head that gets the name, so that every collection that knows of it keeps all that it refers to (G1). */
function checkKept(
  store: CheckpointStore,
  { head: before, checkpointId: id, at }: Reserved,
  { from }: Written,
  head: Head,
) {
  if (head.incarnation !== before.incarnation) throw refused(store, "meanwhile its head was made anew");
  if (from !== null && !isKept(head, from.ref))
    throw refused(
      store,
      `meanwhile checkpoint ${from.ref.checkpointId} is kept no longer: take a newer one, or a savepoint`,
    );
  const bound = Math.min(head.floor, head.completed?.checkpointId ?? 0);
  if (id >= bound && (head.generation === before.generation || store.clock.now() - at < writingMillisMax)) return;
  throw new StreamError(
    "transient",
    `pipeline "${store.pipeline}": writing took so long that what was written may have been collected; try again`,
  );
}

const isKept = (head: Head, ref: CheckpointRef): boolean =>
  ref.checkpointId >= head.floor || [...head.savepoints, head.completed].some((one) => sameRef(one ?? null, ref));

function manifestOf(store: CheckpointStore, { head, checkpointId: id, at }: Reserved, written: Written): Manifest {
  const { from, how, name } = written;
  return {
    format: 1,
    pipeline: store.pipeline,
    incarnation: head.incarnation,
    generation: head.generation,
    generationRecord: head.generationRecord,
    fingerprint: from?.manifest.fingerprint ?? written.fingerprint,
    checkpointId: id,
    savepoint: name,
    andThen: "continue",
    alignment: from?.manifest.alignment ?? "aligned",
    triggeredAt: at,
    previous: from?.ref ?? null,
    origin: head.origin,
    shards: from?.manifest.shards ?? {},
    tasks: written.tasks,
    wakeAt: from?.manifest.wakeAt ?? null,
    written: { how, from: from?.ref ?? null },
  };
}

/**
 * E3: the acks of a checkpoint as another one's: what they expect without end ends where their producers had sent, since the other one
 * is of no generation in which they could send on.
 */
export function carriedOver(manifest: Manifest, { head, checkpointId: id, at }: Reserved): readonly Ack[] {
  return manifest.tasks.map((ack) => ({
    ...ack,
    generation: head.generation,
    checkpointId: id,
    expected: closedRanges({
      ...manifest,
      tasks: manifest.tasks.map((one) => (one === ack ? one : { ...one, expected: [] })),
    }),
    figures: { ...ack.figures, cutAt: at, ackedAt: at, bytes: 0, requests: {} },
  }));
}

/**
 * A savepoint of a pipeline that never ran: it is the checkpoint that its first start goes on from.
 *
 * @param tasks with what their first generation's record says of them
 * @throws StreamError `fenced`: meanwhile it has a head
 */
export async function bootstrap(
  store: CheckpointStore,
  { head, record }: Bootstrap,
  written: Written,
): Promise<CheckpointRef> {
  const generationRecord = await writeGenerationRecord(store, record);
  const reserved = { head: { ...head, generationRecord }, checkpointId: checkpointId(1), at: head.openedAt };
  const ref = await writeManifest(store, manifestOf(store, reserved, written));
  await writeMarker(store, head.incarnation, ref);
  await writeSavepointMark(store, head.incarnation, ref, written.name);
  const next: Head = {
    ...reserved.head,
    completed: ref,
    status: "stopped",
    endedAt: head.openedAt,
    nextCheckpointId: checkpointId(2),
    savepoints: [{ ...ref, name: written.name, requestId: null }],
  };
  const text = encodeDocument(next);
  await repeat(store.clock, async () => {
    const swapped = await swapHead(store, null, next);
    if (swapped.kind === "swapped" || swapped.current?.body === text) return;
    throw new StreamError("fenced", `pipeline "${store.pipeline}": meanwhile it was started; nothing was changed`);
  });
  return ref;
}

/** The head of a pipeline that never ran, and the record of the generation that nobody runs. */
export interface Bootstrap {
  readonly head: Head;
  readonly record: GenerationRecord;
}

/** @throws StreamError `invalid`: the bucket has checkpoints of a head that was lost (R7), or the name is none */
export async function beginBootstrap(
  store: CheckpointStore,
  name: string,
  code: Pick<GenerationRecord, "fingerprint" | "library" | "stages">,
): Promise<Bootstrap> {
  checkSavepointName(name);
  await checkNeverRan(store);
  const incarnation = Buffer.from(store.clock.random(6)).toString("hex");
  const opening = { generationRecord: "" as Sha256, reason: "start", origin: null, failure: null } as const;
  const head = createHead(incarnation, { ...opening, now: store.clock.now() });
  const record: GenerationRecord = {
    format: 1,
    pipeline: store.pipeline,
    incarnation,
    generation: head.generation,
    reason: "start",
    // Fulfilled, so that nothing is opened before somebody asks for it.
    requestId: (await readDesired(store))?.value.request?.id ?? null,
    origin: null,
    ...code,
    functionVersion: "none",
    deployment: 0,
    fallback: null,
    shards: null,
    readTo: null,
    dropped: [],
    sinks: {},
  };
  return { head, record };
}

/** By compare-and-set; an answer that was lost is made up for by reading again (R5). */
async function changeHead<T>(
  store: CheckpointStore,
  change: (head: Versioned<Head>) => Promise<{ readonly next: Head; readonly done: T }>,
): Promise<T> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const head = await readHead(store);
    if (head === null) throw refused(store, "its head is gone from the table");
    const { next, done } = await change(head);
    if (next === head.value || (await tryHead(store, head.version, next))) return done;
  }
  throw new StreamError(
    "transient",
    `pipeline "${store.pipeline}": the head could not be changed in ${attemptsMax} attempts; try again`,
  );
}
