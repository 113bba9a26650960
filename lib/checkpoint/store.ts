import type { Ack, CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Desired, GenerationRecord, Head, Lease, Progress, Watch } from "../model/head.js";
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
const recordMembers = ["pipeline", "generation", "fingerprint", "stages"] as const;
const manifestMembers = ["pipeline", "incarnation", "checkpointId", "shards", "tasks"] as const;

export const decodeLease = (text: string, where: string): Lease =>
  decodeDocument<Lease>(text, where, ["generation", "task", "holder"]);
export const decodeProgress = (text: string, where: string): Progress =>
  decodeDocument<Progress>(text, where, ["generation", "task", "changed"]);

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

export const readWatch = (store: CheckpointStore): Promise<Versioned<Watch> | null> =>
  readRegister(store, names.watchName, (text, where) => decodeDocument<Watch>(text, where, ["checkpoint", "readTo"]));

/** By compare-and-set: what an old look says late must not take the place of what a newer one said. */
export const swapWatch = (store: CheckpointStore, expected: number | null, watch: Watch): Promise<Swapped> =>
  store.registers.swap(at(store, names.watchName), expected, encodeDocument(watch));

export const readLease = (
  store: CheckpointStore,
  incarnation: string,
  generation: Generation,
  task: TaskId,
): Promise<Versioned<Lease> | null> => readRegister(store, names.leaseName(incarnation, generation, task), decodeLease);

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
  const found = await readRegister(store, names.progressName(incarnation, generation, task), decodeProgress);
  return found?.value ?? null;
};

/** Advisory: a failure costs time only, and is the caller's to ignore. */
export const putProgress = (store: CheckpointStore, incarnation: string, progress: Progress): Promise<void> =>
  store.registers.put(
    at(store, names.progressName(incarnation, progress.generation, progress.task)),
    encodeDocument(progress),
  );

/** R6, R7: written first, under its hash, and copied into the bucket; the head selects it. */
export async function writeGenerationRecord(store: CheckpointStore, record: GenerationRecord): Promise<Sha256> {
  const text = encodeDocument(record);
  const hash = sha256(text);
  const { incarnation, generation } = record;
  const key = names.generationRecordKey(store.pipeline, incarnation, generation, hash);
  await repeat(store.clock, () => store.blobs.put(key, Buffer.from(text, "utf8")));
  await createFact(store, names.generationRecordName(incarnation, generation, hash), text);
  return hash;
}

/** P3: the record, once its bytes have the hash that names it. */
export async function readGenerationRecord(
  store: CheckpointStore,
  head: Pick<Head, "incarnation" | "generation" | "generationRecord">,
): Promise<GenerationRecord> {
  const { incarnation, generation, generationRecord } = head;
  const name = names.generationRecordName(incarnation, generation, generationRecord);
  const key = names.generationRecordKey(store.pipeline, incarnation, generation, generationRecord);
  const text = await readHashed(store, { name, key, sha256: generationRecord });
  if (text !== null) return decodeDocument<GenerationRecord>(text, name, recordMembers);
  throw new StreamError(
    "corrupt",
    `${store.pipeline}: ${name} is gone or changed, and so is its copy ${key} (SHA-256 ${generationRecord}); bring one of them back from a backup`,
  );
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
  return found === null ? null : decodeAck(store, name, found.body);
}

/** The ack in an item's body. */
export const decodeAck = async (store: CheckpointStore, name: string, body: string): Promise<Ack> =>
  decodeDocument<Ack>(await resolveBody(store, name, body), name, ackMembers);

/** All acks of a checkpoint. */
export async function listAcks(
  store: CheckpointStore,
  incarnation: string,
  generation: Generation,
  checkpointId: CheckpointId,
): Promise<readonly Ack[]> {
  const prefix = names.ackPrefix(incarnation, generation, checkpointId);
  const found = await repeat(store.clock, () => store.registers.list(store.pipeline, prefix));
  return Promise.all(found.map(({ name, register }) => decodeAck(store, name, register.body)));
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
  const key = names.manifestKey(store.pipeline, incarnation, ref);
  const text = await readHashed(store, { name, key, sha256: ref.sha256 });
  if (text !== null) return decodeManifest(text, name);
  throw new StreamError(
    "corrupt",
    `pipeline "${store.pipeline}": the manifest of checkpoint ${ref.checkpointId} is gone or changed, in the item ${name} and in its copy ${key} (SHA-256 ${ref.sha256}); bring one of them back from a backup`,
  );
}

export const decodeManifest = (text: string, where: string): Manifest =>
  decodeDocument<Manifest>(text, where, manifestMembers);

/** R7: the copy in the bucket stands in for an item that is gone or changed. Null where it is, too. */
async function readHashed(
  store: CheckpointStore,
  fact: { readonly name: string; readonly key: string; readonly sha256: Sha256 },
): Promise<string | null> {
  const found = await repeat(store.clock, () => store.registers.read(at(store, fact.name)));
  const text = found === null ? null : await resolveBody(store, fact.name, found.body).catch(unlessPassing);
  if (text !== null && sha256(text) === fact.sha256) return text;
  const bytes = await repeat(store.clock, () => store.blobs.get(fact.key));
  const copy = bytes === null ? null : Buffer.from(bytes).toString("utf8");
  return copy !== null && sha256(copy) === fact.sha256 ? copy : null;
}

/** What passes says nothing of the bytes. */
function unlessPassing(error: unknown): null {
  if (error instanceof StreamError && error.kind === "corrupt") return null;
  throw error;
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

const pointerMark = '{"~object":';

const pointerTo = (key: string, text: string): string =>
  `${pointerMark}${JSON.stringify(key)},"sha256":"${sha256(text)}"}`;

async function byReferenceWhereLong(store: CheckpointStore, key: string, text: string): Promise<string> {
  if (Buffer.byteLength(text) <= documentInlineMax) return text;
  await repeat(store.clock, () => store.blobs.put(key, Buffer.from(text, "utf8")));
  return pointerTo(key, text);
}

/** The object that holds a document instead of its item; null where the item does. */
export const objectOf = (body: string, name: string): string | null =>
  body.startsWith(pointerMark) ? parsePointer(body, name)["~object"] : null;

/** The text of a document, wherever it lies. @throws StreamError `corrupt` where it is gone or changed */
export async function resolveBody(store: CheckpointStore, name: string, body: string): Promise<string> {
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
