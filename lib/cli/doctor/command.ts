import { Command } from "commander";
import type { StoreFlags } from "../checkpoints.js";
import { interruptedExitCode } from "../exit-codes.js";
import { interruptSignal } from "../interrupt.js";
import { storeOptions } from "../status-waiting.js";
import { diagnose } from "./doctor.js";
import { exitCodeOf, type Finding, findingText } from "./findings.js";

interface Flags extends StoreFlags {
  readonly json: boolean;
}

export function doctorCommand(): Command {
  const command = new Command("doctor")
    .description("check what a pipeline needs here: credentials, names, rights, clocks, versions")
    .argument(
      "[pipeline.ts]",
      "the file that exports the pipeline as default; without it, only the environment is checked",
    );
  return storeOptions(command)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (file: string | undefined, flags: Flags) => {
      process.exitCode = await run(file ?? null, flags);
    });
}

const notes = `
One line for each check: ok, warning, or problem with what to do. It ends with 1 where something is a problem, and with 3 where the
endpoint does not answer. Rights are those of the identity that calls, tried by calls: an item with the partition key "~doctor" and
an object below "~doctor/" are written and removed again. Rights to write to what sinks write to are not tried.

Examples:
  tidemark doctor                       what is there to develop with
  tidemark doctor flights.ts --aws      before the first deployment, or when something is odd

Members with --json: checks (check, level, found, remedy), problems, warnings.`;

async function run(file: string | null, flags: Flags): Promise<number> {
  // What was written for a check is removed before the command ends.
  const interrupt = interruptSignal("ending after this check; Ctrl-C again ends at once");
  const findings: Finding[] = [];
  for await (const finding of diagnose(file, flags)) {
    findings.push(finding);
    if (!flags.json) process.stdout.write(findingText(finding));
    if (interrupt.aborted) return interruptedExitCode;
  }
  const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const checks = findings.map(({ check, level, found, remedy }) => ({ check, level, found, remedy }));
  const end = `${problems} problems, ${warnings} warnings\n`;
  process.stdout.write(flags.json ? `${JSON.stringify({ checks, problems, warnings })}\n` : end);
  return exitCodeOf(findings);
}
