import { Command } from "commander";
import { type Verified, verifyCheckpoint } from "../checkpoint/verify.js";
import { decodeHeldRows } from "../runtime/held-bodies.js";
import { forkOption, headOf, type OpenedStore, type StoreFlags, withStore } from "./checkpoints.js";
import { exitCodes } from "./exit-codes.js";
import { progressLine } from "./progress-line.js";
import { findNamed } from "./start-from.js";

interface Flags extends StoreFlags {
  readonly json: boolean;
}

export function verifyCommand(): Command {
  const command = new Command("verify")
    .description("read every byte of a checkpoint, and say whether it is what was written")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .argument("<checkpoint>", "the id of a checkpoint, the name of a savepoint, or latest");
  return forkOption(command)
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--aws", "look into the account that the SDK finds", false)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (file: string, checkpoint: string, flags: Flags) => {
      const verified = await withStore(file, flags, (opened) => verify(opened, checkpoint));
      process.stdout.write(flags.json ? `${JSON.stringify(verified)}\n` : verifiedText(verified));
      if (verified.problemCount > 0) process.exitCode = exitCodes.corrupt;
    });
}

const notes = `
Nothing is changed. Read are the manifest and its copy, the generation record, every file of the snapshots with its slices, and
the output that waits to be written; sizes and SHA-256 are compared, and all of it is decoded. It ends with 4 where something is
not what was written.

Members with --json: checkpoint (generation, checkpointId, sha256), objects, bytes, slices, keys, rows, staged (output that lies
with its sink, and was not read), problems (the first 20), problemCount.`;

async function verify(opened: OpenedStore, wanted: string): Promise<Verified> {
  const { store } = opened;
  const head = await headOf(opened);
  const ref = await findNamed(opened, head, wanted);
  const progress = progressLine();
  try {
    const countRows = (bytes: Uint8Array) => decodeHeldRows(bytes).length;
    const onProgress = ({ objects, bytes }: Pick<Verified, "objects" | "bytes">) =>
      progress.show(() => `read ${objects} objects, ${bytes.toLocaleString("en-US")} bytes`);
    return await verifyCheckpoint(store, head.incarnation, ref, { countRows, onProgress });
  } finally {
    progress.end();
  }
}

export function verifiedText(verified: Verified): string {
  const { checkpoint, problems, problemCount } = verified;
  const name = `checkpoint ${checkpoint.checkpointId} of generation ${checkpoint.generation}`;
  const n = (count: number) => count.toLocaleString("en-US");
  const read = `read ${n(verified.objects)} objects, ${n(verified.bytes)} bytes: ${n(verified.slices)} slices with ${n(verified.keys)} keys, ${n(verified.rows)} rows that wait`;
  const staged =
    verified.staged === 0
      ? ""
      : `; output of ${n(verified.staged)} commits lies staged with its sink, and was not read`;
  if (problemCount === 0) return `${name} is what was written\n${read}${staged}\n`;
  const more = problemCount > problems.length ? [`and ${n(problemCount - problems.length)} more`] : [];
  const lines = [...problems, ...more].map((problem) => `  ${problem}`);
  return `${name} is NOT what was written: ${n(problemCount)} ${problemCount === 1 ? "problem" : "problems"}\n${lines.join("\n")}\n${read}${staged}\nRestore what is named from a backup, or go on from another checkpoint.\n`;
}
