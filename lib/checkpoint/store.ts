import type { Ack, CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Desired, GenerationRecord, Head, Lease, Progress } from "../model/head.js";
import type { CheckpointId, Generation, Sha256, TaskId } from "../model/ids.js";
import { sha256 } from "../model/sha256.js";
import type { Blobs } from "../ports/blobs.js";
import type { Clock } from "../ports/clock.js";
import type { Register, Registers, Swapped } from "../ports/registers.js";
import { decodeDocument, encodeDocument } from "./documents.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";

/** A document and the version of the item that holds it. */
export interface Versioned<T> {
  readonly version: number;
  readonly value: T;
}

/** Where the protocol's documents of one pipeline are kept. Reads are repeated; a swap is the caller's to judge (R5). */
export interface CheckpointStore {
  readonly pipeline: string;
  readonly registers: Registers;
  readonly blobs: Blobs;
  readonly clock: Clock;
}

/** Of an ack or manifest; above it the document lies in the bucket and the item holds its name. */
export const documentInlineMax = 64 * 1024;

const headMembers = ["incarnation", "generation", "generationRecord", "status", "nextCheckpointId"] as const;
const ackMembers = ["generation", "checkpointId", "task", "snapshot", "positions", "committables"] as const;
const manifestMembers = ["pipeline", "incarnation", "checkpointId", "shards", "tasks"] as const;

export const readHead = (store: CheckpointStore): Promise<Versioned<Head> | null> =>
  readRegister(store, names.headName, (text, where) => decodeDocument<Head>(text, where, headMembers));

export const swapHead = (store: CheckpointStore, expected: number | null, head: Head): Promise<Swapped> =>
  store.registers.swap(at(store, names.headName), expected, encodeDocument(head));

export const readDesired = (store: CheckpointStore): Promise<Versioned<Desired> | null> =>
  readRegister(store, names.desiredName, (text, where) =>
    decodeDocument<Desired>(text, where, ["state", "code", "request"]),
  );

export const swapDesired = (store: CheckpointStore, expected: number | null, desired: Desired): Promise<Swapped> =>
  store.registers.swap(at(store, names.desiredName), expected, encodeDocument(desired));

export const readLease = (
  store: CheckpointStore,
  incarnation: string,
  generation: Generation,
  task: TaskId,
): Promise<Versioned<Lease> | null> =>
  readRegister(store, names.leaseName(incarnation, generation, task), (text, where) =>
    decodeDocument<Lease>(text, where, ["generation", "task", "holder"]),
  );

export const swapLease = (
  store: CheckpointStore,
  incarnation: string,
  expected: number | null,
  lease: Lease,
): Promise<Swapped> =>
  store.registers.swap(
    at(store, names.leaseName(incarnation, lease.generation, lease.task)),
    expected,
    encodeDocument(lease),
  );

export const readProgress = async (
  store: CheckpointStore,
  incarnation: string,
  generation: Generation,
  task: TaskId,
): Promise<Progress | null> => {
  const found = await readRegister(store, names.progressName(incarnation, generation, task), (text, where) =>
    decodeDocument<Progress>(text, where, ["generation", "task", "changed"]),
  );
  return found?.value ?? null;
};

/** Advisory: a failure costs time only, and is the caller's to ignore. */
export const putProgress = (store: CheckpointStore, incarnation: string, progress: Progress): Promise<void> =>
  store.registers.put(
    at(store, names.progressName(incarnation, progress.generation, progress.task)),
    encodeDocument(progress),
  );

/** R6: written first, under its hash; the head selects it. */
export async function writeGenerationRecord(store: CheckpointStore, record: GenerationRecord): Promise<Sha256> {
  const text = encodeDocument(record);
  const hash = sha256(text);
  await createFact(store, names.generationRecordName(record.incarnation, record.generation, hash), text);
  return hash;
}

export async function readGenerationRecord(
  store: CheckpointStore,
  head: Pick<Head, "incarnation" | "generation" | "generationRecord">,
): Promise<GenerationRecord> {
  const name = names.generationRecordName(head.incarnation, head.generation, head.generationRecord);
  const text = await mustRead(store, name);
  checkHash(text, head.generationRecord, name);
  return decodeDocument<GenerationRecord>(text, name, ["pipeline", "generation", "fingerprint", "stages"]);
}

export async function writeAck(store: CheckpointStore, incarnation: string, ack: Ack): Promise<void> {
  const name = names.ackName(incarnation, ack.generation, ack.checkpointId, ack.task);
  const text = encodeDocument(ack);
  const key = names.taskObjectKey(
    {
      pipeline: store.pipeline,
      incarnation,
      generation: ack.generation,
      checkpointId: ack.checkpointId,
      task: ack.task,
    },
    "ack",
    sha256(text),
  );
  await createFact(store, name, await byReferenceWhereLong(store, key, text));
}

export async function readAck(
  store: CheckpointStore,
  incarnation: string,
  generation: Generation,
  checkpointId: CheckpointId,
  task: TaskId,
): Promise<Ack | null> {
  const name = names.ackName(incarnation, generation, checkpointId, task);
  const found = await repeat(store.clock, () => store.registers.read(at(store, name)));
  return found === null ? null : decodeDocument<Ack>(await resolve(store, name, found.body), name, ackMembers);
}

/** All acks of a checkpoint. */
export async function listAcks(
  store: CheckpointStore,
  incarnation: string,
  generation: Generation,
  checkpointId: CheckpointId,
): Promise<readonly Ack[]> {
  const prefix = names.ackPrefix(incarnation, generation, checkpointId);
  const found = await repeat(store.clock, () => store.registers.list(store.pipeline, prefix));
  return Promise.all(
    found.map(async ({ name, register }) =>
      decodeDocument<Ack>(await resolve(store, name, register.body), name, ackMembers),
    ),
  );
}

/** R6, R7: the manifest under its hash, and its copy in the bucket. Both stand before R1. */
export async function writeManifest(store: CheckpointStore, manifest: Manifest): Promise<CheckpointRef> {
  const text = encodeDocument(manifest);
  const ref: CheckpointRef = {
    generation: manifest.generation,
    checkpointId: manifest.checkpointId,
    sha256: sha256(text),
  };
  const key = names.manifestKey(store.pipeline, manifest.incarnation, ref);
  await repeat(store.clock, () => store.blobs.put(key, Buffer.from(text, "utf8")));
  const body = Buffer.byteLength(text) <= documentInlineMax ? text : pointerTo(key, text);
  await createFact(store, names.manifestName(manifest.incarnation, ref), body);
  return ref;
}

/** P3: the manifest, once its bytes have the hash that names it. */
export async function readManifest(store: CheckpointStore, incarnation: string, ref: CheckpointRef): Promise<Manifest> {
  const name = names.manifestName(incarnation, ref);
  const found = await repeat(store.clock, () => store.registers.read(at(store, name)));
  const text = found === null ? null : await resolve(store, name, found.body).catch(() => null);
  if (text !== null && sha256(text) === ref.sha256) return decodeDocument<Manifest>(text, name, manifestMembers);
  return readManifestCopy(store, incarnation, ref);
}

/** R7: the copy in the bucket stands in for an item that is gone or changed. */
async function readManifestCopy(store: CheckpointStore, incarnation: string, ref: CheckpointRef): Promise<Manifest> {
  const key = names.manifestKey(store.pipeline, incarnation, ref);
  const bytes = await repeat(store.clock, () => store.blobs.get(key));
  const text = bytes === null ? null : Buffer.from(bytes).toString("utf8");
  if (text !== null && sha256(text) === ref.sha256) return decodeDocument<Manifest>(text, key, manifestMembers);
  throw new StreamError(
    "corrupt",
    `pipeline "${store.pipeline}": the manifest of checkpoint ${ref.checkpointId} is gone or changed, in the item ${names.manifestName(incarnation, ref)} and in its copy ${key} (SHA-256 ${ref.sha256}); bring one of them back from a backup`,
  );
}

/** R7: after R1, so that the bucket alone tells which checkpoints are complete. */
export async function writeMarker(store: CheckpointStore, incarnation: string, ref: CheckpointRef): Promise<void> {
  const key = names.markerKey(store.pipeline, incarnation, ref.checkpointId);
  const text = encodeDocument({ format: 1, ...ref });
  await repeat(store.clock, () => store.blobs.put(key, Buffer.from(text, "utf8")));
}

const at = (store: CheckpointStore, name: string) => ({ group: store.pipeline, name });

async function readRegister<T>(
  store: CheckpointStore,
  name: string,
  decode: (text: string, where: string) => T,
): Promise<Versioned<T> | null> {
  const found: Register | null = await repeat(store.clock, () => store.registers.read(at(store, name)));
  return found === null ? null : { version: found.version, value: decode(found.body, `${store.pipeline}: ${name}`) };
}

/** Facts are created once; an answer that was lost is repeated with the same bytes (R5). Another content under the name is a bug (R6). */
async function createFact(store: CheckpointStore, name: string, text: string): Promise<void> {
  const made = await repeat(store.clock, () => store.registers.swap(at(store, name), null, text));
  if (made.kind === "conflict" && made.current?.body !== text) {
    throw new StreamError("bug", `${store.pipeline}: ${name} is there with another content (R6)`);
  }
}

async function mustRead(store: CheckpointStore, name: string): Promise<string> {
  const found = await repeat(store.clock, () => store.registers.read(at(store, name)));
  if (found === null)
    throw new StreamError("corrupt", `${store.pipeline}: ${name} is gone, although the head refers to it`);
  return found.body;
}

const pointerMark = '{"~object":';

const pointerTo = (key: string, text: string): string =>
  `${pointerMark}${JSON.stringify(key)},"sha256":"${sha256(text)}"}`;

async function byReferenceWhereLong(store: CheckpointStore, key: string, text: string): Promise<string> {
  if (Buffer.byteLength(text) <= documentInlineMax) return text;
  await repeat(store.clock, () => store.blobs.put(key, Buffer.from(text, "utf8")));
  return pointerTo(key, text);
}

async function resolve(store: CheckpointStore, name: string, body: string): Promise<string> {
  if (!body.startsWith(pointerMark)) return body;
  const pointer = parsePointer(body, name);
  const bytes = await repeat(store.clock, () => store.blobs.get(pointer["~object"]));
  if (bytes === null) throw new StreamError("corrupt", `${pointer["~object"]} is gone, although ${name} refers to it`);
  const text = Buffer.from(bytes).toString("utf8");
  checkHash(text, pointer.sha256, pointer["~object"]);
  return text;
}

function parsePointer(body: string, name: string): { readonly "~object": string; readonly sha256: Sha256 } {
  try {
    return JSON.parse(body) as { readonly "~object": string; readonly sha256: Sha256 };
  } catch (cause) {
    throw new StreamError("corrupt", `${name} is not what was written: its reference is cut short`, { cause });
  }
}

function checkHash(text: string, expected: Sha256, where: string): void {
  const found = sha256(text);
  if (found !== expected) throw new StreamError("corrupt", `${where} has SHA-256 ${found}, not ${expected}`);
}
