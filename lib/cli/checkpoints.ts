import { join, resolve } from "node:path";
import { Command } from "commander";
import { type CheckpointSummary, listCheckpoints } from "../checkpoint/history.js";
import { type CheckpointStore, readHead } from "../checkpoint/store.js";
import { spawnCloud } from "../local/cloud/child.js";
import { formatMillis } from "../model/duration.js";
import { StreamError } from "../model/errors.js";
import { readConfig } from "./config.js";
import { openTarget, storeOf } from "./environment.js";
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
    .option(
      "--data <folder>",
      "data of the embedded cloud, where no endpoint is set (default: .tidemark/cloud of the project)",
    )
    .option("--aws", "look into the AWS account that the SDK finds", false)
    .option("--json", "print one JSON array", false)
    .action(async (file: string, flags: Flags) => {
      const found = await read(file, flags);
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : table(found));
    });
}

async function read(file: string, flags: Flags): Promise<readonly CheckpointSummary[]> {
  const pipeline = await loadPipeline(file);
  const config = await readConfig(pipeline.root);
  const given = process.env.AWS_ENDPOINT_URL ?? null;
  const data = resolve(flags.data ?? join(pipeline.root, ".tidemark", "cloud"));
  const cloud = given === null && !flags.aws ? await spawnCloud({ port: 0, data }) : null;
  try {
    const target = openTarget(pipeline.plan.graph.name, given ?? cloud?.endpoint ?? null, config);
    return await ofPipeline(storeOf(pipeline.plan.graph.name, target));
  } finally {
    await cloud?.stop();
  }
}

async function ofPipeline(store: CheckpointStore): Promise<readonly CheckpointSummary[]> {
  const head = await readHead(store).catch((error) => {
    if (error instanceof StreamError && error.kind === "invalid") return null;
    throw error;
  });
  if (head === null)
    throw new StreamError(
      "invalid",
      `pipeline "${store.pipeline}" has never run in this environment: there is no head, so there are no checkpoints`,
    );
  return listCheckpoints(store, head.value);
}

const columns = ["id", "kind", "triggered", "duration", "bytes", "records", "positions"] as const;

function table(checkpoints: readonly CheckpointSummary[]): string {
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
  return `${all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")}\n`;
}

/** Sequence numbers have 56 digits: the last ones tell them apart. `--json` has them whole. */
const shortened = (at: string): string => (at.length > 16 ? `…${at.slice(-10)}` : at);
