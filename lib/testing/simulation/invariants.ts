import { canonicalJson } from "../../model/canonical-json.js";
import type { Ack, CheckpointRef, Manifest } from "../../model/checkpoints.js";
import type { Desired, GenerationRecord, Head, Lease } from "../../model/head.js";
import { padded } from "../../model/ids.js";
import { sha256 } from "../../model/sha256.js";
import type { ShardTable } from "../../model/shards.js";
import type { RegisterKey } from "../../ports/registers.js";
import type { TablePut } from "../../ports/tables.js";
import type { Process } from "../faults/process.js";
import { Backlog } from "./backlog.js";
import type { Cloud, Watch } from "./cloud.js";
import { checkHeadMove, sameRef } from "./head-moves.js";
import { Keeping } from "./keeping.js";
import { Lineage, type LineageParts } from "./lineage.js";
import type { Profile } from "./profile.js";
import type { Stage } from "./stage.js";
import { sourceNames } from "./tally-pipeline.js";
import type { Output } from "./targets.js";

/** What R6 lets change: everything else is written once. */
const changing = /^(head|desired|watch|collected)$|^(lease|progress|news)\//;

/** Checked at every step, not at the end: each method names the rule that it holds. */
export class Invariants implements Watch {
  readonly lineage: Lineage;
  readonly keeping: Keeping;
  /** Savepoints that a person wants to be gone, by name. */
  readonly deleted = new Set<string>();
  head: Head | null = null;
  desired: Desired | null = null;
  /** The request that the running generation fulfils. */
  requestId: string | null = null;
  /** Checkpoints after which nobody completed another one in their lineage. */
  readonly tips = new Set<number>();
  /** By generation: from what it was opened. */
  readonly origins = new Map<number, CheckpointRef | null>();
  /** By generation: what its rows say, and where they go. */
  readonly outputs = new Map<number, Output>();
  readonly #backlog: Backlog;
  readonly #stage: Stage;
  readonly #cloud: Cloud;
  readonly #facts = new Map<string, string>();
  /** Generation records, by their hash. */
  readonly #records = new Map<string, string>();
  readonly #objects = new Map<string, string>();
  /** All that people ever asked for. */
  readonly #requests = new Map<string, Desired["request"]>();
  /** By lease: who took it last. */
  readonly #holders = new Map<string, Process>();
  /** Leases that are failed or done. */
  readonly #over = new Set<string>();
  readonly #versions = new Map<Process, string>();
  /** Of the running generation. */
  #record: GenerationRecord | null = null;
  readonly #retained: number;
  /** By process: the release that it sent. */
  readonly #releases = new Map<Process, string>();

  constructor(parts: LineageParts, profile: Profile) {
    this.#backlog = new Backlog(parts.stage, profile);
    this.lineage = new Lineage(parts);
    this.keeping = new Keeping(parts.stage, parts.cloud);
    this.#stage = parts.stage;
    this.#cloud = parts.cloud;
    this.#retained = parts.plan.settings.retained;
  }

  started(process: Process, functionVersion: string): void {
    this.#versions.set(process, functionVersion);
  }

  /** P4: one checkpoint never mixes code. */
  #checkVersion(process: Process, what: string): void {
    const [mine, its] = [this.#versions.get(process), this.#record?.functionVersion];
    if (mine !== its) this.#stage.violated(`P4: ${process.name} of version ${mine} ${what} of version ${its}`);
  }

  sent(process: Process, name: string, args: readonly unknown[]): void {
    if (!process.isAlive) return;
    this.#checkAfterRelease(process, name, args);
    if (name === "registers.swap") this.#noteRelease(process, args[0] as RegisterKey, args[2] as string);
    if (name === "tables.put") this.lineage.checkPut(process, args[0] as TablePut, this.#outputOf(process));
  }

  /** R5, N1: after a session has sent its release it may send it again, look at the lease, and call its successor. */
  #checkAfterRelease(process: Process, name: string, args: readonly unknown[]): void {
    const release = this.#releases.get(process);
    if (release === undefined || name.startsWith("functions.")) return;
    const key = args[0] as Partial<RegisterKey>;
    const again = name === "registers.swap" && `${key.name} ${args[2]}` === release;
    const look = name === "registers.read" && key.name?.startsWith("lease/") === true;
    if (!again && !look) this.#stage.violated(`R5: ${process.name} sends ${name} after its release`);
  }

  #noteRelease(process: Process, key: RegisterKey, body: string): void {
    if (!key.name.startsWith("lease/") || this.#holders.get(key.name) !== process) return;
    if ((JSON.parse(body) as Lease).holder.kind !== "held") this.#releases.set(process, `${key.name} ${body}`);
  }

  written(process: Process, put: TablePut): void {
    this.lineage.written(process, put, generationOf(process));
  }

  #outputOf(process: Process): Output {
    return this.outputs.get(generationOf(process)) ?? { version: "none", modes: {} };
  }

  /** R6: a name of an object has one content. */
  stored(process: Process, key: string, bytes: Uint8Array): void {
    const hash = sha256(bytes);
    const before = this.#objects.get(key) ?? hash;
    if (before !== hash) this.#stage.violated(`R6: ${process.name} puts another content under ${key}`);
    this.#objects.set(key, hash);
  }

  removedObjects(process: Process, keys: readonly string[]): void {
    for (const key of keys) this.keeping.removedObject(process, this.head, key);
  }

  removedItem(process: Process, key: RegisterKey): void {
    this.keeping.removedItem(process, this.head, key.name);
  }

  async swapped(process: Process, key: RegisterKey, expected: number | null, body: string): Promise<void> {
    const { name } = key;
    if (!changing.test(name)) this.#checkFact(process, name, expected, body);
    if (name.startsWith("lease/")) this.#checkLease(process, name, JSON.parse(body) as Lease);
    if (name.startsWith("ack/")) this.#checkAck(process, (await this.#document(body)) as Ack, name);
    if (name.startsWith("note/")) this.#backlog.announced(name, body);
    if (name === "desired") this.#noteWish(JSON.parse(body) as Desired);
    if (name === "head") await this.#moveHead(process, key, JSON.parse(body) as Head);
  }

  replaced(_process: Process, { name }: RegisterKey, body: string): void {
    if (name.startsWith("progress/")) this.#backlog.told(body);
  }

  #noteWish(desired: Desired): void {
    this.desired = desired;
    if (desired.request !== null) this.#requests.set(desired.request.id, desired.request);
  }

  #checkFact(process: Process, name: string, expected: number | null, body: string): void {
    if (expected !== null || (this.#facts.get(name) ?? body) !== body)
      this.#stage.violated(`R6: ${process.name} changes the fact ${name}`);
    this.#facts.set(name, body);
    if (name.startsWith("generation/")) this.#records.set(name.slice(name.lastIndexOf("/") + 1), body);
  }

  /** R4: from acquisition to release a lease has one holder. Whoever hears of a failure may note it, and then nobody holds it again. */
  #checkLease(process: Process, name: string, lease: Lease): void {
    const holder = this.#holders.get(name);
    const { kind } = lease.holder;
    if (this.#over.has(name)) this.#stage.violated(`R4: ${process.name} moves ${name}, which is over`);
    if (kind === "held") {
      const isFree = holder === undefined || this.#releases.has(holder);
      if (!isFree)
        this.#stage.violated(`R4: ${process.name} takes ${name} from ${holder.name}, which never released it`);
      this.#holders.set(name, process);
    } else if (kind !== "failed" && holder !== process) {
      this.#stage.violated(`R4: ${process.name} releases ${name}, which ${holder?.name ?? "nobody"} holds`);
    }
    if (kind === "failed" || kind === "done") this.#over.add(name);
  }

  /** R4, B3: acks are written by the holder of the lease, and what they refer to is there. */
  #checkAck(process: Process, ack: Ack, name: string): void {
    const lease = [...this.#holders].find(([key]) => key.endsWith(`/${padded(ack.generation, 8)}/${ack.task}`));
    if (lease?.[1] !== process) this.#stage.violated(`R4: ${process.name} writes ${name} without the lease`);
    if (ack.generation === this.head?.generation) this.#checkVersion(process, `acks ${ack.checkpointId}`);
    const committables = "kind" in ack.committables ? [] : ack.committables;
    for (const item of committables) {
      if (item.kind !== "held") continue;
      const { body } = item;
      if (body.kind === "object" && !this.#objects.has(body.key))
        this.#stage.violated(`B3: ${name} refers to ${body.key}, which is not there`);
    }
    for (const file of [ack.snapshot.base, ...ack.snapshot.deltas]) {
      if (file?.body.kind === "object" && !this.#objects.has(file.body.key))
        this.#stage.violated(`B3: ${name} refers to ${file.body.key}, which is not there`);
    }
  }

  async #moveHead(process: Process, key: RegisterKey, head: Head): Promise<void> {
    const before = this.head;
    const record = this.#records.get(head.generationRecord);
    if (record === undefined) return this.#stage.violated("R6: the generation record of the head is not there");
    this.#record = JSON.parse(record) as GenerationRecord;
    const { requestId, shards } = this.#record;
    if (before?.generation !== head.generation) this.#checkVersion(process, "opens a generation");
    const isRestorable = (ref: CheckpointRef) =>
      before !== null &&
      this.lineage.completed.some((one) => sameRef(one.ref, ref) && this.keeping.isRestorable(before, one));
    const context = { request: this.#requests.get(requestId ?? "") ?? null, isRestorable };
    for (const why of checkHeadMove(before, head, context))
      this.#stage.violated(`${why}: ${process.name} moves the head`);
    if (before !== null) this.#checkSavepoints(before, head);
    for (const { checkpointId } of head.left) this.tips.add(checkpointId);
    this.head = head;
    const wasRequested = this.requestId;
    this.requestId = requestId;
    this.origins.set(head.generation, head.origin);
    const output = { version: this.#record.functionVersion, modes: this.#record.sinks };
    this.outputs.set(head.generation, output);
    if (before !== null && before.generation !== head.generation) this.#checkModes(before, head, wasRequested);
    if (before === null) this.#begin(shards);
    this.lineage.enter(shards);
    if (before !== null && head.floor > before.floor) this.#checkFloor(head);
    const ended = head.status === "stopped" || head.status === "suspended" || head.status === "finished";
    if (ended && before?.status !== head.status) this.lineage.checkAtRest(head.status);
    if (before !== null && before.generation !== head.generation)
      this.lineage.backTo(head.origin, this.#targets(before, head));
    else if (!sameRef(head.completed, before?.completed ?? null)) {
      this.#checkVersion(process, "completes a checkpoint");
      await this.#complete(key, head, before, output);
    }
    this.keeping.checkSavepoints(head);
  }

  /** W2: the sinks of a generation are as before, but for those that its request names. */
  #checkModes(before: Head, after: Head, wasRequested: string | null): void {
    const [then, now] = [before, after].map(({ generation }) => this.outputs.get(generation)?.modes ?? {});
    const request = this.requestId === wasRequested ? null : this.#requests.get(this.requestId ?? "");
    if (canonicalJson({ ...then, ...request?.sinks }) !== canonicalJson(now))
      this.#stage.violated(`W2: generation ${after.generation} writes ${canonicalJson(now)}`);
  }

  #targets(before: Head, after: Head): "the same" | "others" {
    const [then, now] = [before, after].map(({ generation }) =>
      canonicalJson(this.outputs.get(generation)?.modes ?? {}),
    );
    return then === now ? "the same" : "others";
  }

  /** G1: what is kept until it is deleted goes when a person deletes it, and is what was complete. */
  #checkSavepoints(before: Head, after: Head): void {
    for (const { name, checkpointId } of before.savepoints) {
      const isKept = after.savepoints.some((one) => one.name === name && one.checkpointId === checkpointId);
      if (!isKept && !this.deleted.has(name)) this.#stage.violated(`G1: savepoint ${name} goes, which nobody deleted`);
    }
    for (const one of after.savepoints) {
      const isComplete = this.lineage.completed.some(({ ref }) => sameRef(ref, one)) || sameRef(after.completed, one);
      if (!isComplete)
        this.#stage.violated(`R1: savepoint ${one.name} is checkpoint ${one.checkpointId}, which is not complete`);
    }
  }

  /** P0: as the first generation resolved them. */
  #begin(shards: ShardTable | null): void {
    for (const source of sourceNames) {
      const start = shards?.[source]?.start;
      if (typeof start === "number") this.lineage.reach[source].start = start;
    }
  }

  /** G2: the newest ones of the lineage stay, as many as are to be kept. */
  #checkFloor(head: Head): void {
    const kept = this.lineage.back(head.completed).filter(({ ref }) => ref.checkpointId >= head.floor);
    const all = this.lineage.back(head.completed);
    if (kept.length < Math.min(this.#retained, all.length))
      this.#stage.violated(`G2: the floor ${head.floor} leaves ${kept.length} of ${all.length} checkpoints`);
  }

  async #complete(key: RegisterKey, head: Head, before: Head | null, output: Output): Promise<void> {
    const ref = head.completed;
    if (ref === null) return this.#stage.violated("R1: nothing is complete any more");
    const manifest = await this.#manifest(key, head, ref);
    if (manifest === null) return this.#stage.violated(`R1: the manifest of ${ref.checkpointId} is not there`);
    if (sha256(canonicalJson(manifest)) !== ref.sha256) this.#stage.violated(`R6: the manifest has another hash`);
    if (!sameRef(manifest.previous, before?.completed ?? null))
      this.#stage.violated(`R7: checkpoint ${ref.checkpointId} does not follow the one that was complete`);
    await this.keeping.add(head, { ref, manifest });
    await this.lineage.add({ ref, manifest }, output).catch((error: unknown) => {
      this.#stage.violated(`P3: the state of checkpoint ${ref.checkpointId} cannot be read: ${error}`);
    });
  }

  async #manifest(key: RegisterKey, head: Head, ref: CheckpointRef): Promise<Manifest | null> {
    const parts = [head.incarnation, padded(ref.generation, 8), padded(ref.checkpointId, 12)];
    const name = `manifest/${parts.join("/")}/${ref.sha256}`;
    const found = await this.#cloud.registers.registers.read({ group: key.group, name });
    return found === null ? null : ((await this.#document(found.body)) as Manifest);
  }

  /** One that is too long for an item lies in the bucket. */
  async #document(body: string): Promise<unknown> {
    const document = JSON.parse(body) as { readonly "~object"?: string };
    const key = document["~object"];
    if (key === undefined) return document;
    const bytes = await this.#cloud.blobs.blobs.get(key);
    return JSON.parse(Buffer.from(bytes ?? "null").toString("utf8"));
  }
}

/** Of a session. */
const generationOf = ({ name }: Process): number => Number(/\(g(\d+) v/.exec(name)?.[1] ?? 0);
