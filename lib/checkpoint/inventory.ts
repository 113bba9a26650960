import type { Ack, Committable, Manifest } from "../model/checkpoints.js";
import type { Head, Lease } from "../model/head.js";
import type { Millis } from "../model/ids.js";
import { sha256 } from "../model/sha256.js";
import { loadBody } from "./bodies.js";
import { decodeDocument, encodeDocument } from "./documents.js";
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

/** Reads all that decides, and judges everything, before anything is deleted. */
export async function takeStock(
  store: CheckpointStore,
  from: {
    readonly head: Head;
    readonly now: Millis;
    readonly ripe: Seen | null;
    readonly manifests: ManifestItems;
    readonly most: number;
  },
): Promise<Inventory> {
  const { head, now, ripe, manifests } = from;
  const prefixes = names.itemPrefixes(head.incarnation);
  const [leaseItems, ackItems, others] = await Promise.all([
    listItems(store, prefixes.lease),
    listItems(store, prefixes.ack),
    Promise.all([listItems(store, prefixes.record), listItems(store, prefixes.progress)]),
  ]);
  const leases = leaseItems.map(({ name, body }) =>
    decodeDocument<Lease>(body, name, ["generation", "task", "holder"]),
  );
  const counting = countingAcks(
    ackItems.flatMap((item) => ackItem(head, item) ?? []),
    { now, head, ripe, leases },
  );
  const restorable = await readRestorable(manifests.read, head);
  const acks = new Set(counting.map(({ name }) => name));
  const referenced = await referencesOf(
    store,
    restorable,
    ackItems.filter(({ name }) => acks.has(name)),
  );
  const stock: Stock = { now, head, ripe, restorable, leases, referenced, acks };
  const judged = judge(stock);
  const items = [...leaseItems, ...ackItems, ...others.flat(), ...manifests.items].map(({ name }) => name);
  const objects = await repeat(store.clock, () => listGarbage(store, head, judged, from.most));
  return { stock, garbage: byStage(objects.found, judgeItems(head, judged, items)), isWhole: objects.isWhole };
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

/** Objects lie by generation and checkpoint: the listing ends where nothing can go any more. Markers lie by themselves. */
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
  restorable: readonly Complete[],
  ackItems: readonly Item[],
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
  for (const { name, body } of ackItems) {
    const object = objectOf(body, name);
    if (object !== null) keys.add(object);
    await add(await decodeAck(store, name, body));
  }
  return keys;
}

/** C1: what an ack lists, wherever it lies. @throws StreamError `corrupt` where the list is gone or changed */
export async function readList(store: CheckpointStore, ack: Ack): Promise<readonly Committable[]> {
  const list = ack.committables;
  if (!("kind" in list)) return list;
  const bytes = await repeat(store.clock, () => loadBody(store.blobs, list));
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as readonly Committable[];
}
