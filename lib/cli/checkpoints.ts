import { join } from "node:path";
import { Command } from "commander";
import { checkForkOf } from "../checkpoint/forks.js";
import { type CheckpointSummary, listCheckpoints } from "../checkpoint/history.js";
import { checkNeverRan } from "../checkpoint/incarnations.js";
import { type CheckpointStore, readHead } from "../checkpoint/store.js";
import { readUncommitted, type Uncommitted } from "../checkpoint/uncommitted.js";
import { dynamoTables } from "../connectors/dynamo-tables.js";
import { formatMillis } from "../model/duration.js";
import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import { checkName } from "../pipeline/checks.js";
import type { Plan } from "../pipeline/plan.js";
import { readConfig, type TidemarkConfig } from "./config.js";
import { hasData, openCloud } from "./embedded-cloud.js";
import { openTarget, storeOf, type Target } from "./environment.js";
import { loadPipeline } from "./load-pipeline.js";
import { textTable } from "./text-table.js";

export function checkpointsCommand(): Command {
  const command = new Command("checkpoints")
    .description("list the complete checkpoints of a pipeline that can be restored, newest first")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default");
  return forkOption(command)
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--aws", "look into the account that the SDK finds", false)
    .option("--json", "print one JSON array", false)
    .addHelpText("after", notes)
    .action(onStore(read, (found) => checkpointTable(found) + uncommittedText(found)));
}

const notes = `
Nothing is changed. While "tidemark dev" runs on the embedded cloud, set AWS_ENDPOINT_URL to the endpoint that it printed.

Members with --json: id, generation, kind (checkpoint, savepoint, suspend, stop, final), triggeredAt, completedAt,
durationMillis, bytes (written for it), records (since the pipeline began), positions (source, shard, at),
uncommitted (output that it covers and that is not known to be written: sink, rows, cause of a commit that failed or null).`;

/** A checkpoint, and what of its output is not seen yet. */
export interface ListedCheckpoint extends CheckpointSummary {
  readonly uncommitted: readonly Pick<Uncommitted, "sink" | "rows" | "cause">[];
}

async function read(opened: OpenedStore): Promise<readonly ListedCheckpoint[]> {
  const head = await headOf(opened);
  const all = await listCheckpoints(opened.store, head);
  return withUncommitted(all, await readUncommitted(opened.store, head));
}

/** Output that was prepared for a checkpoint that was aborted is the next complete one's. */
export function withUncommitted(
  all: readonly CheckpointSummary[],
  uncommitted: readonly Uncommitted[],
): readonly ListedCheckpoint[] {
  const covering = (id: number) => all.findLast((checkpoint) => checkpoint.id >= id)?.id;
  return all.map((checkpoint) => {
    const own = uncommitted.filter((one) => covering(one.checkpointId) === checkpoint.id);
    return { ...checkpoint, uncommitted: own.map(({ sink, rows, cause }) => ({ sink, rows, cause })) };
  });
}

/** Below the table: a line for each checkpoint, and one for each cause. "" where all is written. */
export function uncommittedText(checkpoints: readonly ListedCheckpoint[]): string {
  const open = checkpoints.filter(({ uncommitted }) => uncommitted.length > 0);
  const lines = open.map(({ id, uncommitted }) => {
    const what = uncommitted.map(({ sink, rows }) => `${sink} (${rows.toLocaleString("en-US")} rows)`).join(", ");
    return `checkpoint ${id}: completed, commits pending: ${what}`;
  });
  const causes = new Set(open.flatMap(({ uncommitted }) => uncommitted.flatMap(({ cause }) => cause ?? [])));
  return [...lines, ...[...causes].map((cause) => `the last commit that failed: ${cause}`)]
    .map((l) => `${l}\n`)
    .join("");
}

export interface StoreFlags {
  readonly data?: string;
  readonly aws: boolean;
  /** Of commands that read: a fork of the pipeline instead of it. */
  readonly fork?: string;
}

/** Where the checkpoints of a pipeline are. */
export interface OpenedStore {
  readonly plan: Plan;
  readonly store: CheckpointStore;
  readonly target: Target;
  /** For messages. */
  readonly where: string;
  /** The embedded cloud is the command's own: nothing else runs on it. */
  readonly isAlone: boolean;
}

/**
 * Opens the checkpoints of the pipeline in a file, and closes what it opened.
 *
 * @throws StreamError `invalid`: the embedded cloud has no data there
 */
export async function withStore<T>(
  file: string,
  flags: StoreFlags,
  act: (opened: OpenedStore) => Promise<T>,
): Promise<T> {
  const { plan, root } = await loadPipeline(file);
  const { name } = plan.graph;
  const pipeline = forkOr(name, flags);
  const place = { pipeline, root, config: await readConfig(root), ifNew: "refuse" } as const;
  return withTarget(place, flags, async (opened) => {
    if (pipeline !== name) await checkForkOf(opened.store, name);
    return act({ plan, ...opened });
  });
}

/** The action of a command on the pipeline of a file: prints what `run` gives, with `--json` as it is, else as a text. */
export const onStore =
  <F extends StoreFlags & { readonly json: boolean }, D>(
    run: (opened: OpenedStore, flags: F) => Promise<D>,
    text: (done: D, flags: F) => string,
  ) =>
  async (file: string, flags: F): Promise<void> => {
    const done = await withStore(file, flags, (opened) => run(opened, flags));
    process.stdout.write(flags.json ? `${JSON.stringify(done)}\n` : text(done, flags));
  };

/** The option of {@link StoreFlags} by which a command reads a fork. */
export const forkOption = (command: Command): Command =>
  command.option("--fork <name>", "look at a fork of the pipeline instead");

/** @throws StreamError `invalid`: no name for a pipeline */
export const forkOr = (pipeline: string, { fork }: Pick<StoreFlags, "fork">): string =>
  fork === undefined ? pipeline : checkName("--fork", "the fork's name", fork);

/** A pipeline by its name, in the environment of a project. */
export interface StorePlace {
  readonly pipeline: string;
  readonly root: string;
  readonly config: TidemarkConfig;
  /** "make": the embedded cloud may have no data yet. */
  readonly ifNew: "refuse" | "make";
}

/** As {@link withStore}, of a pipeline of which the name is enough. */
export async function withTarget<T>(
  { pipeline, root, config, ifNew }: StorePlace,
  flags: StoreFlags,
  act: (opened: Omit<OpenedStore, "plan">) => Promise<T>,
): Promise<T> {
  const data = flags.data ?? join(root, ".tidemark", "cloud");
  const isEmbedded = (process.env.AWS_ENDPOINT_URL ?? "") === "" && !flags.aws;
  if (isEmbedded && ifNew === "refuse" && !hasData(data))
    throw neverRan(pipeline, `the embedded cloud has no data in ${data}`);
  const cloud = await openCloud({ data: flags.data ?? null, port: null, aws: flags.aws }, data);
  try {
    const target = openTarget({ pipeline, endpoint: cloud.endpoint, aws: flags.aws }, config);
    const where = `${target.endpoint ?? "this account and region"}, table "${target.environment.table}"`;
    return await act({ store: storeOf(pipeline, target), target, where, isAlone: cloud.own !== null });
  } finally {
    await cloud.own?.stop();
    // What follows in this process opens one of its own again.
    if (cloud.own !== null) delete process.env.AWS_ENDPOINT_URL;
  }
}

/** @throws StreamError `invalid`: the pipeline never ran there; or its head was lost, and its checkpoints were not (R7) */
export async function headOf({ store, target, where }: OpenedStore): Promise<Head> {
  const described = await dynamoTables(target.clients.dynamo).describe(target.environment.table);
  if (described.kind === "absent") throw neverRan(store.pipeline, `there is no table: ${where}`);
  const head = await readHead(store);
  if (head !== null) return head.value;
  await checkNeverRan(store);
  throw neverRan(store.pipeline, where);
}

const neverRan = (pipeline: string, where: string) =>
  new StreamError(
    "invalid",
    `pipeline "${pipeline}" has never run in this environment, so that it has no checkpoints (${where}); start it with "tidemark dev", or deploy it. If it has run, look whether name, table, region and AWS_ENDPOINT_URL are those of then`,
  );

const columns = ["id", "kind", "time (UTC)", "duration", "bytes", "records", "positions"] as const;

/** A table for people: what is long is cut, `--json` has it whole. */
export function checkpointTable(checkpoints: readonly CheckpointSummary[]): string {
  if (checkpoints.length === 0) return "no checkpoint is complete yet\n";
  const rows = checkpoints.map((checkpoint) => [
    String(checkpoint.id),
    checkpoint.kind,
    checkpoint.triggeredAt.replace("T", " ").slice(0, 19),
    formatMillis(checkpoint.durationMillis),
    checkpoint.bytes.toLocaleString("en-US"),
    checkpoint.records.toLocaleString("en-US"),
    checkpoint.positions.map((position) => `${position.source}/${position.shard}@${shortened(position.at)}`).join(" "),
  ]);
  return textTable(columns, rows);
}

/** Sequence numbers have 56 digits: the last ones tell them apart. */
const shortened = (at: string): string => (at.length > 16 ? `…${at.slice(-10)}` : at);
