import type { CheckpointRef } from "../model/checkpoints.js";
import type { Lane } from "../model/frames.js";
import {
  type CheckpointId,
  checkpointId,
  type Generation,
  generation,
  padded,
  type SessionId,
  type Sha256,
  type TaskId,
} from "../model/ids.js";

// R6: a name is only ever written with one content. Incarnation and generation are in every one of them; padded, so that they sort as numbers.

const generationPart = (incarnation: string, generation: Generation) => `${incarnation}/${padded(generation, 8)}`;
const checkpointPart = (incarnation: string, generation: Generation, checkpointId: CheckpointId) =>
  `${generationPart(incarnation, generation)}/${padded(checkpointId, 12)}`;

export const headName = "head";
export const desiredName = "desired";
export const watchName = "watch";
/** Advisory: what the last collection saw (G1). */
export const collectedName = "collected";

export const generationRecordName = (incarnation: string, generation: Generation, sha: Sha256): string =>
  `generation/${generationPart(incarnation, generation)}/${sha}`;
export const leaseName = (incarnation: string, generation: Generation, task: TaskId): string =>
  `lease/${generationPart(incarnation, generation)}/${task}`;
export const progressName = (incarnation: string, generation: Generation, task: TaskId): string =>
  `progress/${generationPart(incarnation, generation)}/${task}`;
export const ackPrefix = (incarnation: string, generation: Generation, checkpointId: CheckpointId): string =>
  `ack/${checkpointPart(incarnation, generation, checkpointId)}/`;
export const ackName = (
  incarnation: string,
  generation: Generation,
  checkpointId: CheckpointId,
  task: TaskId,
): string => `${ackPrefix(incarnation, generation, checkpointId)}${task}`;
export const manifestName = (incarnation: string, ref: CheckpointRef): string =>
  `manifest/${checkpointPart(incarnation, ref.generation, ref.checkpointId)}/${ref.sha256}`;

/** Objects of one task at one checkpoint lie together: `…/<what>-<session or hash>`. */
export const taskObjectKey = (
  at: {
    readonly pipeline: string;
    readonly incarnation: string;
    readonly generation: Generation;
    readonly checkpointId: CheckpointId;
    readonly task: TaskId;
  },
  what: string,
  unique: SessionId | Sha256,
): string =>
  `${at.pipeline}/${checkpointPart(at.incarnation, at.generation, at.checkpointId)}/${at.task}/${what}-${unique}`;

/** The same place as one plain word, for what lies outside of the bucket (C4). */
export const taskObjectName = (at: {
  readonly incarnation: string;
  readonly generation: Generation;
  readonly checkpointId: CheckpointId;
  readonly task: TaskId;
}): string => `${checkpointPart(at.incarnation, at.generation, at.checkpointId)}/${at.task}`.replaceAll("/", "-");

export const manifestKey = (pipeline: string, incarnation: string, ref: CheckpointRef): string =>
  `${pipeline}/${checkpointPart(incarnation, ref.generation, ref.checkpointId)}/manifest-${ref.sha256}.json`;

/** R7: in the bucket a checkpoint counts as complete where this stands. */
export const markerKey = (pipeline: string, incarnation: string, checkpointId: CheckpointId): string =>
  `${pipeline}/${incarnation}/completed/${padded(checkpointId, 12)}`;
export const markerPrefix = (pipeline: string, incarnation: string): string => `${pipeline}/${incarnation}/completed/`;

/** R7: in the bucket a checkpoint is a savepoint where this stands, and {@link markerKey}. */
export const savepointKey = (pipeline: string, incarnation: string, ref: CheckpointRef, name: string): string =>
  `${savepointPrefix(pipeline, incarnation)}${padded(ref.checkpointId, 12)}-${ref.sha256}/${name}`;
export const savepointPrefix = (pipeline: string, incarnation: string): string =>
  `${pipeline}/${incarnation}/savepoints/`;

/** The copy of a generation record, so that the bucket alone says which generations were opened, and where their output went (R7). */
export const generationRecordKey = (
  pipeline: string,
  incarnation: string,
  generation: Generation,
  sha: Sha256,
): string => `${pipeline}/${generationPart(incarnation, generation)}/generation-${sha}.json`;

/** E1: notes of a lane lie together, in the order of its frames. */
export const notePrefix = ({ incarnation, generation, edge, producer }: Lane): string =>
  `note/${generationPart(incarnation, generation)}/${edge}/${padded(producer, 3)}/`;
export const noteName = (lane: Lane, n: number): string => `${notePrefix(lane)}${padded(n, 12)}`;

/** E5: what the tasks of a generation have told lies together. */
export const newsPrefix = ({ incarnation, generation }: Pick<Lane, "incarnation" | "generation">): string =>
  `news/${generationPart(incarnation, generation)}/`;
export const newsName = (of: Omit<Lane, "edge">): string => `${newsPrefix(of)}${padded(of.producer, 3)}`;

export const frameKey = (pipeline: string, lane: Lane, n: number, session: SessionId): string => {
  const { incarnation, generation, edge, producer } = lane;
  const place = `${generationPart(incarnation, generation)}/frames/${edge}/${padded(producer, 3)}`;
  return `${pipeline}/${place}/${padded(n, 12)}-${session}`;
};

export const pipelinePrefix = (pipeline: string): string => `${pipeline}/`;
export const incarnationPrefix = (pipeline: string, incarnation: string): string => `${pipeline}/${incarnation}/`;

/** The incarnation in the key of an object of this pipeline; null where it is none of ours. */
export function incarnationIn(pipeline: string, key: string): string | null {
  return /^([0-9a-f]{12})\//.exec(key.slice(pipelinePrefix(pipeline).length))?.[1] ?? null;
}

/** What a name says of a frame (E1). */
export interface FrameName {
  readonly generation: Generation;
  readonly edge: string;
  readonly producer: number;
  readonly n: number;
}

/** The checkpoint that has a name, as the bucket says it (R7). */
export interface SavepointMark {
  readonly checkpointId: CheckpointId;
  readonly sha256: Sha256;
  readonly name: string;
}

/** What an object's key says it is. "part": snapshots, held output, lists, long acks. */
export type ObjectName =
  | { readonly kind: "marker"; readonly checkpointId: CheckpointId }
  | ({ readonly kind: "savepoint" } & SavepointMark)
  | { readonly kind: "manifest"; readonly ref: CheckpointRef }
  | { readonly kind: "record"; readonly generation: Generation; readonly sha256: Sha256 }
  | ({ readonly kind: "frame" } & FrameName)
  | {
      readonly kind: "part";
      readonly generation: Generation;
      readonly checkpointId: CheckpointId;
      /** An ack that is too long for its item. */
      readonly isAck: boolean;
    };

/** @param prefix of the incarnation. Null for what this version has no name for: whose it is nobody knows. */
export function parseObjectKey(prefix: string, key: string): ObjectName | null {
  if (!key.startsWith(prefix)) return null;
  const rest = key.slice(prefix.length);
  const marker = /^completed\/(\d{12,})$/.exec(rest);
  if (marker !== null) return { kind: "marker", checkpointId: checkpointId(Number(marker[1])) };
  const savepoint = /^savepoints\/(\d{12,})-([0-9a-f]{64})\/([^/]+)$/.exec(rest);
  if (savepoint !== null) {
    const [, id, hash, name = ""] = savepoint;
    return { kind: "savepoint", checkpointId: checkpointId(Number(id)), sha256: hash as Sha256, name };
  }
  const record = /^(\d{8,})\/generation-([0-9a-f]{64})\.json$/.exec(rest);
  if (record !== null) {
    return { kind: "record", generation: generation(Number(record[1])), sha256: record[2] as Sha256 };
  }
  const frame = /^(\d{8,})\/frames\/([^/]+)\/(\d{3,})\/(\d{12,})-[^/]+$/.exec(rest);
  if (frame !== null) return { kind: "frame", ...frameName(frame) };
  const [, g, c, name] = /^(\d{8,})\/(\d{12,})\/(.+)$/.exec(rest) ?? [];
  if (name === undefined) return null;
  const at = { generation: generation(Number(g)), checkpointId: checkpointId(Number(c)) };
  const copy = /^manifest-([0-9a-f]{64})\.json$/.exec(name);
  if (copy !== null) return { kind: "manifest", ref: { ...at, sha256: copy[1] as Sha256 } };
  return { kind: "part", ...at, isAck: /^[^/]+\/ack-/.test(name) };
}

const frameName = ([, g, edge = "", producer, n]: RegExpExecArray): FrameName => ({
  generation: generation(Number(g)),
  edge,
  producer: Number(producer),
  n: Number(n),
});

/** What an item's name says it is: those that collection may remove. */
export type ItemName =
  | { readonly kind: "record"; readonly generation: Generation; readonly sha256: Sha256 }
  | { readonly kind: "lease" | "progress"; readonly generation: Generation; readonly task: TaskId }
  | {
      readonly kind: "ack";
      readonly generation: Generation;
      readonly checkpointId: CheckpointId;
      readonly task: TaskId;
    }
  | ({ readonly kind: "note" } & FrameName)
  | { readonly kind: "news"; readonly generation: Generation }
  | { readonly kind: "manifest"; readonly ref: CheckpointRef };

/** The names of the items of an incarnation that are collected begin with these. */
export const itemPrefixes = (incarnation: string) =>
  ({
    record: `generation/${incarnation}/`,
    lease: `lease/${incarnation}/`,
    progress: `progress/${incarnation}/`,
    ack: `ack/${incarnation}/`,
    note: `note/${incarnation}/`,
    news: `news/${incarnation}/`,
    manifest: `manifest/${incarnation}/`,
  }) as const;

/** Null for what is of another incarnation, or is never collected. */
export function parseItemName(incarnation: string, name: string): ItemName | null {
  const [what = "", of = "", g = "", a = "", b = ""] = name.split("/");
  if (of !== incarnation || !/^\d{8,}$/.test(g)) return null;
  const at = generation(Number(g));
  if (what === "generation") return { kind: "record", generation: at, sha256: a as Sha256 };
  if (what === "lease" || what === "progress") return { kind: what, generation: at, task: a as TaskId };
  if (what === "news") return { kind: "news", generation: at };
  if (what === "note") {
    const note = /^note\/[^/]+\/(\d{8,})\/([^/]+)\/(\d{3,})\/(\d{12,})$/.exec(name);
    return note === null ? null : { kind: "note", ...frameName(note) };
  }
  if (!/^\d{12,}$/.test(a)) return null;
  const id = checkpointId(Number(a));
  if (what === "ack") return { kind: "ack", generation: at, checkpointId: id, task: b as TaskId };
  if (what !== "manifest") return null;
  return { kind: "manifest", ref: { generation: at, checkpointId: id, sha256: b as Sha256 } };
}
