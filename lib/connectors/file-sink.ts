import { basename, join } from "node:path";
import { type Codec, json } from "../model/codecs.js";
import { StreamError } from "../model/errors.js";
import { type LineWriter, lineWriter } from "../model/lines.js";
import { kindOf, refuse } from "../pipeline/checks.js";
import { deletedKey } from "../pipeline/deletion.js";
import type { SealedEpoch, Sink, SinkResources, TwoPhaseSink, TwoPhaseWriter } from "../pipeline/sink.js";
import { checkCodec } from "../pipeline/source.js";
import { stagedNames } from "../pipeline/staged-names.js";
import type { Files } from "../ports/files.js";
import { oldReceipts, receiptEnding } from "./receipts.js";
import { StagedFile } from "./staged-file.js";

/**
 * Files of lines as a sink, in a folder: one file a checkpoint, which appears whole when the checkpoint is complete (two-phase),
 * once, and may be taken away at any time. Until then its rows lie in the folder `.staged` within. Names sort in the order of
 * checkpoints. For machines whose disk stays: the one of a Lambda function does not.
 *
 * @param options `folder`: the logical name, or a path; a relative one is from the working directory. `codec`: json() where it is not given
 * @throws StreamError `invalid` at build: no folder, no codec; at a record: a row that is no JSON; at start: the folder cannot be written
 * @example stream.to("airports", fileSink({ folder: "out/airports" }))
 */
export function fileSink<T>(options: { readonly folder: string; readonly codec?: Codec<T> }): Sink<T> {
  const { folder, codec = json<T>() } = options;
  const where = `fileSink ${JSON.stringify(folder ?? "")}`;
  if (typeof folder !== "string" || folder === "") refuse(where, `"folder" must be a path, not ${kindOf(folder)}`);
  checkCodec(where, codec);
  const ending = codec.name === "json" ? "jsonl" : "txt";
  return {
    kind: "file",
    delivery: "two-phase",
    redirectable: true,
    config: { folder, codec: codec.name },
    open: (resources) => {
      const lines = { writer: lineWriter(codec) as LineWriter<unknown>, ending };
      return new FileWriter(resources, resources.bind("file", folder), lines);
    },
  } satisfies TwoPhaseSink<T>;
}

/** What a committable of this sink says. Its paths are whole: a redirect never moves what was prepared (C2). */
interface Staged {
  readonly staged: string;
  readonly final: string;
  readonly size: number;
  /** An empty file that says: it was shown. What its reader took away since is not missing. */
  readonly receipt: string;
}

interface Lines {
  readonly writer: LineWriter<unknown>;
  readonly ending: string;
}

class FileWriter implements TwoPhaseWriter {
  readonly target: string;
  readonly #files: Files;
  readonly #stage: SinkResources["stage"];
  readonly #lines: Lines;
  #records = 0;
  #recordsBefore = 0;
  #epoch: StagedFile;
  #epochs = 0;

  constructor(resources: SinkResources, folder: string, lines: Lines) {
    this.target = folder;
    this.#files = resources.files;
    this.#stage = resources.stage;
    this.#lines = lines;
    this.#epoch = this.#nextEpoch();
  }

  async check(): Promise<void> {
    const probe = join(this.target, stagedFolder, `${this.#stage.session}-check`);
    await this.#files.write(probe, 0, new Uint8Array());
    await this.#files.remove(probe);
  }

  /** A file is open only while it is written to. */
  async close(): Promise<void> {}

  write(row: unknown): void {
    if (deletedKey(row) !== null) throw noDeletions(this.target);
    this.#epoch.append(this.#lines.writer, row);
    this.#records++;
  }

  mark(): void {
    this.#epoch.mark();
    this.#recordsBefore = this.#records;
  }

  rollback(): void {
    this.#epoch.rollback();
    this.#records = this.#recordsBefore;
  }

  get waiting(): number {
    return this.#epoch.waiting;
  }

  flush(): Promise<void> {
    return this.#epoch.flush();
  }

  seal(unique: string): SealedEpoch | null {
    if (this.#records === 0) return null;
    const epoch = this.#epoch;
    const records = this.#records;
    const staging = this.flush();
    // It is awaited before the ack; until then a failure must not end the process.
    staging.catch(() => undefined);
    this.#records = 0;
    this.#epoch = this.#nextEpoch();
    const name = `${unique}.${this.#lines.ending}`;
    const final = join(this.target, name);
    const receipt = join(this.target, stagedFolder, `${this.#stage.task}${name}${receiptEnding}`);
    return {
      records,
      prepare: async () => {
        await staging;
        await this.#files.sync(epoch.path);
        const prepared: Staged = { staged: epoch.path, final, size: epoch.size, receipt };
        return { prepared: { ...prepared }, bytes: epoch.size };
      },
    };
  }

  /** C4. The receipt comes first: whoever finds neither file later knows that a reader took it, and not that it was lost. */
  async commit(prepared: unknown): Promise<void> {
    const { staged, final, size, receipt } = prepared as Staged;
    const there = await this.#files.stat(staged);
    if (there === null) return this.#checkShown(prepared as Staged);
    if (there.size !== size) throw otherSize(staged, there.size, size);
    await this.#files.write(receipt, 0, new Uint8Array());
    await this.#files.sync(receipt);
    if ((await this.#files.move(staged, final)) === "absent") await this.#checkShown(prepared as Staged);
  }

  async #checkShown({ staged, final, size, receipt }: Staged): Promise<void> {
    if ((await this.#files.stat(receipt)) !== null) return;
    const shown = await this.#files.stat(final);
    if (shown === null) throw gone(staged, final);
    if (shown.size !== size) throw otherSize(final, shown.size, size);
  }

  async sweep(keep: readonly unknown[]): Promise<void> {
    const kept = new Set(keep.map((prepared) => basename((prepared as Staged).staged)));
    const folder = join(this.target, stagedFolder);
    const names = await this.#files.list(folder);
    const staged = stagedNames(this.#stage);
    const left = names.filter((name) => !name.endsWith(receiptEnding) && staged.mayGo(name) && !kept.has(name));
    const old = [...left, ...oldReceipts(names, this.#stage.task, staged)];
    for (const name of old) await this.#files.remove(join(folder, name));
  }

  #nextEpoch(): StagedFile {
    this.#epochs++;
    return new StagedFile(this.#files, join(this.target, stagedFolder, `${this.#stage.session}-${this.#epochs}`));
  }
}

/** Readers of the folder leave it out: it is no file, and its name begins with a dot. */
const stagedFolder = ".staged";

function noDeletions(folder: string): StreamError {
  return new StreamError(
    "invalid",
    `fileSink "${folder}": a deletion cannot be written, for a line is not taken back; write a row that says so`,
  );
}

function otherSize(path: string, found: number, size: number): StreamError {
  return new StreamError(
    "corrupt",
    `${path} has ${found} bytes, ${size} were written: was it changed by hand, or the disk full? Restore from another checkpoint`,
  );
}

function gone(staged: string, final: string): StreamError {
  return new StreamError(
    "corrupt",
    `neither ${staged} nor ${final} is there, although a complete checkpoint says that it was written (C4). Put the staged file back, or restore from an earlier checkpoint`,
  );
}
