import { relative, resolve } from "node:path";
import { Command } from "commander";
import { type MadeProject, makeProject } from "./project.js";

interface Flags {
  readonly cdk: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export function initCommand(): Command {
  return new Command("init")
    .description("write the files of a new project: a pipeline that counts, its test, and what runs it")
    .argument("[folder]", "where; it is made if need be", ".")
    .option("--cdk", "also an app of the AWS CDK that deploys it", false)
    .option("--dry-run", "list the files, and write none", false)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action((folder: string, { cdk, dryRun, json }: Flags) => {
      const made = makeProject(resolve(folder), { cdk, dryRun });
      process.stdout.write(json ? `${JSON.stringify(made)}\n` : text(made));
    });
}

const notes = `
Package and pipeline are named after the folder. A file that is there already is not touched: where one of its own files is there,
nothing is written, and it ends with 1. It installs nothing and asks no network.

Examples:
  tidemark init visits          a folder "visits" with a project in it
  tidemark init --cdk           here, with an app that deploys it

Members with --json: folder, name, files, written.`;

function text({ folder, name, files, written }: MadeProject): string {
  const shortest = relative(process.cwd(), folder) || ".";
  const where = shortest.startsWith("..") ? folder : shortest;
  const lines = files.map((file) => `  ${file}\n`).join("");
  if (!written) return `would write into ${where}, for the pipeline "${name}":\n${lines}`;
  const enter = where === "." ? "" : `  cd ${where}\n`;
  return `wrote into ${where}, for the pipeline "${name}":\n${lines}
next:
${enter}  npm install
  npm test             run the pipeline in memory, through crashes
  npm run dev          run it on this machine; README.md says what then\n`;
}
