import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import { wantedSavepoint } from "../checkpoint/savepoints.js";
import { readDesired } from "../checkpoint/store.js";
import { removeSavepoint } from "../checkpoint/wishes.js";
import { StreamError } from "../model/errors.js";
import { headOf, type OpenedStore, type StoreFlags, withStore } from "./checkpoints.js";
import { savepointsOf } from "./start-from.js";
import { storeOptions } from "./status-waiting.js";

interface Flags extends StoreFlags {
  readonly json: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

export function deleteCommand(): Command {
  const command = new Command("delete")
    .description("delete a savepoint, or take back one that is not there yet")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .argument("<savepoint>", 'its name, as "tidemark status" lists them');
  return storeOptions(command)
    .option("--yes", "do not ask", false)
    .option("--dry-run", "say what would be done, and change nothing", false)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (file: string, name: string, flags: Flags) => {
      const done = await withStore(file, flags, (opened) => run(opened, name, flags));
      process.stdout.write(flags.json ? `${JSON.stringify(done)}\n` : text(done));
    });
}

const notes = `
What it alone kept is removed from the bucket and the table by the collections that follow. A checkpoint that is kept for another
reason stays: the last one, one of the newest, or another savepoint of the same checkpoint.

Examples:
  tidemark delete flights.ts before-2026-06 --yes

Members with --json: pipeline, name, checkpoint (null: it was not there yet), deleted (false with --dry-run, or on a "no").`;

interface Deleted {
  readonly pipeline: string;
  readonly name: string;
  readonly checkpoint: number | null;
  readonly deleted: boolean;
}

async function run(opened: OpenedStore, name: string, flags: Flags): Promise<Deleted> {
  const { store } = opened;
  const head = await headOf(opened);
  const savepoint = head.savepoints.find((one) => one.name === name);
  const asked = wantedSavepoint((await readDesired(store))?.value ?? null, head);
  if (savepoint === undefined && asked?.name !== name)
    throw new StreamError("invalid", `pipeline "${store.pipeline}" has no savepoint "${name}"; ${savepointsOf(head)}`);
  const found = { pipeline: store.pipeline, name, checkpoint: savepoint?.checkpointId ?? null };
  if (flags.dryRun || !(await isSure(found, flags))) return { ...found, deleted: false };
  await removeSavepoint(store, name);
  return { ...found, deleted: true };
}

/** @throws StreamError `invalid`: there is nobody to ask */
async function isSure({ name, pipeline }: Pick<Deleted, "name" | "pipeline">, flags: Flags): Promise<boolean> {
  if (flags.yes) return true;
  if (process.stdin.isTTY !== true || flags.json)
    throw new StreamError("invalid", `savepoint "${name}" cannot be brought back once it is deleted: give --yes`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test(await asking.question(`delete savepoint "${name}" of "${pipeline}" for good? [y/N] `));
  } finally {
    asking.close();
  }
}

function text({ name, checkpoint, deleted }: Deleted): string {
  const what = `savepoint "${name}" (${checkpoint === null ? "not there yet" : `checkpoint ${checkpoint}`})`;
  return deleted ? `${what} is deleted\n` : `${what} would be deleted. Nothing was changed.\n`;
}
