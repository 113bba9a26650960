import { Command } from "commander";
import { readGenerationRecord, readManifest } from "../checkpoint/store.js";
import { addSavepoint, carriedOver, reserveSavepoint } from "../checkpoint/written.js";
import { ackFor, tablesOf, withChangedKey } from "../checkpoint/written-state.js";
import type { CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Plan } from "../pipeline/plan.js";
import { readRange } from "../runtime/cut.js";
import { writeEntry } from "../state/state-entry.js";
import { stateJson, valueOfStateJson } from "../state/state-json.js";
import { sweepState } from "../state/state-sweep.js";
import type { StateTable } from "../state/table.js";
import { headOf, type OpenedStore, type StoreFlags, withStore } from "./checkpoints.js";
import { findNamed } from "./start-from.js";
import { type GivenKey, keyHint, parseKey, statesJson } from "./state-key.js";
import { storeOptions } from "./status-waiting.js";
import { chosenOperators, partsOf } from "./stored-state.js";

interface Flags extends StoreFlags {
  readonly key: string;
  readonly savepoint: string;
  readonly value?: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

type How = "set" | "delete";

export function stateSetCommand(): Command {
  return editCommand("set", "copy a checkpoint into a new savepoint, with another state of one key")
    .requiredOption("--value <json>", "the states by name: those that are left out are empty, or initial")
    .addHelpText("after", notes);
}

export function stateDeleteCommand(): Command {
  return editCommand("delete", "copy a checkpoint into a new savepoint, without the state of one key").addHelpText(
    "after",
    notes,
  );
}

function editCommand(how: How, description: string): Command {
  const command = new Command(how)
    .description(description)
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .argument("<checkpoint>", "the id of a checkpoint, the name of a savepoint, or latest")
    .argument("<operator>", "whose state it is")
    .requiredOption("--key <key>", "JSON, or a string as it is")
    .requiredOption("--savepoint <name>", "of the new savepoint");
  return storeOptions(command)
    .option("--dry-run", "say what would be done, and change nothing", false)
    .option("--json", "print one JSON object", false)
    .action(async (file: string, checkpoint: string, operator: string, flags: Flags) => {
      const done = await withStore(file, flags, (opened) => run(opened, { how, checkpoint, operator }, flags));
      process.stdout.write(flags.json ? jsonOf(done) : textOf(done));
    });
}

const notes = `
The checkpoint stays as it is, and so does what runs. The savepoint has its positions, its output that is not written yet, and its
records on their way; nothing follows it before somebody starts from it. Values are in the form of "tidemark state".

Examples:
  tidemark state set flights.ts latest count --key JFK --value '{"n":7}' --savepoint mended
  tidemark state delete flights.ts 42 count --key JFK --savepoint mended
  tidemark start flights.ts --from mended

Members with --json: pipeline, savepoint, checkpoint (its id; null with --dry-run), from (the id of the one that is copied),
operator, key, before and now (the states by name, or null), done.`;

interface Edit {
  readonly how: How;
  readonly checkpoint: string;
  readonly operator: string;
}

interface Edited {
  readonly pipeline: string;
  readonly savepoint: string;
  readonly checkpoint: number | null;
  readonly from: number;
  readonly operator: string;
  readonly key: GivenKey;
  /** As JSON. */
  readonly before: string | null;
  readonly now: string | null;
}

async function run(opened: OpenedStore, edit: Edit, flags: Flags): Promise<Edited> {
  const { store } = opened;
  const { operator } = edit;
  const head = await headOf(opened);
  const key = parseKey(flags.key);
  const states = edit.how === "delete" ? null : parseStates(flags.value ?? "");
  const ref = await findNamed(opened, head, edit.checkpoint);
  const manifest = await readManifest(store, head.incarnation, ref);
  const found = {
    pipeline: store.pipeline,
    savepoint: flags.savepoint,
    from: ref.checkpointId,
    operator,
    key,
    before: await statesBefore(opened, manifest, edit, key),
    now: states === null ? null : nowOf(opened, operator, key, states),
  };
  if (flags.dryRun) return { ...found, checkpoint: null };
  const written = await writeEdited(opened, { ref, manifest }, { ...edit, name: flags.savepoint, key, states });
  return { ...found, checkpoint: written.checkpointId };
}

export interface Change extends Omit<Edit, "checkpoint"> {
  readonly name: string;
  readonly key: GivenKey;
  readonly states: unknown;
}

/** The savepoint that is the checkpoint with one change. */
export async function writeEdited(
  { store, plan }: Pick<OpenedStore, "store" | "plan">,
  from: { readonly ref: CheckpointRef; readonly manifest: Manifest },
  { name, how, operator, key, states }: Change,
): Promise<CheckpointRef> {
  const { stages } = await readGenerationRecord(store, from.manifest);
  const reserved = await reserveSavepoint(store, name);
  const acks = carriedOver(from.manifest, reserved);
  const place = { operator, keyGroup: key.keyGroup };
  const ack = ackFor(acks, stages, place);
  const changed = await withChangedKey(store, plan, ack, place, {
    ...reserved,
    read: readRange(store),
    change: (table) => writeEntry(table, key.key, states),
  });
  const tasks = acks.map((one) => (one === ack ? changed : one));
  return addSavepoint(store, reserved, { name, how, from, fingerprint: plan.fingerprint, tasks });
}

function parseStates(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StreamError("invalid", `--value is no JSON (${why}); write the states by name, such as '{"n":7}'`, {
      cause,
    });
  }
}

async function statesBefore(
  { store, plan }: OpenedStore,
  manifest: Manifest,
  { how, operator }: Edit,
  key: GivenKey,
): Promise<string | null> {
  const parts = partsOf({ manifest });
  const what = `checkpoint ${manifest.checkpointId}`;
  if (how === "set") tableOf(plan, operator);
  else chosenOperators(parts, operator, what);
  const only = [key.keyGroup, key.keyGroup] as const;
  for await (const { keys } of sweepState(parts, { operator, read: readRange(store), only })) {
    const found = keys.get(key.id);
    if (found !== undefined) return statesJson(found);
  }
  if (how === "set") return null;
  throw new StreamError(
    "invalid",
    `${what} has no state of the key ${stateJson(key.key)} in operator "${operator}"${keyHint(key)}`,
  );
}

function tableOf(plan: Plan, operator: string): StateTable {
  const tables = tablesOf(plan);
  const table = tables.find((one) => one.operator === operator);
  if (table !== undefined) return table;
  const names = tables.map((one) => `"${one.operator}"`).join(", ");
  throw new StreamError(
    "invalid",
    `pipeline "${plan.graph.name}" has no operator "${operator}" with state; it has ${names || "none"}`,
  );
}

/** The states as they are going to be, found before anything is written. */
function nowOf({ plan }: OpenedStore, operator: string, key: GivenKey, states: unknown): string {
  writeEntry(tableOf(plan, operator), key.key, states);
  return stateJson(valueOfStateJson(states));
}

function textOf({ savepoint, checkpoint, from, operator, key, before, now }: Edited): string {
  const what = `${operator} ${stateJson(key.key)}: ${before ?? "no state"} → ${now ?? "no state"}\n`;
  if (checkpoint === null)
    return `savepoint "${savepoint}" would be checkpoint ${from} with ${what}Nothing was changed.\n`;
  return `savepoint "${savepoint}" is checkpoint ${checkpoint}: checkpoint ${from} with ${what}Go on from it with "tidemark start … --from ${savepoint}"; it is kept until "tidemark delete … ${savepoint}".\n`;
}

function jsonOf({ key, before, now, ...edited }: Edited): string {
  const { pipeline, savepoint, checkpoint, from, operator } = edited;
  const rest = JSON.stringify({ pipeline, savepoint, checkpoint, from, operator, done: checkpoint !== null });
  return `${rest.slice(0, -1)},"key":${stateJson(key.key)},"before":${before},"now":${now}}\n`;
}
