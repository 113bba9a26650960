import { createReadStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { Command } from "commander";
import { type CheckpointStore, readGenerationRecord, readHead, readManifest } from "../checkpoint/store.js";
import { addSavepoint, beginBootstrap, bootstrap, carriedOver, reserveSavepoint } from "../checkpoint/written.js";
import { ackFor, tablesOf, type WritingPlace, withSnapshot } from "../checkpoint/written-state.js";
import { dynamoTables } from "../connectors/dynamo-tables.js";
import { provisioner, registersKey } from "../connectors/provision.js";
import type { Ack, CheckpointRef, Manifest } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { checkpointId, coordinatorTask, type Millis, sessionId } from "../model/ids.js";
import { keyGroupCount } from "../model/keys.js";
import { libraryVersion } from "../model/library.js";
import { isPlainObject } from "../pipeline/checks.js";
import type { Plan } from "../pipeline/plan.js";
import { noState } from "../state/compaction.js";
import { writeEntry } from "../state/state-entry.js";
import { valueOfStateJson } from "../state/state-json.js";
import type { StateTable } from "../state/table.js";
import { type OpenedStore, type StoreFlags, withTarget } from "./checkpoints.js";
import { readConfig } from "./config.js";
import { counted } from "./lines-out.js";
import { loadPipeline } from "./load-pipeline.js";
import { progressLine } from "./progress-line.js";
import { findNamed } from "./start-from.js";
import { givenKey } from "./state-key.js";
import { storeOptions } from "./status-waiting.js";

interface Flags extends StoreFlags {
  readonly from: string;
  readonly savepoint: string;
  readonly at?: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export function stateWriteCommand(): Command {
  const command = new Command("write")
    .description("write state from JSON lines into a new savepoint, also of a pipeline that never ran")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .requiredOption("--from <file>", 'JSON lines as "tidemark state" prints them')
    .requiredOption("--savepoint <name>", "of the new savepoint")
    .option("--at <checkpoint>", "whose positions, output and records on their way it gets (default: none)");
  return storeOptions(command)
    .option("--dry-run", "read the lines, and change nothing", false)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (file: string, flags: Flags) => {
      const done = await write(file, flags);
      process.stdout.write(flags.json ? `${JSON.stringify(done)}\n` : textOf(done));
    });
}

const notes = `
A line for each key: {"operator":…,"key":…,"state":{name: value, …}}. All state of the savepoint is that of the file. Without --at
the sources of the pipeline begin at their "start". A pipeline that never ran begins with this savepoint, when it is started; of any
other nothing follows it before somebody starts from it. The state is held in memory while it is written.

Examples:
  tidemark state write flights.ts --from counts.jsonl --savepoint from-the-old-system
  tidemark state write flights.ts --from counts.jsonl --savepoint mended --at latest
  tidemark start flights.ts --from mended

Members with --json: pipeline, savepoint, checkpoint (its id; null with --dry-run), from (the id of --at, or null), keys, first
(whether the pipeline never ran), done.`;

interface Done {
  readonly pipeline: string;
  readonly savepoint: string;
  readonly checkpoint: number | null;
  readonly from: number | null;
  readonly keys: number;
  readonly first: boolean;
  readonly done: boolean;
}

async function write(file: string, flags: Flags): Promise<Done> {
  if (!existsSync(flags.from))
    throw new StreamError("invalid", `there is no file ${flags.from}; --from names JSON lines`);
  const { plan, root } = await loadPipeline(file);
  const place = { pipeline: plan.graph.name, root, config: await readConfig(root), ifNew: "make" } as const;
  return withTarget(place, flags, async (found) => {
    const opened = { plan, ...found };
    await haveStore(opened, flags);
    const head = (await readHead(opened.store))?.value ?? null;
    return head === null ? writeFirst(opened, flags) : writeBeside(opened, head, flags);
  });
}

/** On this machine what is missing is made, as `dev` makes it; in an account it is somebody's to make. */
async function haveStore({ target, where }: OpenedStore, { dryRun }: Flags): Promise<void> {
  const { table, bucket } = target.environment;
  const make = provisioner(target.clients);
  if (target.local) {
    await make.bucket(bucket);
    await make.table(table, registersKey);
    return;
  }
  const described = await dynamoTables(target.clients.dynamo).describe(table);
  if (described.kind === "absent" && !dryRun)
    throw new StreamError("invalid", `there is no table: ${where}; deploy the pipeline, or make it, first`);
}

const allKeyGroups = [0, keyGroupCount - 1] as const;

/** The part of the only task of a checkpoint that has read nothing. */
const emptyAck = (head: Pick<Head, "generation">, id: Ack["checkpointId"], at: Millis): Ack => ({
  format: 1,
  generation: head.generation,
  checkpointId: id,
  task: coordinatorTask,
  session: sessionId("none"),
  keyGroups: allKeyGroups,
  snapshot: noState,
  positions: {},
  sent: {},
  expected: [],
  committables: [],
  wakeAt: null,
  finished: false,
  idle: false,
  figures: { cutAt: at, ackedAt: at, recordsIn: 0, recordsOut: 0, bytes: 0, requests: {} },
});

const oneStage = (plan: Plan): GenerationRecord["stages"] => [
  { name: "main", tasks: 1, operators: tablesOf(plan).map(({ operator }) => operator) },
];

async function writeFirst({ store, plan }: OpenedStore, flags: Flags): Promise<Done> {
  if (flags.at !== undefined)
    throw new StreamError("invalid", `pipeline "${store.pipeline}" never ran: leave out --at ${flags.at}`);
  const code = { fingerprint: plan.fingerprint, library: libraryVersion, stages: oneStage(plan) };
  const begun = await beginBootstrap(store, flags.savepoint, code);
  const place = { head: begun.head, checkpointId: checkpointId(1) };
  const acks = [emptyAck(begun.head, place.checkpointId, begun.head.openedAt)];
  const read = await readLines(flags.from, plan, acks, oneStage(plan));
  const found = { pipeline: store.pipeline, savepoint: flags.savepoint, from: null, keys: read.keys, first: true };
  if (flags.dryRun) return { ...found, checkpoint: null, done: false };
  if (read.keys === 0)
    throw new StreamError("invalid", `${flags.from} has no lines: a pipeline begins empty without it`);
  const tasks = await withTables(store, read.tables, place);
  const written = { name: flags.savepoint, how: "write", from: null, fingerprint: plan.fingerprint, tasks } as const;
  const ref = await bootstrap(store, begun, written);
  return { ...found, checkpoint: ref.checkpointId, done: true };
}

async function writeBeside(opened: OpenedStore, head: Head, flags: Flags): Promise<Done> {
  const { store, plan } = opened;
  const from = flags.at === undefined ? null : await originOf(opened, head, flags.at);
  const stages = from === null ? oneStage(plan) : (await readGenerationRecord(store, from.manifest)).stages;
  const acksAt = (place: WritingPlace & { readonly head: Head; readonly at: Millis }) =>
    from === null
      ? [emptyAck(place.head, place.checkpointId, place.at)]
      : carriedOver(from.manifest, place).map((ack) => ({ ...ack, snapshot: noState }));
  // The lines are read before anything is asked for: what is wrong with them is found first.
  const draft = { head, checkpointId: head.nextCheckpointId, at: store.clock.now() };
  const read = await readLines(flags.from, plan, acksAt(draft), stages);
  const found = { pipeline: store.pipeline, savepoint: flags.savepoint, keys: read.keys, first: false };
  const origin = from?.ref.checkpointId ?? null;
  if (flags.dryRun) return { ...found, from: origin, checkpoint: null, done: false };
  const reserved = await reserveSavepoint(store, flags.savepoint);
  const tables = new Map([...read.tables.values()].map((of, index) => [acksAt(reserved)[index], of] as const));
  const tasks = await withTables(store, tables as Tables, reserved);
  const written = { name: flags.savepoint, how: "write", from, fingerprint: plan.fingerprint, tasks } as const;
  const ref = await addSavepoint(store, reserved, written);
  return { ...found, from: origin, checkpoint: ref.checkpointId, done: true };
}

async function originOf(
  opened: OpenedStore,
  head: Head,
  wanted: string,
): Promise<{ readonly ref: CheckpointRef; readonly manifest: Manifest }> {
  const ref = await findNamed(opened, head, wanted);
  return { ref, manifest: await readManifest(opened.store, head.incarnation, ref) };
}

/** Of each ack, in their order, what it is to have. */
type Tables = ReadonlyMap<Ack, readonly StateTable[]>;

async function withTables(store: CheckpointStore, tables: Tables, place: WritingPlace): Promise<readonly Ack[]> {
  const acks: Ack[] = [];
  for (const [ack, of] of tables) acks.push(await withSnapshot(store, ack, { kind: "base", tables: of }, place));
  return acks;
}

/** @throws StreamError `invalid`, naming the line: it is none, its operator or state is not known, its key was there before */
async function readLines(
  path: string,
  plan: Plan,
  acks: readonly Ack[],
  stages: GenerationRecord["stages"],
): Promise<{ readonly tables: Tables; readonly keys: number }> {
  const tables = new Map(acks.map((ack) => [ack, tablesOf(plan)]));
  const progress = progressLine();
  let [line, keys] = [0, 0];
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      line += 1;
      if (text.trim() === "") continue;
      try {
        takeLine(text, (place) => tables.get(ackFor(acks, stages, place)) ?? []);
      } catch (cause) {
        const { kind, message } = asStreamError(cause);
        throw new StreamError(kind === "bug" ? "invalid" : kind, `${path}, line ${line}: ${message}`, { cause });
      }
      keys += 1;
      progress.show(() => `read ${counted(keys)}`);
    }
  } finally {
    progress.end();
  }
  return { tables, keys };
}

type Place = Parameters<typeof ackFor>[2];

function takeLine(text: string, tablesAt: (place: Place) => readonly StateTable[]): void {
  const read: unknown = JSON.parse(text);
  const { operator, key, state } = isPlainObject(read) ? read : {};
  if (typeof operator !== "string" || key === undefined || !isPlainObject(state))
    throw new StreamError("invalid", 'must be {"operator":…,"key":…,"state":{…}}, as "tidemark state" prints it');
  const given = givenKey(valueOfStateJson(key));
  const tables = tablesAt({ operator, keyGroup: given.keyGroup });
  const table = tables.find((one) => one.operator === operator);
  if (table === undefined) {
    const names = tables.map((one) => `"${one.operator}"`).join(", ");
    throw new StreamError(
      "invalid",
      `the pipeline has no operator "${operator}" with state; it has ${names || "none"}`,
    );
  }
  const before = table.keys;
  writeEntry(table, given.key, state);
  if (table.keys !== before + 1)
    throw new StreamError(
      "invalid",
      "its key was there before, or its state is empty: a line for each key that has state",
    );
}

function textOf({ pipeline, savepoint, checkpoint, from, keys, first, done }: Done): string {
  const positions = from === null ? "its sources begin at their start" : `with all but the state of checkpoint ${from}`;
  if (!done) return `savepoint "${savepoint}" would have ${counted(keys)}; ${positions}. Nothing was changed.\n`;
  const how = first
    ? `"${pipeline}" begins with it when it is started.`
    : `Go on from it with "tidemark start … --from ${savepoint}".`;
  return `savepoint "${savepoint}" is checkpoint ${checkpoint}, with ${counted(keys)}; ${positions}\n${how} It is kept until "tidemark delete … ${savepoint}".\n`;
}
