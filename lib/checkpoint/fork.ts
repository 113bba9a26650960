import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { checkpointId, generation, type Sha256 } from "../model/ids.js";
import type { SinkModes } from "../pipeline/sink-modes.js";
import { type Copying, copyParts } from "./fork-copy.js";
import { leftOfFork } from "./fork-removal.js";
import { checkRestorable } from "./history.js";
import { checkNeverRan } from "./incarnations.js";
import { readToBefore } from "./opening.js";
import { repeat } from "./repeat.js";
import { writeSavepointMark } from "./savepoint-marks.js";
import {
  type CheckpointStore,
  readGenerationRecord,
  readHead,
  readManifest,
  swapHead,
  writeGenerationRecord,
  writeManifest,
  writeMarker,
} from "./store.js";
import { createHead } from "./transitions.js";
import { watchedFrom } from "./watch.js";

// A fork is a pipeline of its own, with its own name, incarnation and prefix, that begins with a copy of another one's checkpoint. So
// nothing of its origin need be kept for it, and whatever becomes of the one is nothing to the other. It has none of its origin's
// output that waits to be written (C2), and its sinks are redirected or run dry, for as long as it lives.

export interface ForkOptions {
  readonly from: CheckpointRef;
  readonly dropped: readonly string[];
  /** Of every sink of its code: redirect or dry-run. */
  readonly sinks: SinkModes;
  readonly fingerprint: Sha256;
  readonly library: string;
}

/** The name of the checkpoint that a fork began with, among its savepoints. */
export const originName = "origin";

/**
 * Makes a fork, which is stopped at its first checkpoint: a start opens its first generation. Cut short anywhere it leaves no pipeline:
 * it may be made again, and {@link removeFork} removes what it has left.
 *
 * @param into a pipeline that is not there yet
 * @throws StreamError `invalid`: it is there, or something is left of one that has run; the checkpoint is no longer kept (G3); `corrupt`: P3
 */
export async function makeFork(origin: CheckpointStore, into: CheckpointStore, options: ForkOptions): Promise<Head> {
  const head = (await readHead(origin))?.value ?? null;
  if (head === null) throw new StreamError("invalid", `pipeline "${origin.pipeline}" has no checkpoint to fork from`);
  const { from } = options;
  await checkRestorable(origin, head, from);
  if ((await readHead(into)) !== null)
    throw new StreamError("invalid", `there is a pipeline "${into.pipeline}" already; give the fork another name`);
  if ((await leftOfFork(into)) === "nothing") await checkNeverRan(into);
  const incarnation = Buffer.from(into.clock.random(6)).toString("hex");
  const copying: Copying = {
    from: { store: origin, incarnation: head.incarnation },
    to: { store: into, incarnation },
  };
  const manifest = await readManifest(origin, head.incarnation, from);
  const made = await readGenerationRecord(origin, { ...head, ...recordNameOf(manifest) });
  const forkOf = { pipeline: origin.pipeline, incarnation: head.incarnation, checkpointId: from.checkpointId };
  // Before all else: what is left of it where this is cut short is known for a fork's.
  const generationRecord = await writeGenerationRecord(into, { ...made, pipeline: into.pipeline, incarnation, forkOf });
  const copied = await copyManifest(copying, manifest, generationRecord);
  const readTo = (await watchedFrom(origin, from)) ?? readToBefore(await readGenerationRecord(origin, head), from);
  const first = { made, forkOf, copied, readTo, incarnation };
  const next = await headOfFork(into, first, options);
  const swapped = await repeat(into.clock, () => swapHead(into, null, next));
  if (swapped.kind === "swapped" || (await readHead(into))?.value.incarnation === incarnation) return next;
  throw new StreamError("fenced", `somebody else has made the pipeline "${into.pipeline}" meanwhile`);
}

const recordNameOf = ({ generation: of, generationRecord }: Manifest) => ({ generation: of, generationRecord });

async function copyManifest(copying: Copying, manifest: Manifest, generationRecord: Sha256): Promise<CheckpointRef> {
  const { store, incarnation } = copying.to;
  const snapshots = await copyParts(copying, manifest);
  // C2: what its origin has prepared is its origin's to write.
  const tasks = manifest.tasks.map((ack, index) => ({
    ...ack,
    snapshot: snapshots[index] ?? ack.snapshot,
    committables: [],
  }));
  const own = {
    pipeline: store.pipeline,
    incarnation,
    generationRecord,
    previous: null,
    origin: null,
    savepoint: null,
  };
  const ref = await writeManifest(store, { ...manifest, ...own, tasks });
  await writeMarker(store, incarnation, ref);
  await writeSavepointMark(store, incarnation, ref, originName);
  return ref;
}

interface First {
  /** The generation that made the checkpoint. */
  readonly made: GenerationRecord;
  readonly forkOf: NonNullable<GenerationRecord["forkOf"]>;
  readonly copied: CheckpointRef;
  readonly readTo: GenerationRecord["readTo"];
  readonly incarnation: string;
}

/** A generation that never ran, as of a pipeline that was recovered (R7). */
async function headOfFork(into: CheckpointStore, first: First, options: ForkOptions): Promise<Head> {
  const { made, forkOf, copied, readTo, incarnation } = first;
  const now = into.clock.now();
  const record: GenerationRecord = {
    ...made,
    pipeline: into.pipeline,
    incarnation,
    generation: generation(copied.generation + 1),
    reason: "start",
    requestId: null,
    origin: copied,
    fingerprint: options.fingerprint,
    functionVersion: "none",
    deployment: 0,
    fallback: null,
    library: options.library,
    shards: null,
    readTo,
    dropped: options.dropped,
    sinks: options.sinks,
    forkOf,
  };
  const generationRecord = await writeGenerationRecord(into, record);
  return {
    ...createHead(incarnation, { generationRecord, reason: "start", origin: null, now, failure: null }),
    generation: record.generation,
    origin: copied,
    completed: copied,
    endedAt: now,
    nextCheckpointId: checkpointId(copied.checkpointId + 1),
    status: "stopped",
    floor: copied.checkpointId,
    savepoints: [{ ...copied, name: originName, requestId: null }],
  };
}
