import { canonicalJson } from "../../model/canonical-json.js";
import type { Ack, CheckpointRef, Manifest } from "../../model/checkpoints.js";
import type { Desired, GenerationRecord, Head, Lease } from "../../model/head.js";
import { padded } from "../../model/ids.js";
import { sha256 } from "../../model/sha256.js";
import type { RegisterKey } from "../../ports/registers.js";
import type { TablePut } from "../../ports/tables.js";
import type { Cloud, Watch } from "./cloud.js";
import { checkHeadMove, sameRef } from "./head-moves.js";
import type { Input } from "./input.js";
import { includedIn, rowName, rowsOf } from "./oracle.js";
import type { Process, Stage } from "./process.js";

/** A checkpoint that the head was seen to move to. */
export interface Completed {
  readonly ref: CheckpointRef;
  readonly manifest: Manifest;
}

/** What R6 lets change: everything else is written once. */
const changing = /^(head|desired)$|^(lease|progress)\//;

const compressedFromBytes = 1_024;

/** Checked at every step, not at the end: each method names the rule that it holds. */
export class Invariants implements Watch {
  readonly completed: Completed[] = [];
  head: Head | null = null;
  desired: Desired | null = null;
  /** The request that the running generation fulfils. */
  requestId: string | null = null;
  readonly #stage: Stage;
  readonly #cloud: Cloud;
  readonly #input: Input;
  readonly #padding: number;
  readonly #facts = new Map<string, string>();
  readonly #objects = new Map<string, string>();
  /** By lease: who took it last. */
  readonly #holders = new Map<string, Process>();
  /** By process: the release that it sent. */
  readonly #releases = new Map<Process, string>();
  /** By row: every content that a completed checkpoint gives it, oldest first. */
  readonly #contents = new Map<string, string[]>();
  /** By row: which of its contents the table has. */
  readonly #shown = new Map<string, number>();

  constructor(stage: Stage, cloud: Cloud, input: Input, padding: number) {
    this.#stage = stage;
    this.#cloud = cloud;
    this.#input = input;
    this.#padding = padding;
  }

  /** The contents of a row that completed checkpoints gave it. */
  contentsOf(row: string): readonly string[] {
    return this.#contents.get(row) ?? [];
  }

  sent(process: Process, name: string, args: readonly unknown[]): void {
    if (!process.isAlive) return;
    this.#checkAfterRelease(process, name, args);
    if (name === "registers.swap") this.#noteRelease(process, args[0] as RegisterKey, args[1] as string);
    if (name === "tables.put") this.#checkPut(process, args[0] as TablePut);
  }

  /** R5, N1: after a session has sent its release it may send it again, look at the lease, and call its successor. */
  #checkAfterRelease(process: Process, name: string, args: readonly unknown[]): void {
    const release = this.#releases.get(process);
    if (release === undefined || name.startsWith("functions.")) return;
    const key = args[0] as Partial<RegisterKey>;
    const again = name === "registers.swap" && `${key.name} ${args[1]}` === release;
    const look = name === "registers.read" && key.name?.startsWith("lease/") === true;
    if (!again && !look) this.#stage.violated(`R5: ${process.name} sends ${name} after its release`);
  }

  #noteRelease(process: Process, key: RegisterKey, body: string): void {
    if (!key.name.startsWith("lease/") || this.#holders.get(key.name) !== process) return;
    if ((JSON.parse(body) as Lease).holder.kind !== "held") this.#releases.set(process, `${key.name} ${body}`);
  }

  /** R1, C1, C2: a row is sent only as some complete checkpoint has it. */
  #checkPut(process: Process, put: TablePut): void {
    const row = nameOf(put);
    if (this.contentsOf(row).includes(canonicalJson(put.item))) return;
    this.#stage.violated(
      `C2: ${process.name} puts ${canonicalJson(put.item)} into ${row}, which no complete checkpoint holds`,
    );
  }

  /** W1: what a table shows of a key never goes back. */
  written(process: Process, put: TablePut): void {
    const row = nameOf(put);
    const before = this.#shown.get(row) ?? -1;
    const now = this.contentsOf(row).indexOf(canonicalJson(put.item));
    if (now < before) this.#stage.violated(`W1: ${process.name} takes ${row} back to ${canonicalJson(put.item)}`);
    this.#shown.set(row, now);
  }

  /** R6: a name of an object has one content. */
  stored(process: Process, key: string, bytes: Uint8Array): void {
    const hash = sha256(bytes);
    const before = this.#objects.get(key) ?? hash;
    if (before !== hash) this.#stage.violated(`R6: ${process.name} puts another content under ${key}`);
    this.#objects.set(key, hash);
  }

  async swapped(process: Process, key: RegisterKey, expected: number | null, body: string): Promise<void> {
    const { name } = key;
    if (!changing.test(name)) this.#checkFact(process, name, expected, body);
    if (name.startsWith("lease/")) this.#checkLease(process, name, JSON.parse(body) as Lease);
    if (name.startsWith("ack/")) this.#checkAck(process, JSON.parse(body) as Ack, name);
    if (name === "desired") this.desired = JSON.parse(body) as Desired;
    if (name === "head") await this.#moveHead(process, key, JSON.parse(body) as Head);
  }

  #checkFact(process: Process, name: string, expected: number | null, body: string): void {
    if (expected !== null || (this.#facts.get(name) ?? body) !== body)
      this.#stage.violated(`R6: ${process.name} changes the fact ${name}`);
    this.#facts.set(name, body);
  }

  /** R4: from acquisition to release a lease has one holder. */
  #checkLease(process: Process, name: string, lease: Lease): void {
    const holder = this.#holders.get(name);
    if (lease.holder.kind === "held") {
      const released = holder === undefined || this.#releases.has(holder);
      if (!released)
        this.#stage.violated(`R4: ${process.name} takes ${name} from ${holder?.name}, which never released it`);
      this.#holders.set(name, process);
    } else if (holder !== process) {
      this.#stage.violated(`R4: ${process.name} releases ${name}, which ${holder?.name ?? "nobody"} holds`);
    }
  }

  /** R4, B3: acks are written by the holder of the lease, and what they refer to is there. */
  #checkAck(process: Process, ack: Ack, name: string): void {
    const lease = [...this.#holders].find(([key]) => key.endsWith(`/${padded(ack.generation, 8)}/${ack.task}`));
    if (lease?.[1] !== process) this.#stage.violated(`R4: ${process.name} writes ${name} without the lease`);
    const committables = "kind" in ack.committables ? [] : ack.committables;
    for (const { body } of committables) {
      if (body.kind === "object" && !this.#objects.has(body.key))
        this.#stage.violated(`B3: ${name} refers to ${body.key}, which is not there`);
    }
    for (const file of [ack.snapshot.base, ...ack.snapshot.deltas]) {
      if (file?.body.kind === "object" && !this.#objects.has(file.body.key))
        this.#stage.violated(`B3: ${name} refers to ${file.body.key}, which is not there`);
      const large = file?.slices.some((slice) => slice.codec !== "cbor" || slice.length >= compressedFromBytes);
      if (large)
        this.#stage.violated(`simulation: the state of ${name} is so large that it is compressed on other threads`);
    }
  }

  async #moveHead(process: Process, key: RegisterKey, head: Head): Promise<void> {
    const before = this.head;
    for (const why of checkHeadMove(before, head)) this.#stage.violated(`${why}: ${process.name} moves the head`);
    this.head = head;
    const record = [...this.#facts].find(([name]) => name.endsWith(head.generationRecord))?.[1];
    if (record === undefined) return this.#stage.violated("R6: the generation record of the head is not there");
    this.requestId = (JSON.parse(record) as GenerationRecord).requestId;
    const ref = head.completed;
    if (ref === null || sameRef(ref, before?.completed ?? null)) return;
    const manifest = await this.#manifest(key, head, ref);
    if (manifest === null) return this.#stage.violated(`R1: the manifest of ${ref.checkpointId} is not there`);
    if (sha256(canonicalJson(manifest)) !== ref.sha256) this.#stage.violated(`R6: the manifest has another hash`);
    if (!sameRef(manifest.previous, before?.completed ?? null))
      this.#stage.violated(`R7: checkpoint ${ref.checkpointId} does not follow the one that was complete`);
    this.#complete({ ref, manifest });
  }

  async #manifest(key: RegisterKey, head: Head, ref: CheckpointRef): Promise<Manifest | null> {
    const parts = [head.incarnation, padded(ref.generation, 8), padded(ref.checkpointId, 12)];
    const name = `manifest/${parts.join("/")}/${ref.sha256}`;
    const found = await this.#cloud.registers.registers.read({ group: key.group, name });
    return found === null ? null : (JSON.parse(found.body) as Manifest);
  }

  #complete(completed: Completed): void {
    this.completed.push(completed);
    const included = includedIn(this.#input, completed.manifest);
    const before = this.#includedBefore;
    const lost = before.filter((n) => !included.some((put) => put.n === n));
    if (lost.length > 0) this.#stage.violated(`R7: checkpoint ${completed.ref.checkpointId} forgets records ${lost}`);
    this.#includedBefore = included.map(({ n }) => n);
    for (const [row, content] of rowsOf(included, this.#padding)) {
      const contents = this.#contents.get(row) ?? [];
      if (contents.at(-1) !== content) contents.push(content);
      this.#contents.set(row, contents);
    }
  }
  #includedBefore: readonly number[] = [];
}

const nameOf = (put: TablePut): string => rowName(put.table, put.key.map((name) => String(put.item[name])).join("/"));
