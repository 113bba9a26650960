import { join } from "node:path";
import { Command } from "commander";
import { type CheckpointSummary, listCheckpoints } from "../checkpoint/history.js";
import { readHead } from "../checkpoint/store.js";
import { dynamoTables } from "../connectors/dynamo-tables.js";
import { formatMillis } from "../model/duration.js";
import { StreamError } from "../model/errors.js";
import { readConfig } from "./config.js";
import { hasData, openCloud } from "./embedded-cloud.js";
import { openTarget, storeOf, type Target } from "./environment.js";
import { loadPipeline } from "./load-pipeline.js";

interface Flags {
  readonly json: boolean;
  readonly data?: string;
  readonly aws: boolean;
}

export function checkpointsCommand(): Command {
  return new Command("checkpoints")
    .description("list the complete checkpoints of a pipeline, newest first")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--aws", "look into the account that the SDK finds", false)
    .option("--json", "print one JSON array", false)
    .addHelpText("after", notes)
    .action(async (file: string, flags: Flags) => {
      const found = await read(file, flags);
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : checkpointTable(found));
    });
}

const notes = `
Nothing is changed. While "tidemark dev" runs on the embedded cloud, set AWS_ENDPOINT_URL to the endpoint that it printed.

Members with --json: id, generation, kind (checkpoint, savepoint, suspend, stop, final), triggeredAt, completedAt,
durationMillis, bytes (written for it), records (since the pipeline began), positions (source, shard, at).`;

async function read(file: string, flags: Flags): Promise<readonly CheckpointSummary[]> {
  const pipeline = await loadPipeline(file);
  const { name } = pipeline.plan.graph;
  const config = await readConfig(pipeline.root);
  const data = flags.data ?? join(pipeline.root, ".tidemark", "cloud");
  if ((process.env.AWS_ENDPOINT_URL ?? "") === "" && !flags.aws && !hasData(data))
    throw neverRan(name, `the embedded cloud has no data in ${data}`);
  const cloud = await openCloud({ data: flags.data ?? null, port: null, aws: flags.aws }, data);
  try {
    return await ofPipeline(name, openTarget({ pipeline: name, endpoint: cloud.endpoint, aws: flags.aws }, config));
  } finally {
    await cloud.own?.stop();
  }
}

async function ofPipeline(pipeline: string, target: Target): Promise<readonly CheckpointSummary[]> {
  const { table } = target.environment;
  const described = await dynamoTables(target.clients.dynamo).describe(table);
  const where = `${target.endpoint ?? "this account and region"}, table "${table}"`;
  if (described.kind === "absent") throw neverRan(pipeline, `there is no table: ${where}`);
  const store = storeOf(pipeline, target);
  const head = await readHead(store);
  if (head === null) throw neverRan(pipeline, where);
  return listCheckpoints(store, head.value);
}

const neverRan = (pipeline: string, where: string) =>
  new StreamError(
    "invalid",
    `pipeline "${pipeline}" has never run in this environment, so that it has no checkpoints (${where})`,
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
  const all = [columns as readonly string[], ...rows];
  const widths = columns.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
}

/** Sequence numbers have 56 digits: the last ones tell them apart. */
const shortened = (at: string): string => (at.length > 16 ? `…${at.slice(-10)}` : at);
