import { StreamError } from "../model/errors.js";
import type { OpenFile } from "./file-format.js";

/** A file that nothing comes to any more. */
export interface RolledFile {
  /** The partition's, as in `year=2026/`; "" where there is none. */
  readonly folder: string;
  /** Within the epoch: 0, 1, 2… */
  readonly index: number;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

export interface EpochLimits {
  /** A file that has as many bytes is closed. */
  readonly rollBytes: number;
  /** Of all open files: then the largest is closed. */
  readonly heldBytesMax: number;
  readonly partitionsMax: number;
}

interface Part {
  readonly folder: string;
  readonly file: OpenFile;
  /** What it held when it was last looked at. */
  held: number;
  isTouched: boolean;
}

/** The files of one epoch, one for each partition at a time. */
export class EpochFiles {
  records = 0;
  readonly #open = new Map<string, Part>();
  /** With rows that may be taken back. */
  #touched: Part[] = [];
  readonly #folders = new Set<string>();
  #held = 0;
  #rolled = 0;
  #settledRecords = 0;

  constructor(
    private readonly newFile: () => OpenFile,
    private readonly limits: EpochLimits,
    private readonly onRolled: (file: RolledFile) => void,
  ) {}

  /** @throws StreamError `invalid`: the row does not fit, or there are too many partitions; all is as it was then */
  append(folder: string, row: unknown): void {
    const part = this.#open.get(folder) ?? this.#newPart(folder);
    part.file.append(row);
    this.#open.set(folder, part);
    this.#folders.add(folder);
    if (!part.isTouched) this.#touched.push(part);
    part.isTouched = true;
    this.records++;
  }

  /** What came so far is never taken back. */
  settle(): void {
    for (const part of this.#touched) {
      part.isTouched = false;
      part.file.settle();
      this.#held += part.file.held - part.held;
      part.held = part.file.held;
      if (part.file.size >= this.limits.rollBytes) this.#roll(part);
    }
    this.#touched = [];
    this.#settledRecords = this.records;
    while (this.#held > this.limits.heldBytesMax && this.#open.size > 0) this.#roll(this.#largest());
  }

  /** Takes back what came since. */
  rollback(): void {
    for (const part of this.#touched) {
      part.isTouched = false;
      part.file.rollback();
      if (part.file.rows === 0) this.#open.delete(part.folder);
    }
    this.#touched = [];
    this.records = this.#settledRecords;
    // Of an epoch of which nothing is left; one in a dry run never has anything (W2).
    if (this.records === 0) this.#folders.clear();
  }

  /** Closes all files. */
  end(): void {
    this.settle();
    for (const part of [...this.#open.values()]) this.#roll(part);
  }

  #newPart(folder: string): Part {
    const { partitionsMax } = this.limits;
    if (!this.#folders.has(folder) && this.#folders.size >= partitionsMax)
      throw new StreamError(
        "invalid",
        `more than ${partitionsMax} partitions between two checkpoints, the next is "${folder}": each is a file of its own; let partitionBy give fewer values, or raise "partitionsMax"`,
      );
    return { folder, file: this.newFile(), held: 0, isTouched: false };
  }

  #roll(part: Part): void {
    const { folder, file } = part;
    this.#open.delete(folder);
    this.#held -= part.held;
    const bytes = file.finish();
    this.onRolled({ folder, index: this.#rolled++, rows: file.rows, bytes });
  }

  #largest(): Part {
    return [...this.#open.values()].reduce((a, b) => (b.held > a.held ? b : a));
  }
}
