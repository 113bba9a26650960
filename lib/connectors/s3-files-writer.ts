import { StreamError } from "../model/errors.js";
import { padded } from "../model/ids.js";
import { deletedKey } from "../pipeline/deletion.js";
import type { SealedEpoch, SinkResources, TwoPhaseWriter } from "../pipeline/sink.js";
import { stagedNames } from "../pipeline/staged-names.js";
import { again } from "./again.js";
import { EpochFiles, type EpochLimits, type RolledFile } from "./epoch-files.js";
import type { FileFormat, OpenFile } from "./file-format.js";
import { partitionFolder, partitionNames } from "./partitions.js";
import { type PreparedFile, type PreparedFiles, showFiles } from "./shown-files.js";
import { StagedObjects } from "./staged-objects.js";

/** What is written, and where in the bucket. */
export interface FilesPlace {
  /** Of final files; "" or with a slash behind it. */
  readonly prefix: string;
  readonly staging: string;
  readonly format: FileFormat<unknown>;
  readonly partitionBy: ((row: unknown) => unknown) | null;
  readonly limits: EpochLimits;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const keyBytesMax = 1_024;
/** Of a final key behind its folder: the names of sink, incarnation, generation, checkpoint and task, number and ending. */
const nameBytesMax = 150;

/** A file that is staged, or on its way there; what it will be called is known at the cut. */
type StagedFile = Pick<RolledFile, "folder" | "rows"> & { readonly key: string; readonly bytes: number };

/** The outside of {@link s3Files} in one session. */
export class S3FilesWriter implements TwoPhaseWriter {
  readonly target: string;
  readonly #resources: SinkResources;
  readonly #bucket: string;
  readonly #place: FilesPlace;
  readonly #newFile: () => OpenFile;
  readonly #uploads: StagedObjects;
  #epoch: EpochFiles;
  #staged: StagedFile[] = [];
  #epochs = 0;
  #previous: string | null = null;
  /** Until the first `mark` nothing is taken back. */
  #marks = false;
  #names: string | null = null;

  constructor(resources: SinkResources, bucket: string, place: FilesPlace) {
    this.target = `s3://${bucket}/${place.prefix}`;
    this.#resources = resources;
    this.#bucket = bucket;
    this.#place = place;
    this.#newFile = place.format.open();
    this.#uploads = new StagedObjects(resources.objects, resources.clock, bucket);
    this.#epoch = this.#nextEpoch();
  }

  async check(): Promise<void> {
    const { objects, clock, stage } = this.#resources;
    const { staging } = this.#place;
    const found = await again(clock, () => objects.rules(this.#bucket));
    const rules = found.kind === "known" ? found.rules : [];
    const harmful = rules.find(({ prefix }) => staging.startsWith(prefix) || prefix.startsWith(staging));
    if (harmful !== undefined) throw wouldExpire(this.#bucket, staging, harmful);
    const probe = `${this.#stagedFolder}${stage.session}-check`;
    await again(clock, () => objects.put(this.#bucket, probe, new Uint8Array(0)));
    await again(clock, () => objects.size(this.#bucket, probe));
    await again(clock, () => objects.remove(this.#bucket, [probe]));
  }

  write(row: unknown): void {
    if (deletedKey(row) !== null) throw noDeletions(this.target);
    this.#epoch.append(this.#folderOf(row), row);
    if (!this.#marks) this.#epoch.settle();
  }

  mark(): void {
    this.#marks = true;
    this.#epoch.settle();
  }

  rollback(): void {
    this.#epoch.rollback();
  }

  get waiting(): number {
    return this.#uploads.waiting;
  }

  flush(): Promise<void> {
    return this.#uploads.drain();
  }

  seal(unique: string): SealedEpoch | null {
    const { records } = this.#epoch;
    if (records === 0) return null;
    this.#epoch.end();
    const prepared = this.#prepared(unique);
    const bytes = prepared.files.reduce((sum, file) => sum + file.bytes, 0);
    this.#previous = unique;
    this.#staged = [];
    this.#epoch = this.#nextEpoch();
    return {
      records,
      prepare: async () => {
        await this.flush();
        return { prepared: { ...prepared, files: prepared.files.map((file) => ({ ...file })) }, bytes };
      },
    };
  }

  async commit(prepared: unknown): Promise<void> {
    const { objects, clock } = this.#resources;
    await showFiles(objects, clock, prepared as PreparedFiles);
  }

  async sweep(keep: readonly unknown[]): Promise<void> {
    const { objects, clock, stage } = this.#resources;
    const kept = new Set((keep as readonly PreparedFiles[]).flatMap(({ files }) => files.map(({ staged }) => staged)));
    const folder = this.#stagedFolder;
    const { prefix, mayGo } = stagedNames(stage);
    const all = await again(clock, () => this.#listed(`${folder}${prefix}`));
    const old = all.filter((key) => mayGo(key.slice(folder.length)) && !kept.has(key));
    if (old.length > 0) await again(clock, () => objects.remove(this.#bucket, old));
  }

  async #listed(prefix: string): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const { key } of this.#resources.objects.list(this.#bucket, prefix)) keys.push(key);
    return keys;
  }

  async close(): Promise<void> {
    // What fails has failed the session already.
    await this.#uploads.settled();
  }

  get #stagedFolder(): string {
    return `${this.#place.staging}staged/`;
  }

  #nextEpoch(): EpochFiles {
    this.#epochs++;
    return new EpochFiles(this.#newFile, this.#place.limits, (file) => this.#stage(file));
  }

  #stage({ folder, index, rows, bytes }: RolledFile): void {
    // Without the ending: who looks for files by that finds none here.
    const key = `${this.#stagedFolder}${this.#resources.stage.session}-${this.#epochs}-${index}`;
    this.#staged.push({ folder, rows, key, bytes: bytes.length });
    this.#uploads.add(key, bytes);
  }

  #prepared(unique: string): PreparedFiles {
    const { prefix, staging, format } = this.#place;
    const files = this.#staged.map(({ folder, rows, key, bytes }, index): PreparedFile => {
      const final = `${prefix}${folder}${unique}-${padded(index, 5)}${format.ending}`;
      return { staged: key, final, bytes, rows };
    });
    const manifest = `${staging}manifests/${unique}.json`;
    return { bucket: this.#bucket, manifest, unique, previous: this.#previous, files };
  }

  #folderOf(row: unknown): string {
    const { partitionBy, prefix } = this.#place;
    if (partitionBy === null) return "";
    const values = partitionBy(row);
    const folder = partitionFolder(values);
    const names = partitionNames(values as object);
    this.#names ??= names;
    if (names !== this.#names)
      throw new StreamError(
        "invalid",
        `partitionBy gave "${names}" for a row and "${this.#names}" for one before: all rows have the same members, in the same order`,
      );
    if (Buffer.byteLength(prefix + folder) + nameBytesMax > keyBytesMax)
      throw new StreamError(
        "invalid",
        `partitionBy gave values too long: a key of S3 has at most ${keyBytesMax} bytes`,
      );
    return folder;
  }
}

function wouldExpire(
  bucket: string,
  staging: string,
  rule: { readonly id: string; readonly prefix: string; readonly effect: string },
): StreamError {
  return new StreamError(
    "invalid",
    `bucket "${bucket}": its lifecycle rule "${rule.id}" ${rule.effect} beneath "${rule.prefix}", so also what is staged in "${staging}" and not shown yet, which would be lost (C4). Restrict the rule to other keys, or let the option "staging" of s3Files name a folder that no rule is for`,
  );
}

function noDeletions(target: string): StreamError {
  return new StreamError(
    "invalid",
    `s3Files "${target}": a deletion cannot be written, for a file is not taken back; write a row that says so`,
  );
}
