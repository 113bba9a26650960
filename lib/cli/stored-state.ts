import type { Command } from "commander";
import { markedIncarnations } from "../checkpoint/incarnations.js";
import { listMarked, type MarkedCheckpoints, readMarked } from "../checkpoint/marked.js";
import { repeat } from "../checkpoint/repeat.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { StreamError } from "../model/errors.js";
import { checkpointId } from "../model/ids.js";
import { checkName } from "../pipeline/checks.js";
import type { SnapshotPart } from "../state/state-sweep.js";
import { forkOption, forkOr, type StoreFlags, withTarget } from "./checkpoints.js";
import { readConfig, type TidemarkConfig } from "./config.js";
import { loadPipeline, projectRoot } from "./load-pipeline.js";
import { listed, whyGone } from "./start-from.js";
import { storeOptions } from "./status-waiting.js";

export interface BucketFlags extends StoreFlags {
  readonly bucket?: string;
  readonly incarnation?: string;
}

/** The options of {@link BucketFlags}. */
export const bucketOptions = (command: Command): Command =>
  forkOption(storeOptions(command))
    .option("--bucket <name>", "the bucket of checkpoints; the first argument is then the name of the pipeline")
    .option("--incarnation <id>", "which one to read, where several have checkpoints");

export const sourceHelp = "the file that exports the pipeline as default; with --bucket, the pipeline's name";

/** The complete checkpoints of a pipeline as the bucket alone tells them (R7). */
export interface OpenedBucket extends MarkedCheckpoints {
  readonly store: CheckpointStore;
  readonly incarnation: string;
}

/** The table of checkpoints is asked for nothing, so that it need not be there, nor be named. */
const noTable = "none";

/**
 * Opens the bucket of a pipeline, by its file or, with `--bucket`, by its name.
 *
 * @throws StreamError `invalid`: it has no complete checkpoint there, or those of several incarnations and none is named
 */
export async function withBucket<T>(
  source: string,
  flags: BucketFlags,
  act: (opened: OpenedBucket) => Promise<T>,
): Promise<T> {
  const place = flags.bucket === undefined ? await placeOfFile(source) : placeOfName(source, flags.bucket);
  const config = { ...place.config, table: place.config.table ?? process.env.TIDEMARK_TABLE ?? noTable };
  const pipeline = forkOr(place.pipeline, flags);
  return withTarget({ ...place, pipeline, config, ifNew: "refuse" }, flags, async ({ store, target }) => {
    const incarnation = await incarnationIn(store, `s3://${target.environment.bucket}/${store.pipeline}/`, flags);
    return act({ store, incarnation, ...(await listMarked(store, incarnation)) });
  });
}

interface SourcePlace {
  readonly pipeline: string;
  readonly root: string;
  readonly config: TidemarkConfig;
}

async function placeOfFile(file: string): Promise<SourcePlace> {
  const { plan, root } = await loadPipeline(file);
  return { pipeline: plan.graph.name, root, config: await readConfig(root) };
}

const placeOfName = (name: string, bucket: string): SourcePlace => ({
  pipeline: checkName("--bucket", "the first argument, the pipeline's name", name),
  root: projectRoot(`${process.cwd()}/_`),
  config: { bucket },
});

async function incarnationIn(store: CheckpointStore, where: string, { incarnation }: BucketFlags): Promise<string> {
  const found = await repeat(store.clock, async () => {
    const all: string[] = [];
    for await (const one of markedIncarnations(store)) all.push(one);
    return all;
  });
  const [only] = found;
  if (only === undefined)
    throw new StreamError(
      "invalid",
      `pipeline "${store.pipeline}" has no complete checkpoint under ${where}; where it has run, look whether name, bucket and AWS_ENDPOINT_URL are those of then`,
    );
  if (incarnation === undefined && found.length === 1) return only;
  if (incarnation !== undefined && found.includes(incarnation)) return incarnation;
  const why = incarnation === undefined ? "has checkpoints of several incarnations" : `has no ${incarnation}`;
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}" ${why} under ${where}: say with --incarnation which one of ${found.join(", ")}`,
  );
}

type Marked = Awaited<ReturnType<typeof readMarked>>;

/**
 * The marked checkpoint of that id, the savepoint of that name, or "latest": the newest that tasks have made.
 *
 * @throws StreamError `invalid`, naming those that there are; `corrupt`: its manifest is gone or changed (P3)
 */
export async function findMarked(opened: OpenedBucket, wanted: string): Promise<Marked> {
  const { store, incarnation, ids, savepoints } = opened;
  if (wanted === "latest") return newestMarked(opened);
  const named = savepoints.find(({ name, checkpointId: id }) => name === wanted && ids.includes(id));
  const id = named?.checkpointId ?? (/^\d{1,15}$/.test(wanted) ? checkpointId(Number(wanted)) : null);
  if (id !== null && ids.includes(id)) return readMarked(store, incarnation, id);
  const names = [...new Set(savepoints.map(({ name }) => name))];
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}" has no complete checkpoint "${wanted}" in the bucket${whyGone(wanted, ids[0] ?? 0)}; checkpoints: ${listed(ids.map(String))}; savepoints: ${listed(names)}`,
  );
}

/** A savepoint that a person wrote is of no line of checkpoints before somebody starts from it. */
async function newestMarked({ store, incarnation, ids }: OpenedBucket): Promise<Marked> {
  let newest: Marked | null = null;
  for (const id of ids) {
    const found = await readMarked(store, incarnation, id);
    newest ??= found;
    if (found.manifest.written === undefined) return found;
  }
  if (newest !== null) return newest;
  throw new StreamError("invalid", `pipeline "${store.pipeline}" has no complete checkpoint in the bucket`);
}

/** The snapshots of a checkpoint. */
export const partsOf = ({ manifest }: Pick<Marked, "manifest">): readonly SnapshotPart[] =>
  manifest.tasks.map(({ snapshot, keyGroups }) => ({ ref: snapshot, keyGroups }));

/** The operators that have state in a checkpoint, by name. */
export const operatorsIn = (parts: readonly SnapshotPart[]): readonly string[] =>
  [
    ...new Set(
      parts.flatMap(({ ref: { base, deltas } }) =>
        [...(base === null ? [] : [base]), ...deltas].flatMap(({ slices }) => slices.map(({ operator }) => operator)),
      ),
    ),
  ].sort();

/** Those that are asked for. @throws StreamError `invalid` where the one that is named has no state there */
export function chosenOperators(
  parts: readonly SnapshotPart[],
  operator: string | undefined,
  what: string,
): readonly string[] {
  const all = operatorsIn(parts);
  if (operator === undefined) return all;
  if (all.includes(operator)) return [operator];
  throw new StreamError("invalid", `${what} has no state of an operator "${operator}"; it has: ${listed(all)}`);
}
