import { Command } from "commander";
import { readDesired, readGenerationRecord } from "../checkpoint/store.js";
import { wishStarted } from "../checkpoint/wishes.js";
import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import { contextOf } from "./check.js";
import { headOf, type OpenedStore, onStore } from "./checkpoints.js";
import { checkPossible } from "./replay/possible.js";
import { modesOfStart } from "./start-again.js";
import { findNamed } from "./start-from.js";
import { type AskingFlags, askingOptions, callSupervisor, drawId, waitFor } from "./status-waiting.js";

interface Flags extends AskingFlags {
  readonly from?: string;
  readonly allowDropped: readonly string[];
}

export function startCommand(): Command {
  const command = new Command("start")
    .description("start a pipeline that is deployed, from its last checkpoint or another one")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--from <checkpoint>", "the id of a checkpoint, or the name of a savepoint (default: the last checkpoint)")
    .option("--allow-dropped <operator>", "leave out the state of an operator; may be repeated", gather, []);
  return askingOptions(command).addHelpText("after", notes).action(onStore(run, text));
}

const gather = (text: string, before: readonly string[]): readonly string[] => [...before, text];

const notes = `
The code that was deployed last goes on; with --from what runs is fenced, and goes back to the checkpoint: input after it is read
again, and tables are overwritten. It is checked before, and refused where it cannot be restored, or where not all sinks are tables:
then "tidemark replay" says what becomes of their output. Without --from a pipeline that
runs is left alone, and that is no failure.

Examples:
  tidemark start flights.ts
  tidemark start flights.ts --from before-2026-06
  tidemark start flights.ts --from 42 --allow-dropped counts

Members with --json: pipeline, status, generation, checkpoint (that it goes on from, or null), changed (false: it runs already, or
--dry-run), notes.`;

interface Started {
  readonly pipeline: string;
  readonly status: string;
  readonly generation: number;
  readonly checkpoint: number | null;
  readonly changed: boolean;
  readonly notes: readonly string[];
}

const nothingChanged = "nothing was changed";

async function run(opened: OpenedStore, flags: Flags): Promise<Started> {
  const { store } = opened;
  const head = await headOf(opened);
  const from = flags.from === undefined ? null : await findNamed(opened, head, flags.from);
  const origin = from ?? head.completed;
  const found = (changed: boolean, now: Head, notes: readonly string[]): Started => ({
    pipeline: store.pipeline,
    status: now.status,
    generation: now.generation,
    checkpoint: (changed ? now.origin : origin)?.checkpointId ?? null,
    changed,
    notes,
  });
  const wanted = (await readDesired(store))?.value.state;
  if (from === null && head.status === "running" && wanted === "running" && flags.allowDropped.length === 0)
    return found(false, head, ["it runs already"]);
  const notes = origin === null ? [] : await checkPossible(contextOf(opened), head, origin, flags.allowDropped);
  const sinks = await modesOfStart(opened, head, from);
  if (flags.dryRun) return found(false, head, [...notes, nothingChanged]);
  const id = drawId();
  if ((await wishStarted(store, { id, from, dropped: flags.allowDropped, sinks })) === null)
    throw new StreamError("invalid", `no code of pipeline "${store.pipeline}" was ever deployed or run; do that first`);
  await callSupervisor(opened);
  return found(true, await awaitStart(opened, id, { what: "the start", timeout: flags.timeout }), notes);
}

/** Until a generation is open that carries the request out. */
export async function awaitStart(
  opened: OpenedStore,
  id: string,
  asked: { readonly what: string; readonly timeout: number },
): Promise<Head> {
  const { store } = opened;
  return waitFor(opened, asked, async (head, desired) => {
    if (head !== null && (await readGenerationRecord(store, head)).requestId === id) return head;
    if (desired?.request?.id === id) return null;
    // P4: it brought code that could not go on from there.
    if (desired?.request === null && desired.rejection !== null)
      throw new StreamError("invalid", desired.rejection.message);
    throw new StreamError(
      "fenced",
      `pipeline "${store.pipeline}" was started otherwise before this start was carried out`,
    );
  });
}

function text({ pipeline, status, generation, checkpoint, changed, notes }: Started): string {
  const from = checkpoint === null ? "no checkpoint" : `checkpoint ${checkpoint}`;
  const lines = notes.map((note) => `  ${note}\n`).join("");
  if (notes.includes(nothingChanged))
    return `"${pipeline}" is ${status} (generation ${generation}), and would go on from ${from}\n${lines}`;
  if (!changed) return `"${pipeline}" is ${status} (generation ${generation}, ${from})\n${lines}`;
  return `"${pipeline}" is ${status}: generation ${generation} goes on from ${from}\n${lines}`;
}
