import type { StoredChecksum } from "./checksums.js";

export type Tags = readonly (readonly [name: string, value: string])[];

/** What a client says of an object when it writes it. */
export interface Attributes {
  /** Answered on GET and HEAD as they are: `content-type`, `cache-control`, `x-amz-meta-…`; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tags: Tags;
}

/** One object: immutable; an overwrite makes another one with another content file. */
export interface StoredObject extends Attributes {
  /** The name of its content file. */
  readonly content: string;
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  /** Whole seconds, as in the headers of HTTP. */
  readonly modifiedMs: number;
  readonly checksum: StoredChecksum | null;
  /** Sizes of the parts it was uploaded in; empty for an object put in one piece. */
  readonly partSizes: readonly number[];
}

export interface Part {
  readonly content: string;
  readonly size: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: StoredChecksum | null;
}

/** A multipart upload as it was begun. */
export interface Upload extends Attributes {
  readonly id: string;
  readonly key: string;
  readonly initiatedMs: number;
  /** The checksum that its parts carry and the object will have; null where none was asked for. */
  readonly checksum: Omit<StoredChecksum, "value"> | null;
}

/** An upload with the parts it has so far. */
export interface OpenUpload {
  readonly upload: Upload;
  readonly parts: Map<number, Part>;
}

export function quoted(etag: string): string {
  return `"${etag}"`;
}
