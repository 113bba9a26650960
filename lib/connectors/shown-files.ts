import { StreamError } from "../model/errors.js";
import { toUtf8 } from "../model/utf8.js";
import type { Clock } from "../ports/clock.js";
import type { Objects } from "../ports/objects.js";
import { again, forEachOf, mayPass } from "./again.js";

const copiesAtOnce = 16;

/** What a committable of this sink says. Its keys are whole: a redirect never moves what was prepared (C2). */
export interface PreparedFiles {
  readonly bucket: string;
  /** The manifest's, which is written when all files are shown. */
  readonly manifest: string;
  /** What the files of this epoch are called by, without their numbers. */
  readonly unique: string;
  /** That of the session's epoch before. null: it is the session's first. */
  readonly previous: string | null;
  readonly files: readonly PreparedFile[];
}

export interface PreparedFile {
  readonly staged: string;
  readonly final: string;
  readonly bytes: number;
  readonly rows: number;
}

/**
 * C4: copies what is staged to where readers look, writes the manifest, and removes what was staged. May be repeated by anyone at any
 * time. The manifest is the receipt: where it stands all files were shown, and what their readers did with them since is theirs.
 */
export async function showFiles(objects: Objects, clock: Clock, prepared: PreparedFiles): Promise<void> {
  const { bucket, manifest, files } = prepared;
  const isShown = async () => (await again(clock, () => objects.size(bucket, manifest))) !== null;
  if (!(await isShown())) {
    await forEachOf(files, copiesAtOnce, async (file) => {
      const copied = await again(clock, () => objects.copy(bucket, file.staged, file.final));
      // Whoever came before has removed it: after the manifest, or before this wrote its own.
      if (copied === "absent" && !(await isShown())) await checkShown(objects, clock, bucket, file);
    });
    await again(clock, () => objects.put(bucket, manifest, manifestOf(prepared)));
  }
  const staged = files.map((file) => file.staged);
  await again(clock, () => objects.remove(bucket, staged)).catch((error: unknown) => {
    // What lingers is garbage, and goes with the next sweep.
    if (!mayPass(error)) throw error;
  });
}

async function checkShown(objects: Objects, clock: Clock, bucket: string, file: PreparedFile): Promise<void> {
  const size = await again(clock, () => objects.size(bucket, file.final));
  if (size === file.bytes) return;
  const what =
    size === null
      ? `neither "${file.staged}" nor "${file.final}" is in the bucket "${bucket}", although a complete checkpoint says that it was staged (C4)`
      : `"${file.final}" in the bucket "${bucket}" has ${size} bytes, ${file.bytes} were staged (C4)`;
  throw new StreamError(
    "corrupt",
    `${what}. Put the object back (an older version of it, where the bucket keeps versions), or restore from an earlier checkpoint; no lifecycle rule and nobody else may remove what is staged`,
  );
}

/** Sink, incarnation, generation, checkpoint and task, as sessions name what is shown. */
const namePattern = /^(.+)-([0-9a-f]+)-(\d{8})-(\d{12})-(\d+\.\d+)$/;

/** The same bytes whoever writes it (R6). */
function manifestOf({ unique, previous, files }: PreparedFiles): Uint8Array {
  const [, sink = null, incarnation = null, generation, checkpoint, task = null] = namePattern.exec(unique) ?? [];
  const number = (digits: string | undefined) => (digits === undefined ? null : Number(digits));
  const sum = (of: (file: PreparedFile) => number) => files.reduce((total, file) => total + of(file), 0);
  const manifest = {
    format: 1,
    name: unique,
    sink,
    incarnation,
    generation: number(generation),
    checkpoint: number(checkpoint),
    task,
    previous,
    rows: sum(({ rows }) => rows),
    bytes: sum(({ bytes }) => bytes),
    files: files.map(({ final, rows, bytes }) => ({ key: final, rows, bytes })),
  };
  return toUtf8(`${JSON.stringify(manifest)}\n`);
}
