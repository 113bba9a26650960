import type { Ack, Committable, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head, Lease } from "../model/head.js";
import type { Generation, Millis } from "../model/ids.js";
import { sha256 } from "../model/sha256.js";
import { loadBody } from "./bodies.js";
import { decodeDocument, encodeDocument } from "./documents.js";
import { listFrames } from "./frame-inventory.js";
import { type FrameFacts, frontiersOf, namedFrames } from "./frames-garbage.js";
import {
  type AckItem,
  type Collected,
  countingAcks,
  type Garbage,
  isBeyond,
  type Judge,
  judge,
  type Seen,
  type Stage,
  type Stock,
  storedKeysIn,
} from "./garbage.js";
import { type Complete, type ManifestReader, readRestorable } from "./history.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, decodeAck, decodeManifest, objectOf, readManifest } from "./store.js";

const collectedAt = (store: CheckpointStore) => ({ group: store.pipeline, name: names.collectedName });

export async function readCollected(store: CheckpointStore): Promise<Collected | null> {
  const found = await repeat(store.clock, () => store.registers.read(collectedAt(store)));
  if (found === null) return null;
  return decodeDocument<Collected>(found.body, names.collectedName, ["incarnation", "at", "completed", "seen", "more"]);
}

/** Advisory, so without a condition: one that comes late costs time. */
export const writeCollected = (store: CheckpointStore, collected: Collected): Promise<void> =>
  repeat(store.clock, () => store.registers.put(collectedAt(store), encodeDocument(collected)));

interface Item {
  readonly name: string;
  readonly body: string;
}

/** The items of manifests: those that count, and those that are to go. */
export interface ManifestItems {
  readonly items: readonly Item[];
  readonly read: ManifestReader;
}

/** All in one request, instead of one for each. */
export async function listManifests(store: CheckpointStore, head: Head): Promise<ManifestItems> {
  const { incarnation } = head;
  const items = await listItems(store, names.itemPrefixes(incarnation).manifest);
  const bodies = new Map(items.map(({ name, body }) => [name, body]));
  const known = new Map<string, Manifest>();
  const read: ManifestReader = async (ref) => {
    const before = known.get(ref.sha256);
    if (before !== undefined) return before;
    const name = names.manifestName(incarnation, ref);
    const body = bodies.get(name);
    const isWhole = body !== undefined && sha256(body) === ref.sha256;
    const manifest = isWhole ? decodeManifest(body, name) : await readManifest(store, incarnation, ref);
    known.set(ref.sha256, manifest);
    return manifest;
  };
  return { items, read };
}

async function listItems(store: CheckpointStore, prefix: string): Promise<readonly Item[]> {
  const found = await repeat(store.clock, () => store.registers.list(store.pipeline, prefix));
  return found.map(({ name, register }) => ({ name, body: register.body }));
}

export interface Inventory {
  readonly stock: Stock;
  readonly garbage: Garbage;
  /** False where there is more than was asked for. */
  readonly isWhole: boolean;
}

interface From {
  readonly head: Head;
  readonly now: Millis;
  readonly ripe: Seen | null;
  readonly manifests: ManifestItems;
}

/** Reads all that decides, and judges everything, before anything is deleted. */
export async function takeStock(store: CheckpointStore, from: From & { readonly most: number }): Promise<Inventory> {
  const { head, manifests } = from;
  const { stock, items } = await readStock(store, from);
  const judged = judge(stock);
  const objects = await repeat(store.clock, () => listGarbage(store, head, judged, from.most));
  const frames = await listFrames(store, stock, judged);
  const part = (name: string) => ["part", name] as const;
  const all = [...items, ...manifests.items].map(({ name }) => name);
  const garbage = byStage(
    [...objects.found, ...frames.objects.map(part)],
    [...judgeItems(head, judged, all), ...frames.notes.map(part)],
  );
  return { stock, garbage, isWhole: objects.isWhole && frames.isWhole };
}

async function readStock(
  store: CheckpointStore,
  { head, now, ripe, manifests }: From,
): Promise<{ readonly stock: Stock; readonly items: readonly Item[] }> {
  const prefixes = names.itemPrefixes(head.incarnation);
  const [leaseItems, ackItems, recordItems, ...others] = await Promise.all([
    listItems(store, prefixes.lease),
    listItems(store, prefixes.ack),
    listItems(store, prefixes.record),
    listItems(store, prefixes.progress),
    listItems(store, prefixes.news),
  ]);
  const leases = leaseItems.map(({ name, body }) =>
    decodeDocument<Lease>(body, name, ["generation", "task", "holder"]),
  );
  const counting = countingAcks(
    ackItems.flatMap((item) => ackItem(head, item) ?? []),
    { now, head, ripe, leases },
  );
  const restorable = await readRestorable(manifests.read, head);
  const acks = new Map(counting.map((one) => [one.name, one]));
  const read: CountingAck[] = [];
  for (const { name, body } of ackItems) {
    const counts = acks.get(name);
    if (counts === undefined) continue;
    const ack = await unlessOver(head, counts, decodeAck(store, name, body));
    if (ack !== null) read.push({ object: objectOf(body, name), ack });
  }
  const referenced = await referencesOf(store, head, restorable, read);
  const counted = read.map(({ ack }) => ack);
  const frames: FrameFacts = {
    named: namedFrames(restorable, counted),
    frontiers: frontiersOf(head, recordOf(head, recordItems), counted),
  };
  const items = [...leaseItems, ...ackItems, ...recordItems, ...others.flat()];
  return { stock: { now, head, ripe, restorable, leases, referenced, acks: new Set(acks.keys()), frames }, items };
}

interface CountingAck {
  /** Where it lies, if not in its item. */
  readonly object: string | null;
  readonly ack: Ack;
}

/** What the head's generation runs. Null where that cannot be read: frames of that generation wait then. */
function recordOf(head: Head, items: readonly Item[]): GenerationRecord | null {
  const name = names.generationRecordName(head.incarnation, head.generation, head.generationRecord);
  const found = items.find((item) => item.name === name);
  if (found === undefined || sha256(found.body) !== head.generationRecord) return null;
  return decodeDocument<GenerationRecord>(found.body, name, ["generation", "stages"]);
}

function ackItem(head: Head, { name }: Item): AckItem | null {
  const parsed = names.parseItemName(head.incarnation, name);
  return parsed?.kind === "ack" ? { ...parsed, name } : null;
}

type Judged = readonly (readonly [stage: Stage, name: string])[];

function judgeItems(head: Head, judged: Judge, items: readonly string[]): Judged {
  return items.flatMap((name) => {
    const parsed = names.parseItemName(head.incarnation, name);
    const stage = parsed === null ? null : judged.item(name, parsed);
    return stage === null ? [] : [[stage, name] as const];
  });
}

/**
 * Objects lie by generation and checkpoint, and then the generation's frames: the listing ends where nothing can go any more.
 * Markers lie by themselves.
 */
async function listGarbage(
  store: CheckpointStore,
  head: Head,
  judged: Judge,
  most: number,
): Promise<{ readonly found: Judged; readonly isWhole: boolean }> {
  const found: (readonly [Stage, string])[] = [];
  const prefix = names.incarnationPrefix(store.pipeline, head.incarnation);
  for await (const { key } of store.blobs.list(names.markerPrefix(store.pipeline, head.incarnation))) {
    const name = names.parseObjectKey(prefix, key);
    if (name?.kind === "marker" && name.checkpointId >= head.floor) break;
    if (name !== null && judged.object(key, name) !== null) found.push(["marker", key]);
    if (found.length === most) return { found, isWhole: false };
  }
  for await (const { key } of store.blobs.list(prefix)) {
    const name = names.parseObjectKey(prefix, key);
    if (name?.kind === "marker") break;
    if (name?.kind === "frame" && name.generation >= head.generation) break;
    const at = name?.kind === "part" ? name : name?.kind === "manifest" ? name.ref : null;
    if (at !== null && isBeyond(head, at)) break;
    const stage = name === null ? null : judged.object(key, name);
    if (stage !== null) found.push([stage, key]);
    if (found.length === most) return { found, isWhole: false };
  }
  return { found, isWhole: true };
}

function byStage(objects: Judged, items: Judged): Garbage {
  const of = (stage: Stage, judged: Judged) => judged.filter(([one]) => one === stage).map(([, name]) => name);
  const both = (stage: Stage) => ({ objects: of(stage, objects), items: of(stage, items) });
  return {
    marker: both("marker"),
    ack: both("ack"),
    part: both("part"),
    generation: both("generation"),
    manifest: both("manifest"),
    copy: both("copy"),
  };
}

/** Every object that must stay because something that stays names it. */
async function referencesOf(
  store: CheckpointStore,
  head: Head,
  restorable: readonly Complete[],
  acks: readonly CountingAck[],
): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  const lists = new Set<string>();
  const add = async (ack: Ack) => {
    storedKeysIn(ack, keys);
    const list = ack.committables;
    if (!("kind" in list) || (list.kind === "object" && lists.has(list.key))) return;
    if (list.kind === "object") lists.add(list.key);
    storedKeysIn(await readList(store, ack), keys);
  };
  for (const { manifest } of restorable) for (const ack of manifest.tasks) await add(ack);
  for (const { object, ack } of acks) {
    if (object !== null) keys.add(object);
    await unlessOver(head, ack, add(ack));
  }
  return keys;
}

/**
 * Of a generation that is over parts may be gone before its acks: where what the last collection saw was lost, it counts as living once
 * more. Nothing is restored from its acks, and what is gone keeps nothing.
 */
async function unlessOver<T>(head: Head, of: { readonly generation: Generation }, read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    if (of.generation < head.generation && error instanceof StreamError && error.kind === "corrupt") return null;
    throw error;
  }
}

/** C1: what an ack lists, wherever it lies. @throws StreamError `corrupt` where the list is gone or changed */
export async function readList(store: CheckpointStore, ack: Ack): Promise<readonly Committable[]> {
  const list = ack.committables;
  if (!("kind" in list)) return list;
  const bytes = await repeat(store.clock, () => loadBody(store.blobs, list));
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as readonly Committable[];
}
