// A bounded pipeline on this machine: files for all but the registers, which are in memory.
import { join } from "node:path";
import { fileBlobs } from "../../dist/connectors/file-blobs.js";
import { fileLog } from "../../dist/connectors/file-log.js";
import { logs } from "../../dist/connectors/logs.js";
import { nodeFiles } from "../../dist/connectors/node-files.js";
import { filePath, fileStream } from "../../dist/pipeline/source.js";
import { systemClock } from "../../dist/ports/clock.js";
import { memoryLog } from "../../dist/testing/memory/log.js";
import { memoryObjects } from "../../dist/testing/memory/objects.js";
import { memoryRegisters } from "../../dist/testing/memory/registers.js";
import { memoryTables } from "../../dist/testing/memory/tables.js";
import { startPipeline } from "../in-process.mjs";

/**
 * @param {{ plan: object }} made a pipeline
 * @param {{ folder: string, files: Record<string, string> }} place a folder for checkpoints, and the files by their logical names
 * @throws Error where the pipeline does not end as finished
 */
export async function runToEnd({ plan }, { folder, files: bound }) {
  const files = nodeFiles();
  const { log, streams } = memoryLog(systemClock);
  const world = (functions) => ({
    clock: systemClock,
    registers: memoryRegisters().registers,
    blobs: fileBlobs(files, join(folder, "checkpoints")),
    log: logs(log, fileLog(files)),
    files,
    objects: memoryObjects().objects,
    tables: memoryTables().tables,
    streams,
    functions,
  });
  const pipeline = await startPipeline(plan, world, bindingsOf(bound));
  const head = await pipeline.ended();
  if (head.status !== "finished") throw new Error(`it ended as ${head.status}: ${JSON.stringify(head.failures)}`);
  const { records, checkpoints, acks } = pipeline.progress;
  return { records, checkpoints, generations: head.generation, acks, store: pipeline.store };
}

function bindingsOf(bound) {
  const file = (logical) => bound[logical] ?? logical;
  const stream = (logical) => {
    const path = filePath(logical);
    return path === null ? logical : fileStream(file(path));
  };
  return { stream, file, table: (logical) => logical };
}
