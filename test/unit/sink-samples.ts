import type { SinkResources } from "../../lib/pipeline/sink.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { quickClock } from "./checkpoint-worlds.js";

/** What a session gives a sink: ports in memory, names with `acme-` before them. */
export const sinkResources = (over: Partial<SinkResources> = {}): SinkResources => ({
  tables: memoryTables().tables,
  streams: memoryLog(quickClock()).streams,
  files: memoryFiles().files,
  objects: memoryObjects().objects,
  clock: quickClock(),
  bind: (_kind, name) => `acme-${name}`,
  stage: { task: "out-task-", session: "out-task-session" },
  ...over,
});
