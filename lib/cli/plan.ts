import { Command, Option } from "commander";
import { loadPipeline } from "./load-pipeline.js";
import { planMermaid } from "./plan-mermaid.js";
import { planReport } from "./plan-report.js";
import { planText } from "./plan-text.js";

interface Flags {
  readonly json: boolean;
  readonly mermaid: boolean;
}

export function planCommand(): Command {
  return new Command("plan")
    .description("show how a pipeline is run: its stages, tasks, edges, state, sources and sinks")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .addOption(new Option("--json", "print one JSON object").default(false).conflicts("mermaid"))
    .addOption(new Option("--mermaid", "print a flowchart, as Markdown pages of GitHub show it").default(false))
    .addHelpText("after", notes)
    .action(async (file: string, flags: Flags) => {
      const { plan } = await loadPipeline(file);
      const report = () => planReport(plan);
      process.stdout.write(
        flags.mermaid ? planMermaid(plan) : flags.json ? `${JSON.stringify(report())}\n` : planText(report()),
      );
    });
}

const notes = `
The file alone is read: no endpoint, no account. Names are the logical ones. A stage of sources runs no more tasks than there are
shards when a generation is opened.

Members with --json: pipeline, fingerprint, parallelism, mode, alignment, tasks, stages (index, name, tasks, sources, operators,
calls, sinks), edges (name, from, to, channels), deadLetters, notes.`;
