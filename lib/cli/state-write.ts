import { existsSync } from "node:fs";
import { Command } from "commander";
import { type CheckpointStore, readGenerationRecord, readHead, readManifest } from "../checkpoint/store.js";
import { addSavepoint, beginBootstrap, bootstrap, carriedOver, reserveSavepoint } from "../checkpoint/written.js";
import { tablesOf, type WritingPlace, withFile } from "../checkpoint/written-state.js";
import { dynamoTables } from "../connectors/dynamo-tables.js";
import { provisioner, registersKey } from "../connectors/provision.js";
import type { Ack, CheckpointRef, Manifest } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { checkpointId, coordinatorTask, type Millis, sessionId } from "../model/ids.js";
import { keyGroupCount } from "../model/keys.js";
import { libraryVersion } from "../model/library.js";
import type { Plan } from "../pipeline/plan.js";
import { noState } from "../state/compaction.js";
import { type OpenedStore, type StoreFlags, withTarget } from "./checkpoints.js";
import { readConfig } from "./config.js";
import { isAbsent } from "./doctor/findings.js";
import { counted } from "./lines-out.js";
import { loadPipeline } from "./load-pipeline.js";
import { findNamed } from "./start-from.js";
import { type PreparedState, withStateLines } from "./state-lines.js";
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
other nothing follows it before somebody starts from it. A line that is wrong is named, and nothing is written then. However large the
file is, little of it is in memory; the folder for temporary files (TMPDIR) needs room for as much again.

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
    const opened = { plan, ...found, store: flags.dryRun ? emptyWhereAbsent(found.store) : found.store };
    if (!flags.dryRun) await haveStore(opened);
    const head = (await readHead(opened.store))?.value ?? null;
    return head === null ? writeFirst(opened, flags) : writeBeside(opened, head, flags);
  });
}

/** On this machine what is missing is made, as `dev` makes it; in an account it is somebody's to make. */
async function haveStore({ target, where }: OpenedStore): Promise<void> {
  const { table, bucket } = target.environment;
  if (target.local) {
    const make = provisioner(target.clients);
    await make.bucket(bucket);
    await make.table(table, registersKey);
    return;
  }
  const described = await dynamoTables(target.clients.dynamo).describe(table);
  if (described.kind === "absent")
    throw new StreamError("invalid", `there is no table: ${where}; deploy the pipeline, or make it, first`);
}

/** A dry run makes neither table nor bucket: nothing is in one that is not there. */
const emptyWhereAbsent = ({ registers, blobs, ...rest }: CheckpointStore): CheckpointStore => ({
  ...rest,
  registers: {
    ...registers,
    read: (key) =>
      registers.read(key).catch((error: unknown) => {
        if (isAbsent(error)) return null;
        throw error;
      }),
  },
  blobs: {
    ...blobs,
    async *list(prefix) {
      try {
        yield* blobs.list(prefix);
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    },
  },
});

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
  return withStateLines({ path: flags.from, plan, acks, stages: oneStage(plan) }, async (state) => {
    const found = { pipeline: store.pipeline, savepoint: flags.savepoint, from: null, keys: state.keys, first: true };
    if (flags.dryRun) return { ...found, checkpoint: null, done: false };
    if (state.keys === 0)
      throw new StreamError("invalid", `${flags.from} has no lines: a pipeline begins empty without it`);
    const tasks = await withFiles(store, acks, state, place);
    const written = { name: flags.savepoint, how: "write", from: null, fingerprint: plan.fingerprint, tasks } as const;
    const ref = await bootstrap(store, begun, written);
    return { ...found, checkpoint: ref.checkpointId, done: true };
  });
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
  return withStateLines({ path: flags.from, plan, acks: acksAt(draft), stages }, async (state) => {
    const origin = from?.ref.checkpointId ?? null;
    const found = {
      pipeline: store.pipeline,
      savepoint: flags.savepoint,
      from: origin,
      keys: state.keys,
      first: false,
    };
    if (flags.dryRun) return { ...found, checkpoint: null, done: false };
    const reserved = await reserveSavepoint(store, flags.savepoint);
    const tasks = await withFiles(store, acksAt(reserved), state, reserved);
    const written = { name: flags.savepoint, how: "write", from, fingerprint: plan.fingerprint, tasks } as const;
    const ref = await addSavepoint(store, reserved, written);
    return { ...found, checkpoint: ref.checkpointId, done: true };
  });
}

async function originOf(
  opened: OpenedStore,
  head: Head,
  wanted: string,
): Promise<{ readonly ref: CheckpointRef; readonly manifest: Manifest }> {
  const ref = await findNamed(opened, head, wanted);
  return { ref, manifest: await readManifest(opened.store, head.incarnation, ref) };
}

/** The acks, in their order, each with its file. */
async function withFiles(
  store: CheckpointStore,
  acks: readonly Ack[],
  { files }: PreparedState,
  place: WritingPlace,
): Promise<readonly Ack[]> {
  const written: Ack[] = [];
  for (const [index, ack] of acks.entries()) {
    const file = await files[index]?.();
    written.push(file === undefined || file === null ? ack : await withFile(store, ack, { kind: "base", file }, place));
  }
  return written;
}

function textOf({ pipeline, savepoint, checkpoint, from, keys, first, done }: Done): string {
  const positions = from === null ? "its sources begin at their start" : `with all but the state of checkpoint ${from}`;
  if (!done) return `savepoint "${savepoint}" would have ${counted(keys)}; ${positions}. Nothing was changed.\n`;
  const how = first
    ? `"${pipeline}" begins with it when it is started.`
    : `Go on from it with "tidemark start … --from ${savepoint}".`;
  return `savepoint "${savepoint}" is checkpoint ${checkpoint}, with ${counted(keys)}; ${positions}\n${how} It is kept until "tidemark delete … ${savepoint}".\n`;
}
