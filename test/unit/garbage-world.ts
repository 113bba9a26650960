import { storeBody } from "../../lib/checkpoint/bodies.js";
import { collect } from "../../lib/checkpoint/collect.js";
import { type Complete, checkRestorable, readerOf, readRestorable } from "../../lib/checkpoint/history.js";
import { taskObjectKey } from "../../lib/checkpoint/names.js";
import { writeSavepointMark } from "../../lib/checkpoint/savepoint-marks.js";
import {
  type CheckpointStore,
  readHead,
  readManifest,
  swapHead,
  swapLease,
  writeAck,
  writeGenerationRecord,
  writeManifest,
  writeMarker,
} from "../../lib/checkpoint/store.js";
import * as transitions from "../../lib/checkpoint/transitions.js";
import { type Verified, verifyCheckpoint } from "../../lib/checkpoint/verify.js";
import { removeSavepoint } from "../../lib/checkpoint/wishes.js";
import type { Ack, CheckpointRef, Committable } from "../../lib/model/checkpoints.js";
import type { Head, Lease } from "../../lib/model/head.js";
import {
  type CheckpointId,
  checkpointId,
  type Generation,
  millis,
  sessionId,
  type TaskId,
} from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import type { SnapshotFile, SnapshotRef } from "../../lib/model/snapshots.js";
import { decodeHeldRows, encodeHeldRows } from "../../lib/runtime/held-bodies.js";
import { CborWriter } from "../../lib/state/cbor-writer.js";
import { fileHeader, type SnapshotKind, sliceHeaderItem } from "../../lib/state/snapshot-format.js";
import { memoryBlobs } from "../../lib/testing/memory/blobs.js";
import { memoryRegisters } from "../../lib/testing/memory/registers.js";
import type { Random } from "../../lib/testing/seeded/random.js";
import { ack, incarnation, manifest, now, pending, record, task0, task1 } from "./checkpoint-samples.js";
import { acked, type Channel, placesOf, type Shape, stagesOf, trafficOf } from "./garbage-channels.js";

/** What a session has in memory: it may ask for all of it until it is dead. */
export interface Life {
  readonly task: TaskId;
  readonly generation: Generation;
  readonly channel: Channel | null;
  readonly acks: Map<CheckpointId, Ack>;
  /** The ack that its lease names. */
  leased: CheckpointId | null;
  deadline: number;
  snapshot: SnapshotRef;
  committables: readonly Committable[];
  lastAck: CheckpointId | null;
}

export class Crash extends Error {}

const minute = 60_000;
const tasks = [task0, task1] as const;

/**
 * The life of a pipeline, in the documents that it leaves: real names, real bytes, real transitions of the head; only the records are
 * missing. Removals may be cut off after any number of things.
 */
export function garbageWorld(
  random: Random,
  retained: number,
  { channels = false }: { readonly channels?: boolean } = {},
) {
  const registers = memoryRegisters();
  const bucket = memoryBlobs();
  let at: number = now;
  let session = 0;
  let removalsLeft = Number.POSITIVE_INFINITY;
  let isTorn = false;
  /** A removal whose answer nobody hears any more may happen all the same, before or after others. */
  const spend = async (remove: () => Promise<void>): Promise<void> => {
    removalsLeft--;
    const isOver = removalsLeft < 0;
    if (!isOver || (isTorn && random.chance(0.5))) await remove();
    if (isOver) throw new Crash();
  };
  const clock = {
    now: () => millis(at),
    sleep: async (length: number) => {
      at += length;
    },
    random: (bytes: number) => random.bytes(bytes),
  };
  const store: CheckpointStore = {
    pipeline: "p",
    clock,
    blobs: {
      ...bucket.blobs,
      async remove(keys) {
        for (const key of keys) await spend(() => bucket.blobs.remove([key]));
      },
    },
    registers: {
      ...registers.registers,
      async remove(key) {
        await spend(() => registers.registers.remove(key));
      },
    },
  };
  const traffic = trafficOf(store, random);
  const shape = (): Shape | null =>
    channels ? { producers: random.between(1, 3), consumers: random.between(1, 3) } : null;
  let lives: Life[] = [];
  const zombies: Life[] = [];
  /** Written again by whoever completed them and slept for long. */
  const late: CheckpointRef[] = [];
  const completed: CheckpointRef[] = [];
  const markedLate = new Set<number>();
  /** By hash: what came before it in its lineage. */
  const previousOf = new Map<string, CheckpointRef | null>();

  const read = async (): Promise<{ version: number; value: Head }> => {
    const found = await readHead(store);
    if (found === null) throw new Error("there is no head");
    return found;
  };
  const move = async (change: (head: Head) => Head | null): Promise<boolean> => {
    const { version, value } = await read();
    const next = change(value);
    return next !== null && (await swapHead(store, version, next)).kind === "swapped";
  };
  const objectOf = ({ generation, task }: Life, checkpoint: CheckpointId) => ({
    pipeline: "p",
    incarnation,
    generation,
    checkpointId: checkpoint,
    task,
  });

  async function upload(life: Life, id: CheckpointId, kind: SnapshotKind): Promise<SnapshotFile> {
    const name = sessionId(`s${++session}`);
    const { bytes, slice } = snapshotBytes(kind, random);
    const body = await storeBody(bucket.blobs, taskObjectKey(objectOf(life, id), `state-${kind}`, name), bytes);
    return { format: 1, body, session: name, epoch: id, slices: [slice] };
  }

  async function hold(life: Life, id: CheckpointId): Promise<Committable> {
    const rows = [{ key: "k", row: { pad: text(random, 5_000) }, change: "put", seq: 1 } as const];
    const key = taskObjectKey(objectOf(life, id), "held-0", sessionId(`s${++session}`));
    const body = await storeBody(bucket.blobs, key, encodeHeldRows(rows));
    const of = { generation: life.generation, epoch: checkpointId(0), task: life.task };
    return { sink: "t", target: "t", kind: "held", ...of, checkpointId: id, index: 0, body, records: 1 };
  }

  /** B2, B3: what a task leaves for a checkpoint. */
  async function cut(life: Life, id: CheckpointId): Promise<Ack> {
    const { snapshot } = life;
    if (random.chance(0.8)) {
      const kind = snapshot.base === null || snapshot.deltas.length > 2 || random.chance(0.15) ? "base" : "delta";
      const file = await upload(life, id, kind);
      life.snapshot =
        kind === "base" ? { format: 1, base: file, deltas: [] } : { ...snapshot, deltas: [...snapshot.deltas, file] };
    }
    if (random.chance(0.7)) life.committables = [...life.committables, await hold(life, id)];
    const list = random.chance(0.3) ? await storeList(life, id) : life.committables;
    const made = ack({
      generation: life.generation,
      checkpointId: id,
      task: life.task,
      session: sessionId(`s${++session}`),
      snapshot: life.snapshot,
      committables: list,
      ...acked(life.channel),
      // Some acks are too long for an item.
      positions: random.chance(0.15) ? { [text(random, 70_000)]: [] } : {},
    });
    await writeAck(store, incarnation, made);
    life.lastAck = id;
    life.acks.set(id, made);
    return made;
  }

  async function storeList(life: Life, id: CheckpointId) {
    const bytes = Buffer.from(JSON.stringify(life.committables).padEnd(5_000));
    return storeBody(
      bucket.blobs,
      taskObjectKey(objectOf(life, id), "committables", sessionId(`s${++session}`)),
      bytes,
    );
  }

  /** What is known to be committed goes from the list, sooner or later (C1). */
  const commit = (head: Head) => {
    const done = head.completed?.checkpointId ?? 0;
    for (const life of lives)
      if (random.chance(0.6)) life.committables = life.committables.filter((item) => item.checkpointId > done);
  };

  const lease = (life: Life, version: number | null, ackId: CheckpointId | null, holder: Lease["holder"]) =>
    swapLease(store, incarnation, version, {
      format: 1,
      generation: life.generation,
      task: life.task,
      ack: ackId,
      sessions: { since: millis(at), count: 1 },
      holder,
    } as Lease);

  const held = (life: Life): Lease["holder"] => ({
    kind: "held",
    session: sessionId(`s${++session}`),
    requestId: "q",
    since: millis(at),
    deadline: millis(life.deadline),
  });
  const leaseVersions = new Map<string, number>();

  async function setLease(life: Life, ackId: CheckpointId | null, holder: Lease["holder"]): Promise<void> {
    const place = `${life.generation}/${life.task}`;
    const version = leaseVersions.get(place) ?? null;
    await lease(life, version, ackId, holder);
    life.leased = ackId;
    leaseVersions.set(place, (version ?? 0) + 1);
  }

  async function start(generation: Generation, origin: CheckpointRef | null, shaped: Shape | null): Promise<void> {
    zombies.push(...lives);
    const from = origin === null ? null : await readerOf(store, (await read()).value)(origin);
    const places =
      shaped === null ? tasks.map((task) => ({ task, channel: null })) : placesOf(shaped, generation, from);
    lives = places.map(({ task, channel }) => {
      const before = from?.tasks.find((one) => one.task === task);
      return {
        task,
        generation,
        channel,
        acks: new Map(),
        leased: null,
        deadline: at + random.between(1, 15) * minute,
        snapshot: before?.snapshot ?? { format: 1, base: null, deltas: [] },
        committables: [],
        lastAck: null,
      };
    });
    for (const [index, life] of lives.entries()) {
      const before = from?.tasks[index];
      life.committables = before === undefined ? [] : await listOf(before);
      // A generation may end before anybody took its lease.
      if (random.chance(0.9)) await setLease(life, null, held(life));
    }
  }

  async function listOf(from: Ack): Promise<readonly Committable[]> {
    if (!("kind" in from.committables)) return from.committables;
    const list = from.committables;
    const bytes = list.kind === "object" ? bucket.all().get(list.key) : Buffer.from(list.base64, "base64");
    if (bytes === undefined) throw new Error(`the list of ${from.checkpointId} is gone`);
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as readonly Committable[];
  }

  async function begin(): Promise<void> {
    const shaped = shape();
    const generationRecord = await writeGenerationRecord(store, record(stagesOf(shaped)));
    const head = transitions.createHead(incarnation, {
      generationRecord,
      reason: "start",
      origin: null,
      now: millis(at),
      failure: null,
    });
    await swapHead(store, null, head);
    await start(head.generation, null, shaped);
  }

  /** G3, R2. */
  async function open(origin: CheckpointRef | null): Promise<void> {
    const { version, value } = await read();
    if (origin !== null) await checkRestorable(store, value, origin);
    const generation = transitions.nextGeneration(value);
    const shaped = shape();
    const library = `${random.int(1_000)}`;
    const made = record({ generation, origin, shards: null, library, ...stagesOf(shaped) });
    const generationRecord = await writeGenerationRecord(store, made);
    // A loser's record stays behind.
    if (random.chance(0.3)) await writeGenerationRecord(store, { ...made, library: "loser" });
    const next = transitions.openGeneration(value, {
      generationRecord,
      reason: origin === value.completed ? "failure" : "replay",
      origin,
      now: millis(at),
      failure: null,
    });
    if ((await swapHead(store, version, next)).kind === "swapped") await start(generation, origin, shaped);
  }

  const leaveBehind = async () => {
    const id = (await read()).value.nextCheckpointId;
    for (const life of lives) await upload(life, checkpointId(id), "base");
  };

  /** B1 to B4, R1, R7; how it ends is drawn. */
  async function checkpoint(
    ends: "complete" | "abort",
    savepoint: string | null,
    alignment: "aligned" | "unaligned" = "unaligned",
  ): Promise<void> {
    const head = (await read()).value;
    const id = head.nextCheckpointId;
    commit(head);
    const asked = pending({
      checkpointId: id,
      savepoint: savepoint === null ? null : { name: savepoint, requestId: `r${id}` },
    });
    if (!(await move((value) => (value.pending === null ? transitions.trigger(value, asked) : null)))) return;
    if (random.chance(0.1)) await leaveBehind();
    const acking = ends === "complete" ? lives : lives.filter(() => random.chance(0.5));
    if (alignment === "aligned") traffic.drain(lives);
    const acks: Ack[] = [];
    for (const life of acking) acks.push(await cut(life, id));
    // What is sent and taken after the cut is in no checkpoint.
    if (channels && random.chance(0.7)) await traffic.flow(lives);
    if (ends === "abort") return void (await move((value) => transitions.abort(value, millis(at))));
    const { value } = await read();
    const made = manifest({
      generation: value.generation,
      generationRecord: value.generationRecord,
      checkpointId: id,
      savepoint,
      previous: value.completed,
      origin: value.origin,
      tasks: acks,
    });
    const ref = await writeManifest(store, made);
    // Two folders may write two manifests.
    if (random.chance(0.1)) await writeManifest(store, { ...made, triggeredAt: millis(made.triggeredAt - 1) });
    const won = await move((current) => {
      const next = transitions.complete(current, ref, millis(at), null);
      return next;
    });
    if (!won) return;
    completed.push(ref);
    previousOf.set(ref.sha256, value.completed);
    if (random.chance(0.1)) late.push(ref);
    if (savepoint !== null) await writeSavepointMark(store, incarnation, ref, savepoint);
    await writeMarker(store, incarnation, ref);
  }

  async function handOver(): Promise<void> {
    for (const life of lives) {
      // N1: nothing was sent or taken after the ack.
      if (traffic.moved(life)) continue;
      if (life.lastAck === null || !leaseVersions.has(`${life.generation}/${life.task}`)) continue;
      await setLease(life, life.lastAck, { kind: "free", since: millis(at) });
      life.deadline = at + 15 * minute;
      if (random.chance(0.7)) await setLease(life, life.lastAck, held(life));
    }
  }

  return {
    store,
    completed,
    markedLate,
    /** As it was last seen. */
    floor: 0,
    /** Ids of the lineage of a checkpoint, newest first. */
    lineage(from: CheckpointRef | null): readonly number[] {
      const ids: number[] = [];
      for (let ref = from; ref !== null; ref = previousOf.get(ref.sha256) ?? null) ids.push(ref.checkpointId);
      return ids;
    },
    read,
    begin,
    open,
    checkpoint,
    handOver,
    leaveBehind,
    traffic,
    hasChannels: channels,
    /** Frames come and go, those of sessions that should be dead too. */
    flow: () => traffic.flow([...lives, ...zombies.filter((life) => life.deadline > at && random.chance(0.3))]),
    objects: () => [...bucket.all().keys()],
    items: () => registers.all().map(({ key }) => key.name),
    bucket,
    registers,
    pass: (length: number) => {
      at += length;
    },
    /** Who completed a checkpoint long ago marks it now. */
    async markLate(): Promise<void> {
      const ref = late.shift();
      if (ref === undefined) return;
      markedLate.add(ref.checkpointId);
      await writeMarker(store, incarnation, ref);
    },
    async deleteSavepoint(): Promise<void> {
      const { savepoints } = (await read()).value;
      // Also the one that a generation was opened from: it stays restorable as what is complete (G1).
      if (savepoints.length > 0) await removeSavepoint(store, random.pick(savepoints).name);
    },
    /** G1, by what was seen to complete; not by the code that collects. */
    async restorable(): Promise<readonly Complete[]> {
      const { value: head } = await read();
      const named = new Set<string>([...head.savepoints.map((one) => one.sha256), head.completed?.sha256 ?? ""]);
      const refs = completed.filter((ref) => ref.checkpointId >= head.floor || named.has(ref.sha256)).reverse();
      return Promise.all(refs.map(async (ref) => ({ ref, manifest: await readManifest(store, incarnation, ref) })));
    },
    /** What the code says of it. */
    listed: async () => readRestorable(readerOf(store, (await read()).value), (await read()).value),
    /** Cut off after so many removals; null: not at all. Torn: some of those under way then happen, in whatever order. */
    async collect(cutOff: number | null, ends: "clean" | "torn" = "clean"): Promise<boolean> {
      isTorn = ends === "torn";
      removalsLeft = cutOff ?? Number.POSITIVE_INFINITY;
      try {
        return (await collect(store, { retained, deadline: millis(at + minute) })) !== null;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        return true;
      } finally {
        removalsLeft = Number.POSITIVE_INFINITY;
      }
    },
    /** Sessions that run, or may yet run. */
    sessions: () => [...lives, ...zombies.filter((life) => life.deadline > at)],
    lives: () => lives,
    verify: (ref: CheckpointRef): Promise<Verified> => verifyWhole(store, ref),
  };
}

export type GarbageWorld = ReturnType<typeof garbageWorld>;

export const verifyWhole = (store: CheckpointStore, ref: CheckpointRef, of = incarnation): Promise<Verified> =>
  verifyCheckpoint(store, of, ref, {
    countRows: (bytes) => decodeHeldRows(bytes).length,
    onProgress: () => undefined,
  });

const text = (random: Random, length: number) =>
  Buffer.from(random.bytes(8))
    .toString("hex")
    .repeat(length / 16);

/** A snapshot file with one slice of a few keys, too long to stand in a document. */
export function snapshotBytes(kind: SnapshotKind, random: Random) {
  const writer = new CborWriter();
  writer.value(
    sliceHeaderItem({ operator: "count", stateVersion: 1, columns: [{ name: "n", kind: "value" }] } as never),
  );
  const keys = random.between(1, 5);
  for (let key = 0; key < keys; key++) writer.value([key, `key ${key}`, [text(random, 5_000)]]);
  const part = writer.take();
  const header = fileHeader(kind);
  const slice = {
    operator: "count",
    stateVersion: 1,
    keyGroups: [0, 127] as const,
    offset: header.length,
    length: part.length,
    keys,
    codec: "cbor" as const,
    sha256: sha256(part),
  };
  return { bytes: Buffer.concat([header, part]), slice };
}
