import { Command } from "commander";
import { manifestKey } from "../checkpoint/names.js";
import { wantedSavepoint } from "../checkpoint/savepoints.js";
import { readDesired } from "../checkpoint/store.js";
import { checkSavepointName, wishSavepoint } from "../checkpoint/wishes.js";
import { StreamError } from "../model/errors.js";
import type { Head, Savepoint } from "../model/head.js";
import { headOf, type OpenedStore, onStore } from "./checkpoints.js";
import {
  type AskingFlags,
  askingOptions,
  awaitSavepoint,
  callSupervisor,
  drawId,
  nameByTime,
} from "./status-waiting.js";

interface Flags extends AskingFlags {
  readonly name?: string;
}

export function savepointCommand(): Command {
  const command = new Command("savepoint")
    .description("keep a checkpoint under a name until it is deleted")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--name <name>", "of the savepoint (default: by the time)");
  return askingOptions(command).addHelpText("after", notes).action(onStore(run, savepointText));
}

const notes = `
A pipeline that runs makes one more checkpoint, with nothing on the way between its tasks, so that other code and another
parallelism may go on from it; it runs on meanwhile. Of one that rests its last checkpoint is kept. Waits until it is there.
Asked for again by the same name before it is there, it is the same one.

Examples:
  tidemark savepoint flights.ts --name before-2026-06
  tidemark start flights.ts --from before-2026-06

Members with --json: pipeline, name, checkpoint, generation, at (its manifest in the bucket), status, done (false with --dry-run).`;

/** What is printed. */
export interface Done {
  readonly pipeline: string;
  readonly name: string;
  readonly checkpoint: number | null;
  readonly generation: number;
  readonly at: string | null;
  readonly status: string;
  readonly done: boolean;
}

async function run(opened: OpenedStore, flags: Flags): Promise<Done> {
  const { store } = opened;
  const name = flags.name ?? nameByTime("savepoint");
  const head = await headOf(opened);
  if (flags.dryRun) {
    await checkFree(opened, head, name);
    return plannedSavepoint(opened, head, name);
  }
  const id = drawId();
  const asked = (await wishSavepoint(store, { id, name }))?.savepoint ?? null;
  if (asked === null)
    throw new StreamError("invalid", `pipeline "${store.pipeline}" was never started: there is nothing to keep`);
  await callSupervisor(opened);
  const { savepoint, head: after } = await awaitSavepoint(opened, asked, flags.timeout);
  return madeSavepoint(opened, after, savepoint);
}

/** As the wish would find it. */
export async function checkFree({ store }: OpenedStore, head: Head, name: string): Promise<void> {
  checkSavepointName(name);
  const taken = head.savepoints.find((one) => one.name === name);
  const open = wantedSavepoint((await readDesired(store))?.value ?? null, head);
  const why =
    taken === undefined
      ? open !== null && open.name !== name && `the savepoint "${open.name}" is asked for and not there yet`
      : `there is a savepoint "${name}" already, checkpoint ${taken.checkpointId}`;
  if (why !== false) throw new StreamError("invalid", `pipeline "${store.pipeline}": ${why}`);
}

export function madeSavepoint({ store, target }: OpenedStore, head: Head, savepoint: Savepoint): Done {
  const { name, checkpointId: checkpoint, generation } = savepoint;
  const key = manifestKey(store.pipeline, head.incarnation, savepoint);
  const at = `s3://${target.environment.bucket}/${key}`;
  return { pipeline: store.pipeline, name, checkpoint, generation, at, status: head.status, done: true };
}

const plannedSavepoint = ({ store }: OpenedStore, head: Head, name: string): Done => ({
  pipeline: store.pipeline,
  name,
  checkpoint: head.endedAt === null ? null : (head.completed?.checkpointId ?? null),
  generation: head.generation,
  at: null,
  status: head.status,
  done: false,
});

export function savepointText({ name, checkpoint, at, status, done }: Done): string {
  const what = checkpoint === null ? "one more checkpoint" : `checkpoint ${checkpoint}`;
  if (!done) return `would be kept as savepoint "${name}": ${what} (the pipeline is ${status}). Nothing was changed.\n`;
  return `savepoint "${name}" is ${what}: ${at}\nGo on from it with "tidemark start … --from ${name}"; it is kept until "tidemark delete … ${name}".\n`;
}
