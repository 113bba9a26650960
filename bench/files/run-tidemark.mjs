// One run of a pipeline, in a process of its own, by real sessions: from file to file.
import { join } from "node:path";
import { jobs } from "./jobs.mjs";
import { joinParts } from "./join-parts.mjs";
import { measured, readArguments } from "./measured.mjs";
import { runToEnd } from "./run-to-end.mjs";

const { job, variant, input, output, folder } = readArguments();
const { plan } = jobs[job].pipelines[variant]();
const parts = join(folder, "parts");

await measured(async () => {
  const { records, checkpoints, generations } = await runToEnd({ plan }, { folder, files: { input, output: parts } });
  const beforeJoin = process.cpuUsage();
  await joinParts(parts, output);
  const { user, system } = process.cpuUsage(beforeJoin);
  return { records, checkpoints, generations, joinMs: (user + system) / 1_000 };
});
