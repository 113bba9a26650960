import type { Manifest } from "../../model/checkpoints.js";
import type { Head } from "../../model/head.js";
import { padded } from "../../model/ids.js";
import type { Process } from "../faults/process.js";
import type { Cloud } from "./cloud.js";
import { inFlightOf } from "./in-flight.js";
import type { Completed } from "./lineage.js";
import type { Stage } from "./stage.js";
import { pipelineName } from "./tally-pipeline.js";

/** What a complete checkpoint needs to be restored. */
interface Needs {
  readonly completed: Completed;
  /** Keys of objects. */
  readonly objects: ReadonlySet<string>;
  /** Names of items. */
  readonly items: ReadonlySet<string>;
}

/** G1, G2: what a restorable checkpoint needs stays, and in the end nothing else does. Knows nothing of how garbage is found. */
export class Keeping {
  readonly #stage: Stage;
  readonly #cloud: Cloud;
  /** Objects that were removed once. */
  readonly #gone = new Set<string>();
  readonly #needs: Needs[] = [];
  /** Removed at any time. */
  removed = 0;

  constructor(stage: Stage, cloud: Cloud) {
    this.#stage = stage;
    this.#cloud = cloud;
  }

  async add(head: Head, completed: Completed): Promise<void> {
    const { manifest, ref } = completed;
    const { incarnation } = head;
    const objects = new Set(objectsIn(manifest));
    for (const ack of manifest.tasks) {
      const list = ack.committables;
      if (!("kind" in list) || list.kind !== "object") continue;
      const bytes = await this.#cloud.blobs.blobs.get(list.key);
      for (const key of objectsIn(JSON.parse(Buffer.from(bytes ?? "[]").toString("utf8")))) objects.add(key);
    }
    const inFlight = await inFlightOf(this.#cloud, manifest);
    for (const key of inFlight.objects) objects.add(key);
    const generation = padded(ref.generation, 8);
    const at = `${incarnation}/${generation}/${padded(ref.checkpointId, 12)}`;
    objects.add(`${pipelineName}/${at}/manifest-${ref.sha256}.json`);
    const record = `generation/${incarnation}/${generation}/${manifest.generationRecord}`;
    const items = new Set([`manifest/${at}/${ref.sha256}`, record, ...inFlight.items]);
    this.#needs.push({ completed, objects, items });
  }

  isRestorable(head: Head, { ref }: Completed): boolean {
    const named = [head.completed, ...head.savepoints];
    return ref.checkpointId >= head.floor || named.some((one) => one?.sha256 === ref.sha256);
  }

  /** The moment at which an object goes: no restorable checkpoint needs it, and none that the bucket calls complete. */
  removedObject(process: Process, head: Head | null, key: string): void {
    this.removed++;
    // A completer that stood still may mark a checkpoint again that went meanwhile. Nobody trusts a marker whose objects are gone.
    this.#gone.add(key);
    for (const { completed, objects } of this.#needs) {
      if (!objects.has(key)) continue;
      const { checkpointId } = completed.ref;
      if (head !== null && this.isRestorable(head, completed))
        this.#stage.violated(`G2: ${process.name} removes ${key}, which checkpoint ${checkpointId} needs`);
      const marker = head === null ? "" : markerOf(head, checkpointId);
      if (this.#cloud.blobs.has(marker) && !this.#gone.has(marker))
        this.#stage.violated(`G2: ${process.name} removes ${key} before the marker of checkpoint ${checkpointId}`);
    }
  }

  removedItem(process: Process, head: Head | null, name: string): void {
    this.removed++;
    for (const { completed, items } of this.#needs) {
      if (head !== null && items.has(name) && this.isRestorable(head, completed))
        this.#stage.violated(`G2: ${process.name} removes ${name}, which ${completed.ref.checkpointId} needs`);
    }
  }

  /** A savepoint is whole for as long as the head names it, however far below the floor. */
  checkSavepoints(head: Head): void {
    if (head.savepoints.length === 0) return;
    const own = this.#cloud.registers.all().filter(({ key }) => key.group === pipelineName);
    const items = new Set(own.map(({ key }) => key.name));
    for (const { sha256, name } of head.savepoints) {
      const needs = this.#needs.find(({ completed }) => completed.ref.sha256 === sha256);
      if (needs === undefined) continue;
      const missing = [
        ...[...needs.objects].filter((key) => !this.#cloud.blobs.has(key)),
        ...[...needs.items].filter((item) => !items.has(item)),
      ];
      if (missing.length > 0) this.#stage.violated(`G2: savepoint ${name} is without ${missing}`);
    }
  }

  /** When all is long at rest, and the collector has had its time: what is left is needed. */
  checkLeftovers(head: Head): void {
    const restorable = this.#needs.filter(({ completed }) => this.isRestorable(head, completed));
    const objects = new Set(restorable.flatMap((needs) => [...needs.objects]));
    const items = new Set(restorable.flatMap((needs) => [...needs.items]));
    const { incarnation, floor } = head;
    for (const key of this.#cloud.blobs.keys()) {
      const [, , generation = "", checkpoint = ""] = key.split("/");
      const isMarker = generation === "completed";
      // The mark of a checkpoint that was to be a savepoint may come late, and stay: nobody trusts it without the checkpoint's own marker.
      const isMark = generation === "savepoints";
      const isKept =
        isMark ||
        (isMarker
          ? restorable.some(({ completed }) => key === markerOf(head, completed.ref.checkpointId))
          : objects.has(key) || isOfRecord(key, restorable, head));
      // Of the newest generation everything from the floor on may stay, for a session might still need it; and what was prepared for
      // a generation that was never opened.
      const isNew =
        !isMarker &&
        Number(generation) >= head.generation &&
        (checkpoint.startsWith("generation-") || checkpoint === "frames" || Number(checkpoint) >= floor);
      if (key.startsWith(`${pipelineName}/${incarnation}/`) && !isKept && !isNew)
        this.#stage.violated(`G1: ${key} is left over; the floor is ${floor}`);
    }
    for (const { key } of this.#cloud.registers.all()) {
      if (key.group !== pipelineName) continue;
      const [what = "", of, generation = ""] = key.name.split("/");
      if (of !== incarnation || items.has(key.name) || Number(generation) >= head.generation) continue;
      this.#stage.violated(`G1: ${what} ${key.name} is left over; the floor is ${floor}`);
    }
  }
}

/** The copy of the record of a generation that is the head's, or that a restorable checkpoint is of. */
const isOfRecord = (key: string, restorable: readonly Needs[], head: Head): boolean =>
  [head.generationRecord, ...restorable.map(({ completed }) => completed.manifest.generationRecord)].some((sha) =>
    key.endsWith(`/generation-${sha}.json`),
  );

const markerOf = (head: Head, checkpointId: number): string =>
  `${pipelineName}/${head.incarnation}/completed/${padded(checkpointId, 12)}`;

/** References to objects, wherever in a document they stand. */
function objectsIn(document: Manifest | unknown): readonly string[] {
  if (typeof document !== "object" || document === null) return [];
  const { kind, key } = document as { readonly kind?: unknown; readonly key?: unknown };
  const own = kind === "object" && typeof key === "string" ? [key] : [];
  return [...own, ...Object.values(document).flatMap(objectsIn)];
}
