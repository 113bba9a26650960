import { StreamError, unreachable } from "../../model/errors.js";
import type { OpenUpload, Part, StoredObject, Tags, Upload } from "./object.js";
import { SortedKeys } from "./sorted-keys.js";

export interface BucketInfo {
  readonly name: string;
  readonly region: string;
  readonly createdMs: number;
}

/** An entry of a bucket's journal: one change that is there wholly or not at all. */
export type Change =
  | { readonly kind: "created"; readonly bucket: BucketInfo }
  | { readonly kind: "put"; readonly key: string; readonly object: StoredObject }
  | { readonly kind: "deleted"; readonly key: string }
  | { readonly kind: "lifecycle"; readonly rules: string | null }
  | { readonly kind: "tagged"; readonly key: string; readonly tags: Tags }
  | { readonly kind: "began"; readonly upload: Upload }
  | { readonly kind: "part"; readonly upload: string; readonly number: number; readonly part: Part }
  | { readonly kind: "completed"; readonly upload: string; readonly object: StoredObject }
  | { readonly kind: "aborted"; readonly upload: string };

export interface BucketState {
  info: BucketInfo | null;
  /** Rules, as XML. null: the bucket has none. */
  lifecycle: string | null;
  readonly objects: Map<string, StoredObject>;
  readonly keys: SortedKeys;
  readonly uploads: Map<string, OpenUpload>;
}

export function emptyState(): BucketState {
  return { info: null, lifecycle: null, objects: new Map(), keys: new SortedKeys(), uploads: new Map() };
}

/** Makes a change and says which content files nothing names any more. The same for a live change and for one read back at start. */
export function applyChange(state: BucketState, change: Change): readonly string[] {
  switch (change.kind) {
    case "created":
      state.info = change.bucket;
      return [];
    case "put":
      return putObject(state, change.key, change.object);
    case "deleted":
      return deleteObject(state, change.key);
    case "lifecycle":
      state.lifecycle = change.rules;
      return [];
    case "tagged": {
      const object = state.objects.get(change.key);
      if (object) state.objects.set(change.key, { ...object, tags: change.tags });
      return [];
    }
    case "began":
      state.uploads.set(change.upload.id, { upload: change.upload, parts: new Map() });
      return [];
    case "part": {
      const { parts } = uploadOf(state, change.upload);
      const before = parts.get(change.number);
      parts.set(change.number, change.part);
      return before ? [before.content] : [];
    }
    case "completed": {
      const { upload } = uploadOf(state, change.upload);
      return [...endUpload(state, change.upload), ...putObject(state, upload.key, change.object)];
    }
    case "aborted":
      return endUpload(state, change.upload);
    default:
      return unreachable(change);
  }
}

/** The shortest journal that gives this state. */
export function* changesOf(state: BucketState): Generator<Change> {
  if (state.info) yield { kind: "created", bucket: state.info };
  if (state.lifecycle !== null) yield { kind: "lifecycle", rules: state.lifecycle };
  for (const [key, object] of state.objects) yield { kind: "put", key, object };
  for (const { upload, parts } of state.uploads.values()) {
    yield { kind: "began", upload };
    for (const [number, part] of parts) yield { kind: "part", upload: upload.id, number, part };
  }
}

/** The content files that the state names. */
export function contentsOf(state: BucketState): Set<string> {
  const names = new Set<string>();
  for (const object of state.objects.values()) names.add(object.content);
  for (const { parts } of state.uploads.values()) for (const part of parts.values()) names.add(part.content);
  return names;
}

function uploadOf(state: BucketState, id: string): OpenUpload {
  const open = state.uploads.get(id);
  if (!open) throw new StreamError("corrupt", `journal: no upload ${id}`);
  return open;
}

function putObject(state: BucketState, key: string, object: StoredObject): readonly string[] {
  const before = state.objects.get(key);
  state.objects.set(key, object);
  if (before) return [before.content];
  state.keys.add(key);
  return [];
}

function deleteObject(state: BucketState, key: string): readonly string[] {
  const before = state.objects.get(key);
  if (!before) return [];
  state.objects.delete(key);
  state.keys.remove(key);
  return [before.content];
}

function endUpload(state: BucketState, id: string): readonly string[] {
  const { parts } = uploadOf(state, id);
  state.uploads.delete(id);
  return [...parts.values()].map((part) => part.content);
}
