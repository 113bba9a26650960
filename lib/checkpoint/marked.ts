import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { CheckpointId } from "../model/ids.js";
import { sha256 } from "../model/sha256.js";
import { decodeDocument } from "./documents.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import { type CheckpointStore, decodeManifest } from "./store.js";

// R7: complete checkpoints as the bucket alone tells them, by their markers. The table is not asked, and need not be there.

export type MarkedStore = Omit<CheckpointStore, "registers">;

interface Marker extends CheckpointRef {
  readonly format: 1;
}

/** What the bucket has of an incarnation: ids with a marker, and names of savepoints; each newest first. */
export interface MarkedCheckpoints {
  readonly ids: readonly CheckpointId[];
  readonly savepoints: readonly names.SavepointMark[];
}

export async function listMarked(store: MarkedStore, incarnation: string): Promise<MarkedCheckpoints> {
  const prefix = names.incarnationPrefix(store.pipeline, incarnation);
  const found = async (under: string) => {
    const keys: names.ObjectName[] = [];
    for await (const { key } of store.blobs.list(under)) {
      const name = names.parseObjectKey(prefix, key);
      if (name !== null) keys.push(name);
    }
    return keys;
  };
  const markers = await repeat(store.clock, () => found(names.markerPrefix(store.pipeline, incarnation)));
  const marks = await repeat(store.clock, () => found(names.savepointPrefix(store.pipeline, incarnation)));
  return {
    ids: markers.flatMap((name) => (name.kind === "marker" ? [name.checkpointId] : [])).sort((a, b) => b - a),
    savepoints: marks
      .flatMap((name) => (name.kind === "savepoint" ? [name] : []))
      .sort((a, b) => b.checkpointId - a.checkpointId),
  };
}

/** The manifest of a marked checkpoint. @throws StreamError `corrupt` where marker or manifest is gone or changed */
export async function readMarked(
  store: MarkedStore,
  incarnation: string,
  id: CheckpointId,
): Promise<{ readonly ref: CheckpointRef; readonly manifest: Manifest }> {
  const ref = await readMarker(store, incarnation, id);
  return { ref, manifest: await readCopy(store, incarnation, ref) };
}

/** @throws StreamError `corrupt` where it is gone, or is of another checkpoint */
export async function readMarker(store: MarkedStore, incarnation: string, id: CheckpointId): Promise<CheckpointRef> {
  const key = names.markerKey(store.pipeline, incarnation, id);
  const bytes = await repeat(store.clock, () => store.blobs.get(key));
  if (bytes === null) throw new StreamError("corrupt", `its marker ${key} is gone`);
  const text = Buffer.from(bytes).toString("utf8");
  const marker = decodeDocument<Marker>(text, key, ["generation", "checkpointId", "sha256"]);
  if (marker.checkpointId !== id) throw new StreamError("corrupt", `its marker ${key} names ${marker.checkpointId}`);
  return { generation: marker.generation, checkpointId: marker.checkpointId, sha256: marker.sha256 };
}

/** The copy of a manifest in the bucket. @throws StreamError `corrupt` where it is gone, or not what was written (P3) */
export async function readCopy(store: MarkedStore, incarnation: string, ref: CheckpointRef): Promise<Manifest> {
  const key = names.manifestKey(store.pipeline, incarnation, ref);
  const bytes = await repeat(store.clock, () => store.blobs.get(key));
  if (bytes === null) throw new StreamError("corrupt", `its manifest ${key} is gone`);
  const text = Buffer.from(bytes).toString("utf8");
  if (sha256(text) !== ref.sha256)
    throw new StreamError("corrupt", `its manifest ${key} has SHA-256 ${sha256(text)}, not ${ref.sha256}`);
  const manifest = decodeManifest(text, key);
  if (manifest.pipeline === store.pipeline && manifest.incarnation === incarnation) return manifest;
  throw new StreamError(
    "corrupt",
    `its manifest ${key} is of pipeline "${manifest.pipeline}", ${manifest.incarnation}`,
  );
}
