import type { Json } from "../model/canonical-json.js";

/** How rows become the bytes of a file. */
export interface FileFormat<in T> {
  readonly name: string;
  /** What names of its files end in, such as ".jsonl.gz". */
  readonly ending: string;
  /** Plain data: what else than its name makes it what it is. */
  readonly config: Json;
  /** An encoder of files one after the other: it may keep what it learns of one for the next. */
  readonly open: () => () => OpenFile;
  readonly "~in"?: (row: T) => void;
}

/** One file while rows come. What came since the last `settle` may be taken back. */
export interface OpenFile {
  /** @throws StreamError `invalid`; the file is as it was then */
  append(row: unknown): void;
  /** What came so far is never taken back: it may be compressed. */
  settle(): void;
  /** Takes back what came since. */
  rollback(): void;
  readonly rows: number;
  /** Of the file as it would be now, about. */
  readonly size: number;
  /** Bytes in memory, about. */
  readonly held: number;
  /** All of the file. Nothing comes after it. */
  finish(): Uint8Array;
}
