import { Command } from "commander";
import { wishSavepoint, wishStopped } from "../checkpoint/wishes.js";
import { StreamError } from "../model/errors.js";
import type { Head, Status } from "../model/head.js";
import { headOf, type OpenedStore, onStore } from "./checkpoints.js";
import { checkFree, type Done, madeSavepoint } from "./savepoint.js";
import {
  type AskingFlags,
  askingOptions,
  awaitSavepoint,
  callSupervisor,
  drawId,
  nameByTime,
  waitFor,
} from "./status-waiting.js";

interface Flags extends AskingFlags {
  /** False: none. */
  readonly savepoint?: string | false;
}

export function stopCommand(): Command {
  const command = new Command("stop")
    .description("stop a pipeline at a checkpoint, which is kept as a savepoint")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--savepoint <name>", "what the checkpoint is kept as (default: by the time)")
    .option("--no-savepoint", "keep it as any other checkpoint");
  return askingOptions(command).addHelpText("after", notes).action(onStore(run, text));
}

const notes = `
All that was read is processed and committed, and nothing is on the way: "tidemark start" goes on from there, with this code or
other. Waits until the pipeline rests. One that rests already stays as it is, and that is no failure.

Examples:
  tidemark stop flights.ts
  tidemark stop flights.ts --savepoint before-the-move
  tidemark stop flights.ts --no-savepoint --timeout 15m

Members with --json: pipeline, status, checkpoint, savepoint (its name, or null), at, changed (false: it rested already, or
--dry-run).`;

interface Stopped {
  readonly pipeline: string;
  readonly status: Status;
  readonly checkpoint: number | null;
  readonly savepoint: string | null;
  readonly at: string | null;
  readonly changed: boolean;
  readonly dryRun: boolean;
}

const resting: ReadonlySet<Status> = new Set(["stopped", "finished", "failed"]);

async function run(opened: OpenedStore, flags: Flags): Promise<Stopped> {
  const { store } = opened;
  const head = await headOf(opened);
  const name = flags.savepoint === false ? null : (flags.savepoint ?? nameByTime("stop"));
  if (resting.has(head.status)) return alreadyResting(opened, head, flags);
  const planned = stoppedAs(opened, head, null);
  if (name !== null) await checkFree(opened, head, name);
  if (flags.dryRun) return { ...planned, savepoint: name, changed: false, dryRun: true };
  const desired = await wishStopped(store, name === null ? null : { id: drawId(), name });
  if (desired === null) throw new StreamError("invalid", `pipeline "${store.pipeline}" was never started`);
  await callSupervisor(opened);
  const after = await waitFor(opened, { what: "the stop", timeout: flags.timeout }, (now, wanted) =>
    Promise.resolve(isOver(opened, now, wanted?.state ?? null)),
  );
  const asked = name === null ? null : desired.savepoint;
  const made = asked === null ? null : await awaitSavepoint(opened, asked, flags.timeout);
  return stoppedAs(
    opened,
    made?.head ?? after,
    made === null ? null : madeSavepoint(opened, made.head, made.savepoint),
  );
}

/** A stop that somebody has taken back is waited for no more. */
function isOver({ store }: OpenedStore, head: Head | null, wanted: string | null): Head | null {
  if (wanted !== "stopped")
    throw new StreamError("fenced", `pipeline "${store.pipeline}" was started again before it had stopped`);
  return head !== null && resting.has(head.status) ? head : null;
}

/** It is not started by a deploy either from now on. */
async function alreadyResting(opened: OpenedStore, head: Head, flags: Flags): Promise<Stopped> {
  const { savepoint } = flags;
  const plain = { ...stoppedAs(opened, head, null), changed: false, dryRun: flags.dryRun };
  if (flags.dryRun) return plain;
  if (typeof savepoint !== "string") {
    await wishStopped(opened.store);
    return plain;
  }
  await wishStopped(opened.store);
  const asked = (await wishSavepoint(opened.store, { id: drawId(), name: savepoint }))?.savepoint ?? null;
  if (asked === null) return plain;
  const made = await awaitSavepoint(opened, asked, flags.timeout);
  return { ...stoppedAs(opened, made.head, madeSavepoint(opened, made.head, made.savepoint)), changed: false };
}

const stoppedAs = ({ store }: OpenedStore, head: Head, made: Done | null): Stopped => ({
  pipeline: store.pipeline,
  status: head.status,
  checkpoint: head.completed?.checkpointId ?? null,
  savepoint: made?.name ?? null,
  at: made?.at ?? null,
  changed: true,
  dryRun: false,
});

function text({ pipeline, status, checkpoint, savepoint, at, changed, dryRun }: Stopped): string {
  const last = checkpoint === null ? "no checkpoint" : `checkpoint ${checkpoint}`;
  const kept = savepoint === null ? "" : `, savepoint "${savepoint}"`;
  if (dryRun && !resting.has(status))
    return `"${pipeline}" is ${status} and would be stopped${kept} (last: ${last}). Nothing was changed.\n`;
  const where = at === null ? "" : `\n${at}`;
  return `"${pipeline}" is ${status}${changed ? "" : " already"}: ${last}${kept}${where}\n`;
}
